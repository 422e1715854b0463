# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""A terminal that remembers what a program has drawn on it: as much of an xterm as ncurses uses."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

ESCAPE = re.compile(r"\x1b(?:\[([?>]?)([0-9;]*)([@-~])|[()][0-9A-B]|[=>78M])")


class Terminal:
    """A program on a pseudoterminal."""

    def __init__(self, command, width=80, height=24, env=()):
        self.width, self.height = width, height
        self.cells = {}
        self.line = self.column = 0
        self.last, self.rest = " ", ""
        self.top, self.bottom = 0, height - 1
        self.left = False  # whether it has given the screen back
        self.master, slave = pty.openpty()
        self.set_size(width, height)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"],
                 **dict(env)})
        os.close(slave)

    def set_size(self, width, height):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width, height):
        self.width, self.height, self.top, self.bottom = width, height, 0, height - 1
        self.set_size(width, height)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def text(self):
        lines = ["".join(self.cells.get((y, x), " ") for x in range(self.width)).rstrip()
                 for y in range(self.height)]
        return "\n".join(lines)

    def read(self, seconds):
        """Take in what comes within a time; False at the end of the program."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.rest += data.decode("utf-8", "replace")
        self.take()
        return bool(data)

    def until(self, truth, seconds=10):
        """Whether the screen's text comes to satisfy something."""
        end = time.monotonic() + seconds
        while not truth(self.text()):
            if time.monotonic() > end or not self.read(0.1):
                return truth(self.text())
        return True

    def end(self, seconds=10):
        """The program's exit status, once it has ended by itself."""
        end = time.monotonic() + seconds
        while self.read(0.1) and time.monotonic() < end:
            pass
        try:
            return self.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed"
        finally:
            os.close(self.master)

    def take(self):
        text, at = self.rest, 0
        while at < len(text):
            if text[at] == "\x1b":
                found = ESCAPE.match(text, at)
                if not found:
                    if len(text) - at < 32:
                        break  # the rest of it will come
                    raise ValueError(f"unknown sequence {text[at:at + 16]!r}")
                if found[3]:
                    self.control(found[1], found[2], found[3])
                at = found.end()
                continue
            self.character(text[at])
            at += 1
        self.rest = text[at:]

    def character(self, c):
        if c == "\r":
            self.column = 0
        elif c == "\n":
            self.down()
        elif c == "\b":
            self.column = max(0, self.column - 1)
        elif c == "\t":
            self.column = min(self.width - 1, self.column // 8 * 8 + 8)
        elif c >= " ":
            if self.column >= self.width:
                self.column = 0
                self.down()
            self.cells[self.line, self.column] = self.last = c
            self.column += 1

    def down(self):
        if self.line == self.bottom:
            self.scroll(1)
        else:
            self.line = min(self.height - 1, self.line + 1)

    def scroll(self, count):
        span = range(self.top, self.bottom + 1)
        old = {(y, x): c for (y, x), c in self.cells.items() if y in span}
        for place in old:
            del self.cells[place]
        self.cells.update({(y - count, x): c for (y, x), c in old.items() if y - count in span})

    def clear(self, lines, columns):
        for place in [p for p in self.cells if p[0] in lines and p[1] in columns]:
            del self.cells[place]

    def control(self, mark, numbers, final):
        n = [int(x) if x else 0 for x in numbers.split(";")] if numbers else []
        first = n[0] if n and n[0] else 1
        everywhere, here = range(self.width), range(self.line, self.line + 1)
        if mark:
            self.left = self.left or (final == "l" and 1049 in n)
        elif final in "Hf":
            self.line, self.column = first - 1, (n[1] if len(n) > 1 and n[1] else 1) - 1
        elif final == "A":
            self.line -= first
        elif final == "B":
            self.line += first
        elif final == "C":
            self.column += first
        elif final == "D":
            self.column -= first
        elif final in "G`":
            self.column = first - 1
        elif final == "d":
            self.line = first - 1
        elif final == "J":
            whole = n and n[0] == 2
            self.clear(range(0 if whole else self.line + 1, self.height), everywhere)
            if not whole:
                self.clear(here, range(self.column, self.width))
        elif final == "K":
            part = n[0] if n else 0
            self.clear(here, (range(self.column, self.width), range(self.column + 1),
                              everywhere)[part])
        elif final == "X":
            self.clear(here, range(self.column, self.column + first))
        elif final == "b":
            for _ in range(first):
                self.character(self.last)
        elif final == "r":
            self.top, self.bottom = first - 1, (n[1] if len(n) > 1 else self.height) - 1
            self.line = self.column = 0
        elif final == "S":
            self.scroll(first)
        elif final == "T":
            self.scroll(-first)
        elif final in "PLM@":
            self.shift(final, first)
        elif final not in "mhlt":
            raise ValueError(f"unknown control {numbers}{final}")

    def shift(self, final, count):
        """Characters or lines are taken out or put in."""
        if final in "LM":
            top, self.top = self.top, self.line
            self.scroll(count if final == "M" else -count)
            self.top = top
            return
        step = -count if final == "P" else count
        old = {x: c for (y, x), c in self.cells.items() if y == self.line and x >= self.column}
        self.clear(range(self.line, self.line + 1), range(self.column, self.width))
        for x, c in old.items():
            if self.column <= x + step < self.width:
                self.cells[self.line, x + step] = c
