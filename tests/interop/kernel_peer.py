# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The Linux kernel of a Debian package, booted in qemu, as the far end of tunnels.

The guest lives in an initramfs made of busybox and the host's own iproute2, nft, iptables and
ping with the libraries they need. Its network cards are TAP devices of the caller's network
namespace. Commands reach it through a virtio serial port, so they disturb no network.
"""
import base64
import glob
import hashlib
import lzma
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import time

KERNELS = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}
PACKAGES = ("qemu-system-x86 busybox-static kmod iproute2 nftables iptables iputils-ping"
            " ethtool").split()
TOOLS = ("ip", "nft", "xtables-nft-multi", "ping", "dash", "kmod", "ethtool")
NEEDED = TOOLS + ("qemu-system-x86_64", "busybox", "depmod", "dpkg-deb", "apt-get")
MODULES = ("net/ipv4", "net/ipv6", "net/xfrm", "net/netfilter", "net/packet", "net/core", "net/802",
           "net/llc", "drivers/virtio", "drivers/net/virtio_net", "drivers/net/net_failover",
           "drivers/char/virtio_console", "drivers/char/hw_random/virtio-rng", "lib", "crypto")
SEARCH = "/usr/sbin:/usr/bin:/sbin:/bin"

# The agent has dash as its shell: in busybox's own, built-in applets would shadow the real ip.
INIT = r"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev 2>/dev/null
mount -t tmpfs none /run
for module in virtio_pci virtio_net virtio_console af_packet; do modprobe -q $module; done
ip link set lo up
until [ -e /dev/vport0p1 ] || [ -e /dev/vport1p1 ]; do usleep 20000; done
for port in /dev/vport*p1; do :; done
exec 3<>$port
cd /root
echo ready >&3
while true; do
  while read -r line <&3; do
    echo "$line" | base64 -d > /run/request
    sh /run/request > /run/answer 2>&1 </dev/null; status=$?
    { base64 /run/answer; echo "=$status"; } >&3
  done
  usleep 20000
done
"""


class Unavailable(Exception):
    """Why there can be no guest here; a reason to skip and not to fail."""


def which(program):
    """The path of a system program, or None."""
    return shutil.which(program, path=SEARCH)


def output(*command, **options):
    """Run a command that must succeed and return what it printed."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options).stdout


def popen(command, stdin=subprocess.DEVNULL, **options):
    """Start a process that does not outlive us, even if we are killed."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + command, stdin=stdin, **options)


