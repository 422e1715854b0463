#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The library as its users see it, for abidiff: public_view.py SOURCE CC OUTPUT

Compiles a library of empty functions from the public headers and the version map. Its debug
information knows nothing of what the opaque types hold, which the true library's does, and which
may change at any time. That the true library is of the same headers and the same map is what
check_exports.py and the compiler see to.
"""
import pathlib
import re
import subprocess
import sys
import tempfile


def definitions(include):
    for header in sorted(include.glob("tunnelcap/*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for declaration in re.findall(r"^TUNNELCAP_API ([^;]+);", text, re.M):
            yield f"TUNNELCAP_API {declaration} {{ __builtin_trap(); }}"


def main():
    source, compiler, output = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    text = "#include <tunnelcap/tunnelcap.h>\n" + "\n".join(definitions(source / "include"))
    with tempfile.TemporaryDirectory() as folder:
        view = pathlib.Path(folder) / "view.c"
        view.write_text(text)
        subprocess.run([compiler, "-g", "-shared", "-fPIC", "-fvisibility=hidden", "-nostdlib",
                        f"-I{source / 'include'}", f"-Wl,--version-script={source}/lib/tunnelcap.map",
                        "-Wl,-soname,libtunnelcap.so.1", "-o", output, view], check=True)


if __name__ == "__main__":
    main()
