#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Run a bench program for an instant and check that its JSON is of the documented shape."""

import json
import math
import os
import subprocess
import sys

KEYS = {"case": str, "size": int, "batch": int, "ns": float, "limit": str, "limit_ns": float,
        "ratio": float}
CASES = ["gre4-encap/cached", "gre4-decap/132MiB", "mss-syn/cached", "table-1-encap/cached"]
if (os.cpu_count() or 1) > 1:
    CASES += ["esp-lanes-encap/shared", "esp-lanes-decap/numbers"]


def main():
    """Return 0 if all is well."""
    seconds = ["--seconds", "0.01"]
    rows = []
    for case in sorted({name.split("/")[0] for name in CASES}):
        command = [sys.argv[1], "--json", "--case", case, *seconds]
        rows += json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    for row in rows:
        assert row.keys() == KEYS.keys(), row
        assert all(isinstance(row[key], kind) for key, kind in KEYS.items()), row
        # Either may be below 0 where something else took the processor: no time is a failure.
        assert math.isfinite(row["ns"]) and math.isfinite(row["limit_ns"]), row
    missing = set(CASES) - {row["case"] for row in rows}
    assert not missing, f"no result for {sorted(missing)}"


if __name__ == "__main__":
    main()