# ------------------------------------------------------------------------------------- image
class Image:
    """A kernel and an initramfs, made once and kept in a cache directory."""

    def __init__(self, kernel, cache):
        if kernel not in KERNELS:
            raise Unavailable("no kernel %s; there are %s" % (kernel, ", ".join(KERNELS)))
        self.directory = pathlib.Path(cache) / ("linux-" + kernel)
        self.package = KERNELS[kernel]
        self.kernel = self.directory / "vmlinuz"
        self.initramfs = self.directory / "initramfs.cpio"
        self.tree = self.directory / "tree"
        self.root = self.directory / "root"

    def prepare(self):
        """Make what is not in the cache yet."""
        missing = [program for program in NEEDED if not which(program)]
        if missing:
            raise Unavailable("%s missing; apt-get install --no-install-recommends %s"
                              % (", ".join(missing), " ".join(PACKAGES)))
        done = self.directory / "made-by"
        mark = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
        if done.exists() and done.read_text() == mark:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        for old in (self.tree, self.root):
            shutil.rmtree(old, ignore_errors=True)
        output("dpkg-deb", "-x", str(self._package_file()), str(self.tree))
        shutil.copy(next(self.tree.glob("boot/vmlinuz-*")), self.kernel)
        self._copy_modules()
        self._copy_tools()
        self._write_archive()
        shutil.rmtree(self.tree)
        shutil.rmtree(self.root)
        done.write_text(mark)

    def _package_file(self):
        """The kernel's .deb, downloaded unless it is there."""
        why = ""
        for attempt in range(4):
            found = sorted(self.directory.glob("*.deb"))
            if found:
                return found[-1]
            time.sleep(2 * attempt)
            try:
                depends = output("apt-cache", "depends", self.package).split()
                name = next(word for word in depends if word.startswith("linux-image-")
                            and word != self.package)
                output("apt-get", "-q", "download", name, cwd=self.directory)
            except subprocess.CalledProcessError as error:
                why = error.stderr.strip()
            except StopIteration:
                why = "apt knows no such package"
        raise Unavailable("cannot download %s: %s" % (self.package, why))

    def _copy_modules(self):
        source = next(iter(list(self.tree.glob("lib/modules/*"))
                           + list(self.tree.glob("usr/lib/modules/*"))))
        target = self.root / "lib/modules" / source.name
        if not (self.tree / "lib").exists():
            (self.tree / "lib").symlink_to("usr/lib")
        output("depmod", "-b", str(self.tree), source.name)
        needs = {}
        for line in (source / "modules.dep").read_text().splitlines():
            module, _, others = line.partition(":")
            needs[module] = others.split()
        todo = [module for module in needs if any(
            module.startswith(("kernel/%s/" % part, "kernel/%s.ko" % part)) for part in MODULES)]
        seen = set()
        while todo:
            module = todo.pop()
            if module in seen:
                continue
            seen.add(module)
            todo += needs[module]
            self._copy_module(source / module, target / module)
        for index in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
            if (source / index).exists():
                shutil.copy(source / index, target)
        output("depmod", "-b", str(self.root), source.name)

    @staticmethod
    def _copy_module(source, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".xz":
            target.with_suffix("").write_bytes(lzma.decompress(source.read_bytes()))
        else:
            shutil.copy(source, target)

    def _copy(self, path):
        """Copy a program or library to the same place, with the libraries it needs."""
        target = self.root / str(path).lstrip("/")
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), target)
        libraries = subprocess.run(["ldd", path], check=False, capture_output=True, text=True)
        for word in libraries.stdout.split():
            if word.startswith("/") and os.path.exists(word):
                self._copy(word)

    def _copy_tools(self):
        for name in "bin sbin usr/bin usr/sbin proc sys dev run tmp root etc".split():
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for tool in TOOLS:
            self._copy(which(tool))
        busybox = self.root / "bin/busybox"
        shutil.copy(which("busybox"), busybox)
        own = set(TOOLS) | {"sh", "modprobe", "depmod", "busybox", "iptables"}
        for applet in output("busybox", "--list").split():
            if applet not in own:
                (self.root / "bin" / applet).symlink_to("/bin/busybox")
        (self.root / "bin/sh").symlink_to(which("dash"))
        (self.root / "sbin/modprobe").symlink_to(which("kmod"))
        for name in ("iptables", "ip6tables"):
            (self.root / "usr/sbin" / name).symlink_to("xtables-nft-multi")
        for extension in glob.glob("/usr/lib/x86_64-linux-gnu/xtables/lib*TCPMSS.so") + \
                glob.glob("/usr/lib/x86_64-linux-gnu/xtables/lib*tcp.so"):
            self._copy(extension)
        for table in glob.glob("/etc/iproute2/*") + ["/etc/protocols"]:
            if os.path.isfile(table):
                self._copy(table)
        init = self.root / "init"
        init.write_text(INIT)
        init.chmod(0o755)

    def _write_archive(self):
        """The initramfs, a cpio archive of the "newc" kind."""
        with open(self.initramfs, "wb") as archive:
            paths = sorted(self.root.rglob("*"))
            for inode, path in enumerate(paths, 1):
                status = path.lstat()
                if stat.S_ISLNK(status.st_mode):
                    content = os.readlink(path).encode()
                elif stat.S_ISREG(status.st_mode):
                    content = path.read_bytes()
                else:
                    content = b""
                name = str(path.relative_to(self.root))
                _write_member(archive, inode, status.st_mode, name, content)
            _write_member(archive, 0, 0, "TRAILER!!!", b"")


