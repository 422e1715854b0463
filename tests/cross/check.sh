#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# The library on another machine: check.sh MACHINE BUILD
# MACHINE is s390x, mips, armhf, aarch64 or musl: the unit tests, static, under qemu-user where
# it takes one; or cortex-m4, where the core is only compiled, as firmware would. Where Debian has a
# libcrypto for that machine and it can be fetched, the tests of the provider on it, ESP over it and
# published vectors run as well; else ESP is tested on the tests' own provider.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
machine=${1:?usage: check.sh MACHINE BUILD}
build=${2:?usage: check.sh MACHINE BUILD}
options=(-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DTUNNELCAP_EXAMPLES=OFF
    -DTUNNELCAP_WITH_IPSECMB=OFF)
debian= # its name of a machine that it has a libcrypto for

case $machine in
s390x) compiler=s390x-linux-gnu-gcc emulator=qemu-s390x-static debian=s390x ;;
mips) compiler=mips-linux-gnu-gcc emulator=qemu-mips-static ;;
armhf) compiler=arm-linux-gnueabihf-gcc emulator=qemu-arm-static debian=armhf ;;
aarch64) compiler=aarch64-linux-gnu-gcc emulator=qemu-aarch64-static debian=arm64 ;;
musl) compiler=musl-gcc emulator= ;;
cortex-m4) compiler=arm-none-eabi-gcc ;;
*)
    echo "unknown machine: $machine"
    exit 2
    ;;
esac

if [ "$machine" = cortex-m4 ]; then
    options+=(-DCMAKE_SYSTEM_NAME=Generic -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY
        "-DCMAKE_C_FLAGS=-mcpu=cortex-m4 -mthumb -ffreestanding"
        -DTUNNELCAP_FREESTANDING=ON -DTUNNELCAP_TESTS=OFF)
else
    options+=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_EXE_LINKER_FLAGS=-static
        -DTUNNELCAP_TESTS_PORTABLE=ON "-DCMAKE_CROSSCOMPILING_EMULATOR=$emulator")
fi

# The host's libraries are not that machine's.
sysroot=$build/sysroot
if [ -n "$debian" ] &&
    "$source/tests/cross/sysroot.sh" "$debian" "$sysroot" libssl-dev libjansson-dev; then
    export PKG_CONFIG_SYSROOT_DIR=$sysroot PKG_CONFIG_LIBDIR=$sysroot/usr/lib/pkgconfig
    options+=(-DTUNNELCAP_WITH_OPENSSL=ON "-DOPENSSL_INCLUDE_DIR=$sysroot/usr/include"
        "-DOPENSSL_CRYPTO_LIBRARY=$sysroot/usr/lib/libcrypto.a")
    provider=libcrypto
else
    options+=(-DTUNNELCAP_WITH_OPENSSL=OFF)
    provider="the tests' own provider"
    [ -z "$debian" ] || provider+=": Debian's libcrypto for $debian cannot be fetched"
fi

cmake -S "$source" -B "$build" -G "Unix Makefiles" -DCMAKE_C_COMPILER=$compiler "${options[@]}"
cmake --build "$build" -j2
[ "$machine" != cortex-m4 ] || exit 0
ctest --test-dir "$build" -L '^(unit|vectors)$' -j2 --output-on-failure
echo "= ESP on $provider"
