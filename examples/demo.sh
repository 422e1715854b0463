#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Watch real TCP cross real GRE and IPsec tunnels that this library carries, with one command.
set -euo pipefail

usage() {
    cat <<'END'
usage: demo.sh [--keep DIR]

Builds tunnelcap, makes a small Internet of network namespaces, and sends files both ways over
TCP through GRE and IPsec tunnels between two tunnelcap gateways; then cuts one of two tunnels. Needs no root; as root it also installs
the Debian packages that are missing. Nothing is left behind but the build.

  --keep DIR   copy captures, configurations and logs to DIR

TUNNELCAP_BUILD_DIR   where to build; build-demo/ beside the sources by default
END
}

# What the demo itself needs: "Debian package|a file or program that tells it is there".
packages() {
    cat <<'END'
gcc|gcc
libc6-dev|/usr/include/stdio.h
make|make
cmake|cmake
pkg-config|pkg-config
libpcap-dev|/usr/include/pcap/pcap.h
libjansson-dev|/usr/include/jansson.h
libevent-dev|/usr/include/event2/event.h
libncurses-dev|/usr/include/ncurses.h
libnetfilter-queue-dev|/usr/include/libnetfilter_queue/libnetfilter_queue.h
libmnl-dev|/usr/include/libmnl/libmnl.h
libssl-dev|/usr/include/openssl/evp.h
iproute2|ip
iptables|iptables
procps|sysctl
netcat-openbsd|nc.openbsd
tcpdump|tcpdump
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
build=${TUNNELCAP_BUILD_DIR:-$root/build-demo}
PATH=$PATH:/usr/sbin:/sbin

# ------------------------------------------------------------------------------------ output
if [ -t 1 ]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' red='' green='' plain=''
fi
passed=0
failed=0

title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
indent() { sed 's/^./    &/'; }

die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# check NAME COMMAND...: one PASS or FAIL line.
check() {
    local name=$1
    shift
    if "$@"; then
        printf '  %sPASS%s  %s\n' "$green" "$plain" "$name"
        passed=$((passed + 1))
    else
        printf '  %sFAIL%s  %s\n' "$red" "$plain" "$name"
        failed=$((failed + 1))
    fi
}

summary() {
    title "$([ "$failed" -eq 0 ] && echo "${green}PASS" || echo "${red}FAIL")$plain" \
        "$passed passed, $failed failed in $SECONDS s: $1"
    [ "$failed" -eq 0 ]
}

# ------------------------------------------------------------------- packages and the build
missing_packages() {
    local package sign
    while IFS='|' read -r package sign; do
        case $sign in
        /*) [ -e "$sign" ] || echo "$package" ;;
        *) command -v "$sign" >/dev/null || echo "$package" ;;
        esac
    done < <(packages)
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"; }

install_packages() {
    local missing try
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        die "these packages are missing; please install them first:
  sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    title "Installing ${missing[*]}"
    for try in 1 2 3 4; do
        if { [ "$try" -eq 1 ] || apt update; } &&
            apt install -y --no-install-recommends "${missing[@]}"; then
            return 0
        fi
        sleep $((try * 2))
    done >"$log/apt.log" 2>&1
    tail -n 15 "$log/apt.log" >&2
    die "apt-get could not install ${missing[*]}"
}

build_programs() {
    title "Building in $build"
    if ! { cmake -S "$root" -B "$build" -DTUNNELCAP_TESTS=OFF &&
        cmake --build "$build" --parallel "$(nproc)"; } >"$log/build.log" 2>&1; then
        tail -n 30 "$log/build.log" >&2
        die "the build failed"
    fi
    say "$("$build/examples/pcap/tunnelcap-pcap" --version)"
}

# ------------------------------------------------------------------------- the little Internet
# at NODE COMMAND...: run a command in a node's network. Not `ip netns exec`, which would mount
# a new /sys, and that is refused in many containers.
at() {
    local node=$1
    shift
    nsenter --net="/run/netns/$node" -- "$@"
}

# cable NODE1 DEV1 ADDRESS1 NODE2 DEV2 ADDRESS2
cable() {
    ip link add "$2" netns "$1" type veth peer name "$5" netns "$4"
    at "$1" ip addr add "$3" dev "$2"
    at "$4" ip addr add "$6" dev "$5"
    at "$1" ip link set "$2" up
    at "$4" ip link set "$5" up
}

topology_picture() {
    cat <<'END'

                   192.0.2.1                 198.51.100.1
                   +------+    TCP in GRE    +----------+
    client --------| edge |=================>| customer |-------- origin
    10.1.0.2       +------+    the tunnel    |  router  |      203.0.113.80
        ^                                    +----------+
        |          direct server return           |
        +------------- TCP as it is --------------+

  The addresses 203.0.113.0/24 of the customer are announced at the edge: what clients send
  there is wrapped and sent on to the customer. Answers return straight through the customer's
  Internet provider, so they never see the tunnel. A "core" router, not drawn, joins the three;
  like much of the Internet it loses ICMP "fragmentation needed", so that only a correct MSS
  clamp keeps large segments moving.
END
}

make_topology() {
    local node
    for node in client core edge customer origin; do
        ip netns add "$node"
        at "$node" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
            net.ipv4.conf.default.rp_filter=0
        at "$node" ip link set lo up
    done
    cable client eth0 10.1.0.2/24 core client0 10.1.0.1/24
    cable edge eth0 10.2.0.2/24 core edge0 10.2.0.1/24
    cable customer isp0 10.3.0.2/24 core customer0 10.3.0.1/24
    cable origin eth0 203.0.113.80/24 customer lan0 203.0.113.1/24
    at client ip route add default via 10.1.0.1
    at edge ip route add default via 10.2.0.1
    at customer ip route add default via 10.3.0.1
    at origin ip route add default via 203.0.113.1
    at edge ip addr add 192.0.2.1/32 dev lo
    at customer ip addr add 198.51.100.1/32 dev lo
    at core ip route add 192.0.2.1/32 via 10.2.0.2
    at core ip route add 203.0.113.0/24 via 10.2.0.2
    at core ip route add 198.51.100.1/32 via 10.3.0.2
    at core iptables -A FORWARD -p icmp --icmp-type fragmentation-needed -j DROP
}

# IPv6 between the tunnel's ends only: what the tunnel carries stays IPv4.
add_ipv6() {
    at core sysctl -qw net.ipv6.conf.all.forwarding=1
    at core ip addr add 2001:db8:2::1/64 dev edge0 nodad
    at core ip addr add 2001:db8:3::1/64 dev customer0 nodad
    at edge ip addr add 2001:db8:2::2/64 dev eth0 nodad
    at customer ip addr add 2001:db8:3::2/64 dev isp0 nodad
    at edge ip route add default via 2001:db8:2::1
    at customer ip route add default via 2001:db8:3::1
}

# Tells on standard error why the little Internet cannot be made here.
probe() {
    mount -t tmpfs tmpfs /run
    make_topology
    at customer iptables -t mangle -A FORWARD -p tcp -j NFQUEUE --queue-num 0 --queue-bypass
    if ! (: <>/dev/net/tun) 2>/dev/null; then
        die "/dev/net/tun cannot be opened: $(stat -c 'mode %a, owner %U' /dev/net/tun 2>&1)"
    fi
    at edge ip tuntap add probe0 mode tun
}

# ------------------------------------------------------------------------------ the gateways
# What tunnels are of, in the configuration, and on the wire.
readonly gre='ip proto 47 or ip6 proto 47' esp='ip proto 50 or udp port 4500'
tunnels=gre_tunnels ends=_gre wire=GRE filter=$gre

# gateway_config SIDE LOCAL_END REMOTE_END MTU OPTIONS MORE: one tunnel between the two ends.
gateway_config() {
    local routes=''
    if [ "$1" = edge ]; then
        routes='{"prefix": "203.0.113.0/24", "nexthop": "10.99.0.1"}'
    fi
    cat <<END
{
    "side": "$1",
    "$tunnels": [{
        "name": "demo",
        "cloudflare${ends}_endpoint": "$2",
        "customer${ends}_endpoint": "$3",
        "interface_address": "10.99.0.0/31",
        "ttl": 64,
        "mtu": $4$5
    }],
    "routes": [$routes],
    "control": "$work/$1.sock"$6
}
END
}

# Processes of the demo, each in the background; cleanup ends those and no others.
pids=()

# start NODE COMMAND...: not through at(), which would put a shell between us and the process;
# and `<&0`, because the shell takes the standard input of background processes away.
start() {
    local node=$1
    shift
    nsenter --net="/run/netns/$node" -- "$@" <&0 &
    pids+=($!)
}

# stop PID: end one of them and hand on its exit status.
stop() {
    local status=0
    kill "$1" 2>/dev/null || true
    await 10 gone "$1" || kill -KILL "$1"
    wait "$1" || status=$?
    forget "$1"
    return $status
}

# forget PID: a process that has ended is ours no longer.
forget() {
    local pid
    for pid in "${!pids[@]}"; do
        [ "${pids[pid]}" != "$1" ] || unset "pids[$pid]"
    done
}

gone() { ! kill -0 "$1"; }

cleanup() {
    local pid
    trap - EXIT
    for pid in ${pids[@]+"${pids[@]}"}; do
        stop "$pid" || true
    done
    [ -z "$keep" ] ||
        find "$work" -name '*.*' -type f -exec cp -t "$keep" {} +
    rm -rf -- "$work"
}

# await SECONDS COMMAND...: until the command succeeds.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

gateway() { "$build/examples/gateway/tunnelcap-gateway" "$@"; }

# counter NODE DIRECTION NAME: a number of the tunnel, from the gateway's JSON.
counter() {
    gateway stats --json --control "$work/$1.sock" | tr -d ' \n' |
        sed -n "s/.*\"$2\":{[^}]*\"$3\":\([0-9]*\).*/\1/p"
}

start_gateway() {
    start "$1" "$build/examples/gateway/tunnelcap-gateway" run "$work/$1.json" \
        >"$work/$1.log" 2>&1
    await 10 gateway stats --control "$work/$1.sock" || {
        cat "$work/$1.log" >&2
        die "the gateway of the $1 did not start"
    }
}

# start_gateways LOCAL REMOTE MTU OPTIONS CLAMP: sets `edge` and `customer`, their processes.
start_gateways() {
    gateway_config edge "$1" "$2" "$3" "$4" '' >"$work/edge.json"
    gateway_config customer "$1" "$2" "$3" "$4" "$5" >"$work/customer.json"
    start_gateway edge
    edge=${pids[-1]}
    start_gateway customer
    customer=${pids[-1]}
}

stop_gateways() { stop "$edge" && stop "$customer"; }

# -------------------------------------------------------------------------- files over TCP
listening() { at origin ss -Hltn "sport = :$1" | grep -q .; }

# Each transfer is one TCP connection that the client opens, through the tunnel.
download() {
    local server status=0
    start origin timeout 60 nc.openbsd -lN 8001 <"$1"
    server=$!
    await 5 listening 8001
    at client timeout 20 nc.openbsd -d 203.0.113.80 8001 >"$2" || status=$?
    stop "$server" || true
    return $status
}

# upload FILE RESULT SECONDS
upload() {
    local server status=0
    start origin timeout 60 nc.openbsd -ld 8002 >"$2"
    server=$!
    await 5 listening 8002
    at client timeout "$3" nc.openbsd -N 203.0.113.80 8002 <"$1" || status=$?
    await 1 same "$1" "$2" || status=1
    stop "$server" || true
    return $status
}

same() { cmp -s "$1" "$2"; }

# transfer WORD COMMAND...: run it, say how long it took, compare SHA-256 sums.
transfer() {
    local word=$1 began took
    shift
    began=$(date +%s%N)
    "$@" || say "$word: the connection failed"
    took=$((($(date +%s%N) - began) / 1000000))
    say "$word: $(stat -c %s "$3") bytes in $took ms, SHA-256 $(sum "$3" | cut -c 1-16)..."
    check "$word: the file arrived whole (SHA-256 as sent)" [ "$(sum "$2")" = "$(sum "$3")" ]
}

sum() { sha256sum <"$1" | cut -d ' ' -f 1; }

# ------------------------------------------------------------------------------ observation
# capture NODE DEV FILE FILTER OPTIONS...: -Z root, since the user tcpdump may not read our files;
# --immediate-mode, since what waits in a buffer when tcpdump ends is lost. The cables keep their
# checksum offload: the kernel finishes a checksum where a packet leaves for a TUN device or for
# NFQUEUE, so that what is in the tunnel always has a right one.
capture() {
    start "$1" tcpdump -Z root --immediate-mode -B 16384 -U -n -s 160 -i "$2" -w "$3" \
        "${@:5}" "$4" >"$3.log" 2>&1
    captures+=($!)
    await 5 grep -q 'listening on' "$3.log" || die "tcpdump does not start: $(cat "$3.log")"
}

frames() { tcpdump -nr "$1" "$2" 2>/dev/null | wc -l; }

# mss CAPTURE FILTER: the MSS of the first such segment.
mss() { tcpdump -nr "$1" "$2" 2>/dev/null | sed -n 's/.*\[mss \([0-9]*\).*/\1/p' | head -n 1; }

readonly syn='tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn'
readonly syn_ack='tcp[tcpflags] & (tcp-syn|tcp-ack) = (tcp-syn|tcp-ack)'

show_mss() {
    local limit=$1 at_client=$work/client.pcap at_origin=$work/origin.pcap
    echo
    say "MSS           at the client    at the origin"
    printf '  SYN      %12s  ---->  %10s   (clamped by the edge, into the tunnel)\n' \
        "$(mss "$at_client" "$syn")" "$(mss "$at_origin" "$syn")"
    printf '  SYN-ACK  %12s  <----  %10s   (clamped by the customer, on its ISP port)\n\n' \
        "$(mss "$at_client" "$syn_ack")" "$(mss "$at_origin" "$syn_ack")"
    check "the MSS of the SYN became $limit" [ "$(mss "$at_origin" "$syn")" = "$limit" ]
    check "the MSS of the SYN-ACK became $limit" [ "$(mss "$at_client" "$syn_ack")" = "$limit" ]
}

show_wire() {
    local seen=$work/wire.pcap tunnelled bare direct
    tunnelled=$(frames "$seen" "$filter")
    bare=$(frames "$seen" "tcp and dst net 203.0.113.0/24")
    direct=$(frames "$seen" "tcp and src net 203.0.113.0/24")
    echo
    say "On the wire to the customer, as tcpdump reads it:"
    tcpdump -ttvnr "$seen" -c 2 "$filter" 2>/dev/null | cut -c 1-118 | indent
    echo
    check "on the wire all is $wire: $tunnelled packets, $bare outside of the tunnel" \
        [ "$tunnelled" -gt 0 -a "$bare" -eq 0 ]
    check "direct server return: $direct TCP packets straight back" [ "$direct" -gt 0 ]
}

show_counters() {
    local node sent received
    for node in edge customer; do
        echo
        say "What the gateway of the $node has counted (tunnelcap-gateway stats):"
        gateway stats --control "$work/$node.sock" |
            sed -n -e 's/ *$//' -e '/ WAY /,/^$/{/^[A-Z][a-z]/!p}' -e '/^Clamped/p' | indent
    done
    echo
    sent=$(counter edge encap inner_bytes)
    received=$(counter customer decap inner_bytes)
    check "the edge sent $sent bytes into the tunnel, the customer took $received out" \
        [ "${sent:-0}" -gt 0 -a "$sent" = "$received" ]
}

# run_tunnel TITLE LOCAL REMOTE MTU OPTIONS
run_tunnel() {
    local captures=() edge customer pid
    title "$1"
    start_gateways "$2" "$3" "$4" "$5" ', "clamp_egress": ["isp0"]'
    capture client eth0 "$work/client.pcap" 'tcp[tcpflags] & tcp-syn != 0'
    capture origin eth0 "$work/origin.pcap" 'tcp[tcpflags] & tcp-syn != 0'
    capture core customer0 "$work/wire.pcap" "$filter or tcp"
    [ "$wire" = GRE ] || capture core customer0 "$work/esp.pcap" "$filter and greater 80" -c 100 -s 0
    transfer download download "$work/file" "$work/got"
    transfer upload upload "$work/file" "$work/got" 20
    sleep 0.3 # for the captures to catch up
    for pid in "${captures[@]}"; do
        stop "$pid"
    done
    show_mss $(($4 - 40))
    show_wire
    [ "$wire" = GRE ] || show_inside
    show_counters
    check "both gateways ended cleanly" stop_gateways
}

# Without the clamp an upload must stall, or the demo would prove nothing about it.
run_without_clamp() {
    local edge customer
    title "Counter-proof: the first tunnel without the clamp on the ISP port"
    start_gateways 192.0.2.1 198.51.100.1 1476 '' ''
    transfer download download "$work/file" "$work/got"
    check "an upload stalls, so it was the clamp that carried those above" \
        not upload "$work/file" "$work/got" 3
    stop_gateways
}

not() { ! "$@"; }

main_inside() {
    work=/run/demo
    mount -t tmpfs tmpfs /run
    mkdir "$work"
    trap cleanup EXIT
    trap 'exit 130' INT TERM HUP
    topology_picture
    make_topology
    head -c 20M /dev/urandom >"$work/file"
    run_tunnel "1. GRE over IPv4" 192.0.2.1 198.51.100.1 1476 ''
    run_tunnel "2. GRE over IPv4 with key, checksum and sequence number" \
        192.0.2.1 198.51.100.1 1464 ', "key": 42, "checksum": true, "sequence": true'
    if [ -e /proc/sys/net/ipv6 ]; then
        add_ipv6
        run_tunnel "3. GRE over IPv6" 2001:db8:2::2 2001:db8:3::2 1456 ''
    else
        check "3. GRE over IPv6: this kernel has no IPv6" false
    fi
    run_ipsec_tunnel "4. ESP tunnel mode, AES-128-GCM over IPv4" 1446 '' ''
    run_ipsec_tunnel "5. ESP in UDP 4500" 1438 ', "udp_encap": [4500, 4500]' ', "udp": true'
    run_without_clamp
    run_failover "6. Two tunnels share the load, and one is cut"
    summary "TCP through GRE and IPsec tunnels between network namespaces"
}

# shellcheck source=examples/demo-ipsec.sh
. "$here/demo-ipsec.sh"
# shellcheck source=examples/demo-failover.sh
. "$here/demo-failover.sh"

# ---------------------------------------------------------------------------------- the whole
# Sets `flags` to what unshare needs here, or `reason` to why nothing works. Root needs no user
# namespace, but in a container may have to take one all the same. In it we are not root: as
# such tcpdump would want to become another user, and there is none.
find_namespaces() {
    local root_reason=''
    if [ "$(id -u)" -eq 0 ]; then
        flags=(-nm)
        root_reason=$(try_namespaces) && return 0
    fi
    flags=(-nmU --map-user=1000 --map-group=1000 --keep-caps)
    reason=$(try_namespaces) && return 0
    reason=${root_reason:-$reason}
    return 1
}

try_namespaces() { unshare "${flags[@]}" "$BASH" "$here/demo.sh" --probe 2>&1; }

main() {
    local flags reason log
    keep=''
    while [ $# -gt 0 ]; do
        case $1 in
        --keep) keep=$(mkdir -p "${2:?--keep needs a directory}" && cd "$2" && pwd) && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
        esac
    done
    log=$(mktemp -d)
    trap 'rm -rf -- "$log"' EXIT
    install_packages
    build_programs
    rm -rf -- "$log"
    trap - EXIT
    if find_namespaces; then
        exec unshare "${flags[@]}" "$BASH" "$here/demo.sh" --inside "$keep"
    fi
    title "Network namespaces with TUN devices are not to be had here:"
    say "$reason"
    say "So no live traffic; the same code shows itself on captures instead."
    # shellcheck source=examples/demo-captures.sh
    . "$here/demo-captures.sh"
    main_captures
}

case ${1:-} in
--probe) probe ;;
--inside)
    keep=$2
    main_inside
    ;;
*) main "$@" ;;
esac
