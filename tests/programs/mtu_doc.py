# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The commands of docs/mtu.md, run where it says that they are to be run."""
import os
import re
import subprocess
import threading

from gateway_lab import PREFIX

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "mtu.md")
PLACES = {"on the host": "clnt", "on the edge gateway": "edge", "on the customer gateway": "cust"}


def blocks():
    """Where a block of commands is to be run, what else its first line says, and the block."""
    with open(DOC, encoding="ascii") as file:
        text = file.read()
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S):
        place, _, more = block.split("\n", 1)[0].lstrip("# ").partition(", ")
        yield PLACES.get(place), more, block.split("\n", 1)[-1]


def run_block(node, commands, program, directory):
    """Exit status of the commands, and what they printed."""
    path = os.path.dirname(program) + ":" + os.environ["PATH"] + ":/usr/sbin:/sbin"
    done = subprocess.run(["ip", "netns", "exec", PREFIX + node, "sh", "-e", "-c", commands],
                          cwd=directory, env={**os.environ, "PATH": path}, text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def check_doc(t, program, directory, traffic):
    """`traffic` sends a packet that is answered with ICMP."""
    printed = ""
    for node, more, commands in blocks():
        t.check(f"docs/mtu.md says where to run {commands!r}", node is not None, commands)
        stop = threading.Event()
        if more == "beside traffic":
            def send():
                while not stop.wait(0.2):
                    traffic()
            threading.Thread(target=send, daemon=True).start()
        status, output = run_block(node, commands, program, directory)
        stop.set()
        t.check(f"docs/mtu.md: {commands!r} works", (status != 0) == (more == "fails"), output)
        printed += output
    for words in ("pmtu 1476", "mtu=1476", "1 packet captured", "PATH", '"path_mtu": 1500',
                  "IpReasmFails", "generic-receive-offload"):
        t.check(f"the commands of docs/mtu.md show {words}", words in printed, printed)
