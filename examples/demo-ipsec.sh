# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# The IPsec tunnels of demo.sh. Only demo.sh runs this, and its functions are used here.
# shellcheck shell=bash disable=SC2154

# key BYTES: random, as hexadecimal digits.
key() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

# sa SRC DST SPI MORE: one direction, AES-128-GCM.
sa() {
    cat <<END
{"src": "$1", "dst": "$2", "spi": $3, "mode": "tunnel", "enc": "aes-gcm", "icv_len": 16,
 "enc_key": "$(key 16)", "salt": "$(key 4)"$4}
END
}

# make_keys LOCAL REMOTE MORE: for both ends. Only we may read them, or the gateways refuse.
make_keys() {
    (umask 077 && rm -f "$work/keys.json" && cat >"$work/keys.json") <<END
{"schema": "tunnelcap-sa/1", "sas": [
$(sa "$1" "$2" 4096 "$3"),
$(sa "$2" "$1" 4097 "$3")]}
END
}

# tshark_fields FIELD...: what Wireshark, which shares no code with us, makes of the packets.
tshark_fields() {
    WIRESHARK_CONFIG_DIR=$work/wireshark tshark -nr "$work/esp.pcap" \
        -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE \
        -Y 'esp.icv_good == 1 and tcp' -T fields "${@/#/-e}" 2>/dev/null
}

# What only the two ends should see, with the keys.
show_inside() {
    local packets
    packets=$(frames "$work/esp.pcap" "$filter")
    mkdir -p "$work/wireshark"
    "$build/examples/pcap/tunnelcap-pcap" decap --keys "$work/keys.json" --write-esp-sa "$work/wireshark/esp_sa" \
        "$work/esp.pcap" "$work/inside.pcap" >/dev/null
    echo
    say "The same packets as tunnelcap-pcap decrypts them with the keys:"
    tcpdump -ttnr "$work/inside.pcap" -c 2 2>/dev/null | cut -c 1-118 | indent
    echo
    check "tunnelcap-pcap decrypts all of the first $packets packets" \
        [ "$packets" -gt 0 -a "$(frames "$work/inside.pcap" 'tcp')" -eq "$packets" ]
    if command -v tshark >/dev/null; then
        check "tshark decrypts them too, and every ICV is right" \
            [ "$(tshark_fields tcp.srcport | wc -l)" -eq "$packets" ]
    fi
}

# run_ipsec_tunnel TITLE MTU MORE_OF_SA OPTIONS
run_ipsec_tunnel() {
    # shellcheck disable=SC2034 # run_tunnel and those that it calls see them
    local tunnels=ipsec_tunnels ends='' wire=ESP filter=$esp
    [ -d "$work/state" ] || mkdir -m 700 "$work/state"
    make_keys 192.0.2.1 198.51.100.1 "$3"
    run_tunnel "$1" 192.0.2.1 198.51.100.1 "$2" \
        ", \"key_file\": \"$work/keys.json\", \"state_dir\": \"$work/state\"$4"
}
