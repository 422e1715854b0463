#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# The frozen layout on machines of 32 and 64 bits, either byte order: check_layout.sh SOURCE CC
# Nothing is linked, so clang alone serves for all; without it only what CC can do is checked.
set -euo pipefail

source=$1 cc=$2
flags=(-std=c11 -Wall -Wextra -Wpadded -Werror -ffreestanding -fsyntax-only -I"$source/include")
layout=$source/tests/abi/layout.c

"$cc" "${flags[@]}" "$layout"
case $("$cc" -dumpmachine) in
x86_64*) "$cc" -m32 "${flags[@]}" "$layout" ;;
esac
echo "native"
command -v clang >/dev/null || exit 0
for target in x86_64-linux-gnu aarch64-linux-gnu s390x-linux-gnu riscv64-linux-gnu \
    powerpc64-linux-gnu i386-linux-gnu armv7-linux-gnueabihf mips-linux-gnu mipsel-linux-gnu \
    powerpc-linux-gnu riscv32-unknown-elf thumbv7em-none-eabi; do
    clang --target=$target "${flags[@]}" "$layout"
    echo $target
done
