#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Write the baseline of the ABI anew, on x86_64: refresh.sh [CC]
# From 1.0 on only together with a CHANGELOG line that names the addition.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
view=$(mktemp -d)
trap 'rm -rf "$view"' EXIT
"$here/public_view.py" "$here/../.." "${1:-gcc}" "$view/libtunnelcap.so.1"
abidw --no-comp-dir-path --no-show-locs --no-corpus-path "$view/libtunnelcap.so.1" |
    sed "s# path='[^']*/view.c'# path='view.c'#" >"$here/baseline.abi" # wherever it was compiled
