#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Each public header compiles alone, in every dialect and without padding:
# check_selfcontained.sh INCLUDE CC
set -euo pipefail

include=$1 cc=$2
flags=(-Wall -Wextra -Wpadded -Wconversion -Wpedantic -Werror -fsyntax-only)
compiled=0

for header in "$include"/tunnelcap/*.h; do
    for dialect in c99 c11 c17; do
        "$cc" -x c -std=$dialect "${flags[@]}" -I"$include" -include "$header" /dev/null
        compiled=$((compiled + 1))
    done
    for cxx in g++ clang++; do
        command -v $cxx >/dev/null || continue
        $cxx -x c++ -std=c++11 "${flags[@]}" -I"$include" -include "$header" /dev/null
        cxx_found=$cxx compiled=$((compiled + 1))
    done
done
[ -n "${cxx_found:-}" ] || {
    echo "no C++ compiler: install g++"
    exit 1
}
echo "$compiled compilations"
