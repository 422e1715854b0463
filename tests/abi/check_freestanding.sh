#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# What firmware must bring along: check_freestanding.sh ARCHIVE
# Of all that the archive does not define itself, only the mem functions are allowed.
set -euo pipefail

undefined=$(nm "$1" | awk '
    $1 == "U" { used[$2] = 1 }
    NF == 3 && $2 ~ /[TDRBV]/ { defined[$3] = 1 }
    END { for (name in used) if (!(name in defined)) print name }' | sort)
echo "needs: ${undefined//$'\n'/ }"
! grep -vxE 'mem(cpy|set|cmp|move)' <<<"$undefined"
