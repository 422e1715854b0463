#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""One set of functions, four times: check_exports.py LIBRARY INCLUDE MAP CONSUMER_C

What the shared library exports, what the headers declare, what the version map lists and what
the consumer of the installed library touches must be the same.
"""
import pathlib
import re
import subprocess
import sys


def exported(library):
    text = subprocess.run(["nm", "-D", "--defined-only", library], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return {line.split()[-1].split("@")[0] for line in text.splitlines()
            if line.split()[-2] != "A"}


def declared(include):
    names = set()
    for header in pathlib.Path(include).glob("tunnelcap/*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        names.update(re.findall(r"^TUNNELCAP_API [^;(]*?(\w+)\(", text, re.M))
    return names


def mapped(version_map):
    text = pathlib.Path(version_map).read_text()
    return set(re.findall(r"^\s+(tunnelcap_\w+);", text, re.M))


def touched(consumer):
    return set(re.findall(r"TOUCH\((tunnelcap_\w+)\)", pathlib.Path(consumer).read_text()))


def main():
    library, include, version_map, consumer = sys.argv[1:]
    sets = {"exported": exported(library), "declared": declared(include),
            "in the map": mapped(version_map), "touched by the consumer": touched(consumer)}
    everything = set().union(*sets.values())
    problems = [f"{name} is not {what}" for what, names in sets.items()
                for name in sorted(everything - names)]
    print("\n".join(problems) if problems else f"{len(everything)} functions everywhere")
    return bool(problems) or not everything


if __name__ == "__main__":
    sys.exit(main())
