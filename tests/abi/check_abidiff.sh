#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# The interface against the baseline of its ABI: check_abidiff.sh SOURCE CC
# No suppressions: an intended addition refreshes the baseline (refresh.sh) in the same commit.
set -euo pipefail

source=$1 cc=$2
here=$source/tests/abi

skip() {
    echo "$*"
    exit 77
}
command -v abidiff >/dev/null || skip "abidiff is missing: install abigail-tools"
[ "$(uname -m)" = x86_64 ] || skip "the baseline is of x86_64"

view=$(mktemp -d)
trap 'rm -rf "$view"' EXIT
"$here/public_view.py" "$source" "$cc" "$view/libtunnelcap.so.1"
abidiff "$here/baseline.abi" "$view/libtunnelcap.so.1"
echo "no difference"
