#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# The library against the baseline of its ABI: check_abidiff.sh LIBRARY SOURCE
# No suppressions: an intended addition refreshes the baseline (refresh.sh) in the same commit.
set -euo pipefail

library=$1 source=$2
baseline=$source/tests/abi/baseline.abi

skip() {
    echo "$*"
    exit 77
}
command -v abidiff >/dev/null || skip "abidiff is missing: install abigail-tools"
[ "$(uname -m)" = x86_64 ] || skip "the baseline is of x86_64"
# Without debug information abidiff always finds everything well.
[[ $(readelf -S "$library") == *.debug_info* ]] || skip "the library has no debug information"

abidiff --drop-private-types --headers-dir2 "$source/include" "$baseline" "$library"
echo "no difference"
