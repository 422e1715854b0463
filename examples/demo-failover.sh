# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Two tunnels of one customer in demo.sh, one of which is cut. Only demo.sh runs this, and its
# functions are used here.
# shellcheck shell=bash disable=SC2154

# So many TCP connections, which the two tunnels share; each sends so many pieces of so many bytes,
# five in a second.
readonly flows=12 pieces=60 piece=50000

failover_picture() {
    cat <<'END'

                      ISP 1, tunnel isp1
               +------+ ============== +----------+
    client ----| edge |                | customer |---- origin
               +------+ ============== +----------+
                      ISP 2, tunnel isp2: will be cut

  Both tunnels lead to the customer's 203.0.113.0/24 with the same priority, so connections are
  shared among them by a hash of addresses and ports. A probe each second goes through each. The
  cut is a silent one: packets get lost, and nobody tells.
END
}

# The customer gets a second Internet provider, with an address of its own.
add_isp() {
    cable customer isp1 10.4.0.2/24 core customer1 10.4.0.1/24
    at customer ip addr add 198.51.100.2/32 dev lo
    at customer ip route add default via 10.4.0.1 table 2
    at customer ip rule add from 198.51.100.2 table 2
    at core ip route add 198.51.100.2/32 via 10.4.0.2
}

cut_isp() {
    at core iptables -I FORWARD -i customer1 -j DROP
    at core iptables -I FORWARD -o customer1 -j DROP
}

mend_isp() {
    at core iptables -D FORWARD -i customer1 -j DROP
    at core iptables -D FORWARD -o customer1 -j DROP
}

# failover_tunnel NAME CUSTOMER_END INTERFACE_ADDRESS
failover_tunnel() {
    cat <<END
{"name": "$1", "cloudflare_gre_endpoint": "192.0.2.1", "customer_gre_endpoint": "$2",
 "interface_address": "$3",
 "health_check": {"enabled": true, "rate": "high", "type": "request",
                  "direction": "bidirectional"}}
END
}

# failover_config SIDE ROUTES MORE
failover_config() {
    cat <<END
{
    "side": "$1",
    "control": "$work/$1.sock",
    "gre_tunnels": [
$(failover_tunnel isp1 198.51.100.1 10.99.0.0/31),
$(failover_tunnel isp2 198.51.100.2 10.99.0.2/31)],
    "routes": [$2]$3
}
END
}

# tunnel_stats NAME: what the gateway of the edge says of a tunnel.
tunnel_stats() {
    gateway stats --json --control "$work/edge.sock" | tr -d ' \n' |
        sed -e "s/.*\"name\":\"$1\",//" -e 's/{"name":.*//'
}

in_state() { tunnel_stats "$1" | grep -q "\"state\":\"$2\""; }

# carried NAME: the bytes that clients have sent through a tunnel.
carried() { tunnel_stats "$1" | sed 's/.*"encap":{[^}]*"inner_bytes":\([0-9]*\).*/\1/'; }

# send_pieces PORT: slow enough to be under way when the tunnel is cut. Each dd reads on where the
# one before has stopped.
send_pieces() {
    local i
    for ((i = 0; i < pieces; i++)); do
        dd bs=$piece count=1 status=none
        sleep 0.2
    done <"$work/flow" | at client timeout 60 nc.openbsd -N 203.0.113.80 "$1"
}

all_listen() { [ "$(at origin ss -Hltn 'sport >= :9001' | wc -l)" -eq "$flows" ]; }

# Sets `servers` and `clients`, the processes of the two ends.
start_flows() {
    local i
    head -c $((pieces * piece)) /dev/urandom >"$work/flow"
    for ((i = 1; i <= flows; i++)); do
        start origin timeout 90 nc.openbsd -ld $((9000 + i)) >"$work/flow.$i"
        servers+=("${pids[-1]}")
    done
    await 10 all_listen || die "the servers do not start"
    for ((i = 1; i <= flows; i++)); do
        send_pieces $((9000 + i)) &
        pids+=($!)
        clients+=($!)
    done
}

# How many files came whole.
count_whole() {
    local i whole=0
    for ((i = 1; i <= flows; i++)); do
        [ "$(sum "$work/flow")" != "$(sum "$work/flow.$i")" ] || whole=$((whole + 1))
    done
    echo $whole
}

finish_flows() {
    local pid
    for pid in "${clients[@]}"; do
        wait "$pid" || true
        forget "$pid"
    done
    await 5 all_arrived || true
    for pid in "${servers[@]}"; do
        stop "$pid" || true
    done
}

all_arrived() { [ "$(count_whole)" -eq "$flows" ]; }

show_shares() {
    local first second
    first=$(carried isp1) second=$(carried isp2)
    say "isp1 has carried $first bytes, isp2 $second"
    check "both tunnels carry connections" [ "$first" -gt 100000 -a "$second" -gt 100000 ]
}

# Cut one tunnel, and see what becomes of it.
show_cut() {
    local began took before
    say "Now isp2 is cut."
    cut_isp
    began=$(date +%s%N)
    check "the probes find that isp2 is down" await 10 in_state isp2 down
    took=$((($(date +%s%N) - began) / 1000000))
    say "$took ms after the cut: isp2 is down, and its connections go through isp1"
    before=$(carried isp2)
    finish_flows
    check "nothing goes into isp2 any more" [ "$(carried isp2)" = "$before" ]
    check "isp1 is as healthy as it was" in_state isp1 healthy
    check "all $flows files arrived whole, those of isp2 too (SHA-256 as sent)" \
        [ "$(count_whole)" -eq "$flows" ]
}

run_failover() {
    local edge customer servers=() clients=()
    title "$1"
    failover_picture
    add_isp
    failover_config edge '{"prefix": "203.0.113.0/24", "tunnel": "isp1"},
               {"prefix": "203.0.113.0/24", "tunnel": "isp2"}' '' >"$work/edge.json"
    failover_config customer '' ', "clamp_egress": ["isp0", "isp1"]' >"$work/customer.json"
    start_gateway edge
    edge=${pids[-1]}
    start_gateway customer
    customer=${pids[-1]}
    echo
    check "both tunnels answer probes" await 10 answers isp1 isp2
    start_flows
    sleep 4
    show_shares
    show_cut
    mend_isp
    check "mended, isp2 is degraded at first, and not used before it has proven itself" \
        await 10 in_state isp2 degraded
    echo
    say "What the tunnels carried, second by second (tunnelcap-gateway history):"
    echo
    COLUMNS=72 gateway history --direction egress --control "$work/edge.sock" | indent
    echo
    check "both gateways ended cleanly" stop_gateways
}

# answers NAME...: whether probes through these tunnels have been answered.
answers() {
    local name
    for name in "$@"; do
        tunnel_stats "$name" | grep -q '"answered":[1-9]' || return 1
    done
}
