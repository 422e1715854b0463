#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# The library on another machine: check.sh MACHINE BUILD
# MACHINE is s390x, mips, armhf, aarch64 or musl: the unit tests, static, under qemu-user where
# it takes one; or cortex-m4, where the core is only compiled, as firmware would.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
machine=${1:?usage: check.sh MACHINE BUILD}
build=${2:?usage: check.sh MACHINE BUILD}
# The host's libcrypto is not that machine's: ESP runs on the tests' own provider there.
options=(-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DTUNNELCAP_EXAMPLES=OFF
    -DTUNNELCAP_WITH_OPENSSL=OFF -DTUNNELCAP_WITH_IPSECMB=OFF)

case $machine in
s390x) compiler=s390x-linux-gnu-gcc emulator=qemu-s390x-static ;;
mips) compiler=mips-linux-gnu-gcc emulator=qemu-mips-static ;;
armhf) compiler=arm-linux-gnueabihf-gcc emulator=qemu-arm-static ;;
aarch64) compiler=aarch64-linux-gnu-gcc emulator=qemu-aarch64-static ;;
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

cmake -S "$source" -B "$build" -G "Unix Makefiles" -DCMAKE_C_COMPILER=$compiler "${options[@]}"
cmake --build "$build" -j2
[ "$machine" = cortex-m4 ] || ctest --test-dir "$build" -L unit -j2 --output-on-failure
