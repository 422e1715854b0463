#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The order of layers in lib/: check_layers.py LIB

A module includes what stands below it. Kinds of tunnel and the clamp never include one another:
only the table composes them.
"""
import pathlib
import re
import sys

# From the ground up; those of one line do not know each other, unless listed in ALLOWED.
LAYERS = [
    ["wire", "atomic", "status", "version", "packet"],
    ["secure", "ghash"],
    ["crypto"],
    ["checksum", "ip", "object", "gre_header", "crypto_answers", "replay"],
    ["transform"],
    ["crypto_openssl", "crypto_self_test"],
    ["flow", "selector", "lpm", "by_place", "ring"],
    ["share", "sample"],
    ["lane", "id_map"],
    ["outer"],
    ["gre", "ipip", "esp", "mss", "peek", "icmp", "pmtu", "health", "history", "top", "fragment", "gso",
     "reassembly"],
    ["tunnel", "burst", "watch", "traffic"],
    ["routes"],
    ["table"],
]
ALLOWED = {("packet", "status"), ("version", "status")}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def module_of(name):
    """table_data belongs to table; gre_header is a module of its own."""
    while name not in LEVEL and "_" in name:
        name = name.rsplit("_", 1)[0]
    return name


def check(file, problems):
    module = module_of(file.stem)
    if module not in LEVEL:
        problems.append(f"{file.name}: in no layer: add it to {pathlib.Path(__file__).name}")
        return
    for include in re.findall(r'^#include (?:"|<tunnelcap/)(\w+)\.h', file.read_text(), re.M):
        include = module_of(include)
        if include == module or (module, include) in ALLOWED:
            continue
        if include not in LEVEL:
            problems.append(f"{file.name}: includes {include}.h, which is in no layer")
        elif LEVEL[include] >= LEVEL[module]:
            problems.append(f"{file.name}: includes {include}.h, which is not below it")


def main():
    problems = []
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.[ch]"))
    for file in files:
        check(file, problems)
    print("\n".join(problems) if problems else f"{len(files)} files keep the order of layers")
    return bool(problems) or not files


if __name__ == "__main__":
    sys.exit(main())
