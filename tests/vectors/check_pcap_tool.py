#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Test tunnelcap-pcap on small captures made here.

Usage: check_pcap_tool.py TOOL [unittest arguments]
"""

import sys
import unittest

import pcaptool

# The tests themselves, for unittest to find here.
from pcaptool_esp import *  # noqa: F401,F403
from pcaptool_files import *  # noqa: F401,F403
from pcaptool_page import *  # noqa: F401,F403
from pcaptool_report import *  # noqa: F401,F403
from pcaptool_verbs import *  # noqa: F401,F403

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    pcaptool.ToolTest.tool = sys.argv.pop(1)
    unittest.main()