def _write_member(archive, inode, mode, name, content):
    name = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    archive.write(header + b"\0" * (-len(header) % 4) + content + b"\0" * (-len(content) % 4))


# ------------------------------------------------------------------------------------- guest
class Guest:
    """A running guest; eth0, eth1... are wired to the TAP devices given."""

    def __init__(self, image, directory, taps, timeout=60):
        self.console = os.path.join(directory, "console")
        self.log = os.path.join(directory, "qemu.log")
        self.socket = None
        control = os.path.join(directory, "control")
        cards = []
        for number, tap in enumerate(taps):
            # Without offloads, what leaves the guest is what a wire would carry.
            cards += ["-netdev", "tap,id=n%d,ifname=%s,script=no,downscript=no,vnet_hdr=off"
                      % (number, tap), "-device",
                      "virtio-net-pci,netdev=n%d,mac=52:54:00:99:00:%02x,csum=off,guest_csum=off,"
                      "gso=off,host_tso4=off,host_tso6=off,host_ufo=off,guest_tso4=off,"
                      "guest_tso6=off,guest_ufo=off,ctrl_guest_offloads=off,romfile="
                      % (number, number + 16)]
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256", "-cpu",
                   "max", "-M", "q35", "-m", "512", "-smp", "1", "-nodefaults", "-no-user-config",
                   "-no-reboot", "-display", "none", "-serial", "file:" + self.console,
                   "-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append",
                   "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable"
                   " no_timer_check noreplace-smp random.trust_cpu=on cryptomgr.notests"
                   " net.ifnames=0 audit=0 apparmor=0 i8042.noaux i8042.nokbd"
                   " rcupdate.rcu_expedited=1",
                   "-device", "virtio-serial-pci", "-chardev",
                   "socket,id=control,path=%s,server=on,wait=off" % control,
                   "-device", "virtserialport,chardev=control,name=control"] + cards
        with open(self.log, "wb") as log:
            self.process = popen(command, stdout=log, stderr=log)
        try:
            self._connect(control, time.monotonic() + timeout)
        except BaseException:
            self.close()
            raise

    def _connect(self, control, end):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(1)
        while True:
            try:
                self.socket.connect(control)
                break
            except OSError:
                self._wait(end)
        self.buffer = b""
        while True:
            try:
                if self._line() == b"ready":
                    return
            except socket.timeout:
                self._wait(end)

    def _wait(self, end):
        """Give the guest time, unless it has ended or has had enough."""
        if self.process.poll() is not None or time.monotonic() > end:
            text = ""
            for file in (self.log, self.console):
                if os.path.exists(file):
                    text += pathlib.Path(file).read_text(errors="replace")[-2000:]
            raise RuntimeError("the guest does not start: " + text)
        time.sleep(0.02)

    def _line(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise RuntimeError("the guest has gone")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.strip()

    def run(self, text, timeout=30):
        """Run shell text in the guest: its exit status and what it printed."""
        self.socket.settimeout(timeout)
        self.socket.sendall(base64.b64encode(text.encode()) + b"\n")
        answer = []
        while True:
            line = self._line()
            if line.startswith(b"="):
                return int(line[1:]), base64.b64decode(b"".join(answer)).decode(errors="replace")
            answer.append(line)

    def check(self, text, timeout=30):
        """Run shell text in the guest that must succeed, and return what it printed."""
        status, printed = self.run("set -eu\n" + text, timeout)
        if status != 0:
            raise RuntimeError("in the guest: %s\n%s" % (text, printed))
        return printed

    def close(self):
        """End the guest."""
        if self.socket is not None:
            self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    # kernel_peer.py KERNEL CACHE: make the image, where the network is still there.
    try:
        Image(sys.argv[1], sys.argv[2]).prepare()
    except Unavailable as reason:
        sys.exit(str(reason))
