#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Interoperation with the Linux kernel as the other end of tunnels: run.sh BUILD [PATTERN...]
# Cases whose names match a pattern are run, all by default. TUNNELCAP_KERNEL chooses the kernel
# (6.1 or 6.12), XDG_CACHE_HOME where its image is kept. Exits with 77 where it cannot be done.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "${1:?usage: run.sh BUILD [PATTERN...]}" && pwd)
shift
kernel=${TUNNELCAP_KERNEL:-6.1}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tunnelcap-tests
PATH=$PATH:/usr/sbin:/sbin
export PYTHONDONTWRITEBYTECODE=1
# Other ends than the kernel, without which their cases are skipped.
others=(strongswan-charon strongswan-swanctl libcharon-extra-plugins
    libstrongswan-standard-plugins tshark)

skip() {
    echo "SKIP interop: $*"
    echo "0 passed, 0 failed, 1 skipped"
    exit 77
}

# Only root can install them; kernel_peer.py tells what is still missing.
install_packages() {
    local package missing=() try
    read -ra wanted < <(python3 -c "import sys; sys.path.insert(0, sys.argv[1])
import kernel_peer; print(*kernel_peer.PACKAGES)" "$here")
    for package in "${wanted[@]}" "${others[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" -eq 0 ] || return 0
    for try in 1 2 3 4; do
        DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 install -y \
            --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return 0
        sleep $((try * 2))
        apt-get -q update >/dev/null 2>&1 || true
    done
}

[ "$(uname -m)" = x86_64 ] || skip "the guest is x86_64, this machine is $(uname -m)"
command -v python3 >/dev/null || skip "python3 is missing"
command -v dpkg-query >/dev/null || skip "this is not Debian, whose kernel is the other end"
install_packages
# The image is made here, since inside the new network namespace there is no network; by one at
# a time.
mkdir -p "$cache"
reason=$(flock "$cache" python3 "$here/kernel_peer.py" "$kernel" "$cache" 2>&1) || skip "$reason"

flags=-nm
[ "$(id -u)" -eq 0 ] || flags=-Urnm
unshare "$flags" true 2>/dev/null || skip "no network namespaces here; root is needed"
(: <>/dev/net/tun) 2>/dev/null || skip "/dev/net/tun cannot be opened; root is needed"
# A /run of our own holds the names of our namespaces; everything goes when we end.
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare "$flags" "$BASH" -c 'mount -t tmpfs tmpfs /run && exec python3 "$@"' - \
    "$here/interop.py" "$build" "$cache" "$kernel" "$@"
