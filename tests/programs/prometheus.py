# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""A Prometheus of Debian's, which nothing is installed for: the package is taken apart in a directory
of the test's own, since its installation would start a service."""
import glob
import json
import os
import shutil
import socket
import subprocess

from gateway_lab import PREFIX, At, eventually, run

PORT = 9090


def find(directory):
    """The paths of prometheus and promtool, or None and why not."""
    found = shutil.which("prometheus"), shutil.which("promtool")
    if all(found):
        return found, ""
    if shutil.which("apt-get") is None:
        return None, "Prometheus is not installed, and there is no apt-get to fetch it"
    try:
        subprocess.run(["apt-get", "-q", "download", "prometheus"], cwd=directory, check=True,
                       capture_output=True, text=True, timeout=120)
        package = glob.glob(os.path.join(directory, "prometheus_*.deb"))[0]
        run("dpkg", "-x", package, os.path.join(directory, "prometheus"))
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return None, "Prometheus cannot be fetched: " + (said[-1] if said else "")
    bin_ = os.path.join(directory, "prometheus", "usr", "bin")
    return (os.path.join(bin_, "prometheus"), os.path.join(bin_, "promtool")), ""


def request(node, port, text, timeout=20):
    """What a server on a node's loopback says to a request, up to the end."""
    with At(node):
        s = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    with s:
        s.sendall(text)
        answer = b""
        while more := s.recv(65536):
            answer += more
    return answer


def get(node, port, path, *headers, method="GET"):
    """Status, headers in lower case, and body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    answer = request(node, port, ("\r\n".join(lines) + "\r\n\r\n").encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    return (int(first.split(" ")[1]),
            {f.partition(":")[0].lower(): f.partition(":")[2].strip() for f in fields}, body)


class Prometheus:
    """A server on a node's loopback that looks at a target there every second."""

    def __init__(self, program, directory, node, target):
        self.node = node
        config = os.path.join(directory, "prometheus.json")  # which is YAML too
        with open(config, "w", encoding="ascii") as file:
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                       "scrape_configs": [{"job_name": "tunnelcap",
                                           "static_configs": [{"targets": [target]}]}]}, file)
        self.log = open(os.path.join(directory, "prometheus.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", PREFIX + node, program, f"--config.file={config}",
             "--storage.tsdb.path=" + os.path.join(directory, "tsdb"),
             f"--web.listen-address=127.0.0.1:{PORT}"], stdout=self.log, stderr=self.log)

    def ready(self):
        def truth():
            try:
                return get(self.node, PORT, "/-/ready")[0] == 200
            except OSError:
                return False
        return eventually(truth, 30)

    def query(self, expression):
        """The first value, or None."""
        path = "/api/v1/query?query=" + "".join(f"%{b:02x}" for b in expression.encode())
        status, headers, body = get(self.node, PORT, path)
        if headers.get("transfer-encoding") == "chunked":
            body = unchunk(body)
        result = json.loads(body)["data"]["result"] if status == 200 else []
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def unchunk(body):
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return whole
        whole, body = whole + body[:int(size, 16)], body[int(size, 16) + 2:]
