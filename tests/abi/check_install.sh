#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# The installed library in the hands of others: check_install.sh BUILD SOURCE PREFIX CC
# Installs into PREFIX and builds the consumer by pkg-config, find_package and add_subdirectory,
# shared and static, and again after the prefix has moved.
set -euo pipefail

build=$1 source=$2 prefix=$3 cc=$4
here=$source/tests/abi/consumer
work=$prefix-work
flags=(-std=c11 -Wall -Wextra -Wpedantic -Werror)
rm -rf "$prefix" "$work"
mkdir -p "$work"

install_into() {
    for component in runtime development; do
        cmake --install "$build" --prefix "$1" --component $component >/dev/null
    done
}

by_pkg_config() {
    local libdir how=$2
    local -a options
    libdir=$(dirname "$(find "$1" -name tunnelcap.pc)")/..
    [ -e "$libdir/libtunnelcap.so.1" ]
    read -ra options < <(PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config --cflags --libs tunnelcap)
    "$cc" "${flags[@]}" "$here/consumer.c" "${options[@]}" -o "$work/consumer"
    echo -n "$how: "
    LD_LIBRARY_PATH=$libdir "$work/consumer"
}

# The archive itself, with what its package file says it needs besides.
by_archive() {
    local pc
    local -a needs
    pc=$(dirname "$(find "$1" -name tunnelcap.pc)")
    read -ra needs < <(PKG_CONFIG_PATH=$pc pkg-config --static --libs-only-l tunnelcap |
        sed 's/-ltunnelcap//') || true
    "$cc" "${flags[@]}" "$here/consumer.c" -I"$1/include" \
        "$(find "$1" -name libtunnelcap.a -print -quit)" "${needs[@]}" -o "$work/consumer"
    echo -n "archive: "
    "$work/consumer"
}

by_cmake() {
    local how=$1
    shift
    cmake -S "$here" -B "$work/$how" -G "Unix Makefiles" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_BUILD_TYPE=Release "$@" >/dev/null
    cmake --build "$work/$how" >/dev/null
    echo -n "$how: "
    "$work/$how/consumer"
}

install_into "$prefix"
by_pkg_config "$prefix" pkg-config
by_archive "$prefix"
by_cmake find_package -DCMAKE_PREFIX_PATH="$prefix"
by_cmake add_subdirectory -DTUNNELCAP_SOURCE="$source"
by_cmake add_subdirectory_static -DTUNNELCAP_SOURCE="$source" -DBUILD_SHARED_LIBS=OFF

mv "$prefix" "$work/moved"
by_pkg_config "$work/moved" "pkg-config, moved"
by_cmake find_package_moved -DCMAKE_PREFIX_PATH="$work/moved"
mv "$work/moved" "$prefix"
rm -rf "$work"
