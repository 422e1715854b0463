#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Line coverage of lib/ by the unit tests: coverage.sh [BUILD]
# Prints a table and fails below 95 percent. Lines that were never reached are listed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build-coverage}
goal=95
log=$build/coverage.txt

mkdir -p "$build"
cmake -S "$root" -B "$build" -G "Unix Makefiles" -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS=--coverage -DTUNNELCAP_EXAMPLES=OFF >"$log" 2>&1
cmake --build "$build" -j "$(nproc)" --target tunnelcap-unit >>"$log" 2>&1
find "$build" -name '*.gcda' -delete
CK_FORK=no "$build/tests/tunnelcap-unit" >>"$log" 2>&1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
gcov --json-format --stdout "$build"/lib/CMakeFiles/tunnelcap_objects.dir/*.gcda |
    python3 -c '
import collections, json, os, sys

goal, root = int(sys.argv[1]), sys.argv[2]
hits = collections.defaultdict(collections.Counter)
for document in sys.stdin:
    for file in json.loads(document)["files"]:
        path = os.path.relpath(file["file"], root)
        if path.startswith("lib/"):
            for line in file["lines"]:
                hits[path][line["line_number"]] += line["count"]
total = reached = 0
for path, lines in sorted(hits.items()):
    missed = sorted(number for number, count in lines.items() if count == 0)
    total += len(lines)
    reached += len(lines) - len(missed)
    print("%-24s %5d lines %6.1f %%  %s" % (path, len(lines), 100 - 100 * len(missed) / len(lines),
                                           " ".join(map(str, missed))))
print("= %.1f %% of %d lines" % (100 * reached / total, total))
sys.exit(100 * reached < goal * total)
' "$goal" "$root"
