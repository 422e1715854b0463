#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Libraries of another machine: sysroot.sh ARCHITECTURE DIRECTORY PACKAGE...
# Unpacks Debian packages of that architecture, without what they depend on, to link statically:
# DIRECTORY/usr/include and DIRECTORY/usr/lib hold headers and archives, wherever Debian puts them.
# What is there already stays. It needs no root and has apt state of its own: the system's package
# database is not touched, and versions that differ from the system's, which multi-arch refuses, do
# not matter.
set -euo pipefail

usage="usage: sysroot.sh ARCHITECTURE DIRECTORY PACKAGE..."
architecture=${1:?$usage}
directory=${2:?$usage}
shift 2
[ ! -e "$directory/complete" ] || exit 0
command -v apt-get dpkg-deb >/dev/null || {
    echo "no apt-get and dpkg-deb to fetch packages of $architecture with"
    exit 1
}
rm -rf "$directory"
mkdir -p "$directory/apt/state/lists/partial" "$directory/apt/cache/archives/partial"
directory=$(cd "$directory" && pwd)
work=$directory/apt
: >"$work/status"
options=(-q -o "Dir::State=$work/state" -o "Dir::State::status=$work/status"
    -o "Dir::Cache=$work/cache" -o "APT::Architecture=$architecture"
    -o "APT::Architectures=$architecture" -o Debug::NoLocking=1 -o "APT::Sandbox::User=$(id -un)"
    -o Acquire::Languages=none)

fetch() {
    apt-get "${options[@]}" update && (cd "$work" && apt-get "${options[@]}" download "$@")
}

for try in 1 2 3 4 5; do
    ! fetch "$@" || break
    [ "$try" -lt 5 ] || exit 1
    sleep $((try * 3))
done
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/unpacked"
done
mkdir -p "$directory/usr/include" "$directory/usr/lib/pkgconfig"
cp -R "$work"/unpacked/usr/include/. "$directory/usr/include"
for part in "$work"/unpacked/usr/include/*-linux-gnu*/.; do
    [ ! -d "$part" ] || cp -R "$part" "$directory/usr/include"
done
cp "$work"/unpacked/usr/lib/*/*.a "$directory/usr/lib"
cp "$work"/unpacked/usr/lib/*/pkgconfig/*.pc "$directory/usr/lib/pkgconfig"
sed -i 's|^libdir=.*|libdir=/usr/lib|' "$directory"/usr/lib/pkgconfig/*.pc
rm -rf "$work"
touch "$directory/complete"
