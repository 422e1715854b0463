# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# What demo.sh shows where network namespaces or TUN devices are forbidden: the same tunnels, on
# a capture that it makes itself. Only demo.sh runs this, and its functions are used here.
# shellcheck shell=bash disable=SC2154

# checksum HEX: the Internet checksum (RFC 1071), in hexadecimal.
checksum() {
    local hex=$1 sum=0 i
    [ $((${#hex} % 4)) -eq 0 ] || hex+=00
    for ((i = 0; i < ${#hex}; i += 4)); do
        sum=$((sum + 16#${hex:i:4}))
    done
    while [ $((sum >> 16)) -gt 0 ]; do
        sum=$(((sum & 0xffff) + (sum >> 16)))
    done
    printf '%04x' $((sum ^ 0xffff))
}

# write_hex HEX: as bytes.
write_hex() {
    local i
    for ((i = 0; i < ${#1}; i += 2)); do
        printf '%b' "\\x${1:i:2}"
    done
}

# tcp_frame SECOND SEQUENCE OFFSET_AND_FLAGS OPTIONS DATA_BYTES: a pcap record with a segment
# from 10.1.0.2 port 40000 to 203.0.113.80 port 80. Whatever holds bytes holds them as hex.
tcp_frame() {
    local addresses=0a010002cb007150 tcp ip rest size
    printf -v rest '%*s' $(($5 * 2)) ''
    rest=$4${rest// /0}
    tcp=9c400050$(printf '%08x' "$2")00000000$3ffff
    printf -v size '%04x' $(((${#tcp} + 8 + ${#rest}) / 2))
    tcp+=$(checksum "${addresses}0006$size$tcp$rest")0000$rest
    printf -v size '%04x' $((20 + ${#tcp} / 2))
    ip=4500${size}000040004006
    ip+=$(checksum "$ip$addresses")$addresses
    size=0000$size
    write_hex "$(printf '%08x' "$1")00000000$size$size$ip$tcp"
}

# A capture (big-endian pcap, link type raw IP): a SYN with MSS 1460, then data.
make_capture() {
    local second=1 sequence=1 bytes
    write_hex a1b2c3d40002000400000000000000000004000000000065
    tcp_frame $second 0 6002 020405b4 0
    for bytes in 0 1 512 536 1000 1400; do
        second=$((second + 1))
        tcp_frame $second $sequence 5018 '' "$bytes"
        sequence=$((sequence + bytes))
    done
}

pcap() { "$build/examples/pcap/tunnelcap-pcap" "$@" >/dev/null; }

# Time and bytes of each packet.
content() { tcpdump -ttxnr "$1" 2>/dev/null; }

# round_trip TITLE SPEC
round_trip() {
    title "$1"
    say "tunnelcap-pcap encap --tunnel $2"
    check "the packets are wrapped" pcap encap --tunnel "$2" "$work/inner.pcap" "$work/outer.pcap"
    tcpdump -ttvnr "$work/outer.pcap" -c 2 2>/dev/null | cut -c 1-118 | indent
    check "all packets are GRE" [ "$(frames "$work/outer.pcap" "$gre")" -eq 7 ]
    check "the packets are unwrapped" pcap decap "$work/outer.pcap" "$work/back.pcap"
    check "each is what it was, byte for byte" \
        [ "$(content "$work/inner.pcap")" = "$(content "$work/back.pcap")" ]
}

main_captures() {
    work=$(mktemp -d)
    trap cleanup EXIT
    make_capture >"$work/inner.pcap"
    round_trip "1. GRE over IPv4" gre,local=192.0.2.1,remote=198.51.100.1
    round_trip "2. GRE over IPv4 with key, checksum and sequence number" \
        gre,local=192.0.2.1,remote=198.51.100.1,key=42,csum,seq
    round_trip "3. GRE over IPv6" gre,local=2001:db8:2::2,remote=2001:db8:3::2
    title "4. MSS clamp"
    pcap clamp --mss 1436 "$work/inner.pcap" "$work/clamped.pcap"
    say "MSS of the SYN: $(mss "$work/inner.pcap" "$syn") before," \
        "$(mss "$work/clamped.pcap" "$syn") after"
    check "the MSS of the SYN became 1436" [ "$(mss "$work/clamped.pcap" "$syn")" = 1436 ]
    summary "captures only; no packet left this program"
}
