#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Write the baseline of the ABI anew from a library with debug information: refresh.sh LIBRARY
# From 1.0 on only together with a CHANGELOG line that names the addition.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=$(readlink -f "${1:?usage: refresh.sh LIBRARY}")
abidw --no-comp-dir-path --no-show-locs --no-corpus-path --drop-private-types \
    --headers-dir "$here/../../include" "$library" --out-file "$here/baseline.abi"
sed -i "s# path='[^']*/lib/# path='lib/#" "$here/baseline.abi" # where it was built does not matter
