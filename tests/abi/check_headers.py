#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The rules for public headers: check_headers.py INCLUDE LAYOUT_C

Nothing that a foreign-function interface could not follow, no padding that a compiler chooses,
and every struct field and number pinned in LAYOUT_C.
"""
import pathlib
import re
import sys

FORBIDDEN = {
    "an inline function": r"\binline\b",
    "a function-like macro": r"^[ \t]*#[ \t]*define[ \t]+\w+\(",
    "a variable number of arguments": r"\.\.\.",
    "a bool": r"\b(_Bool|bool)\b",
    "a named enum": r"\benum[ \t]+\w+",
    "a bit-field": r"\b\w+[ \t]*:[ \t]*\d+[ \t]*;",
    "a global variable": r"^[ \t]*extern[ \t]+(?!\"C\")",
    "a floating-point number": r"\b(float|double)\b",
    "a type whose size differs between systems": r"\b(long|short|unsigned|wchar_t|time_t|off_t)\b",
}


def strip_comments(text):
    """Blank out comments, keeping line numbers."""
    return re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)


def struct_fields(body):
    for declaration in filter(None, (part.strip() for part in body.split(";"))):
        pointer = re.search(r"\(\*(\w+)\)\(", declaration)
        if pointer:
            yield pointer.group(1)
            continue
        for name in re.sub(r"\[[^]]*\]", "", declaration).split(","):
            yield name.split()[-1].lstrip("*")


def pinned_names(text):
    """What layout.c must pin: (kind, name) for each field and enumerator of a header."""
    for struct in re.finditer(r"typedef struct \w+ \{(.*?)\} (\w+);", text, re.S):
        yield f"STRUCT({struct.group(2)},"
        for field in struct_fields(struct.group(1)):
            yield f"FIELD({struct.group(2)}, {field},"
    for enum in re.finditer(r"\benum \{(.*?)\}", text, re.S):
        for entry in filter(None, (part.strip() for part in enum.group(1).split(","))):
            yield f"VALUE({entry.split('=')[0].strip()},"


def check(header, layout, problems):
    text = strip_comments(header.read_text())
    for what, pattern in FORBIDDEN.items():
        for found in re.finditer(pattern, text, re.M):
            line = text.count("\n", 0, found.start()) + 1
            problems.append(f"{header.name}:{line}: {what}: {found.group().strip()}")
    for name in pinned_names(text):
        if name not in layout:
            problems.append(f"{header.name}: layout.c does not pin {name.rstrip(',')})")
    if header.name != "tunnelcap.h" and 'extern "C"' not in text:
        problems.append(f'{header.name}: no extern "C"')


def main():
    include, layout = pathlib.Path(sys.argv[1]) / "tunnelcap", pathlib.Path(sys.argv[2])
    pinned = " ".join(layout.read_text().split())
    problems = []
    headers = sorted(include.glob("*.h"))
    umbrella = (include / "tunnelcap.h").read_text()
    for header in headers:
        check(header, pinned, problems)
        if header.name != "tunnelcap.h" and f"<tunnelcap/{header.name}>" not in umbrella:
            problems.append(f"tunnelcap.h does not include {header.name}")
    print("\n".join(problems) if problems else f"{len(headers)} headers follow the rules")
    return bool(problems) or not headers


if __name__ == "__main__":
    sys.exit(main())
