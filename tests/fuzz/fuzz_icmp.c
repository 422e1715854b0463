/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any bytes as a packet to be answered with an ICMP error, as an ICMP error to be read and
 * relayed, and as an echo. What is made must be right by a second reading of the RFCs, and must
 * not answer what may not be answered.
 *
 * Input: choice, headroom, kind, code, mtu (2), packet.
 */
#include <string.h>

#include "fuzz.h"
#include "reference.h"

enum { CHOICE_PARSE = 0, CHOICE_BUILD = 1, CHOICE_ECHO = 2, CHOICE_ECHO_BUILD = 3 };
enum { REPAIR = 4, AT_ICMP = 8, IPV6 = 16 };

struct choice {
    unsigned what; /* a CHOICE_ and the flags */
    uint32_t head;
    uint8_t kind, code;
    uint16_t mtu;
};

static const int32_t build_statuses[] = {
    TUNNELCAP_OK,          TUNNELCAP_E_NO_ANSWER, TUNNELCAP_E_HEADROOM,
    TUNNELCAP_E_TRUNCATED, TUNNELCAP_E_MALFORMED, TUNNELCAP_E_CHECKSUM,
    TUNNELCAP_E_MODE,      TUNNELCAP_E_RANGE,     FUZZ_END};
static const int32_t parse_statuses[] = {TUNNELCAP_OK,
                                         TUNNELCAP_E_ICMP,
                                         TUNNELCAP_E_FRAGMENT,
                                         TUNNELCAP_E_TRUNCATED,
                                         TUNNELCAP_E_MALFORMED,
                                         TUNNELCAP_E_CHECKSUM,
                                         FUZZ_END};
static const int32_t relay_statuses[] = {TUNNELCAP_OK,          TUNNELCAP_E_NO_ANSWER,
                                         TUNNELCAP_E_ICMP,      TUNNELCAP_E_HEADROOM,
                                         TUNNELCAP_E_MALFORMED, FUZZ_END};
static const int32_t reply_statuses[] = {
    TUNNELCAP_OK,          TUNNELCAP_E_NO_ANSWER, TUNNELCAP_E_ICMP,     TUNNELCAP_E_FRAGMENT,
    TUNNELCAP_E_TRUNCATED, TUNNELCAP_E_MALFORMED, TUNNELCAP_E_CHECKSUM, FUZZ_END};

static uint32_t icmp_number(uint32_t version)
{
    return version == 4 ? 1 : 58;
}

/* Sum of a message with its pseudo-header, where it has one. */
static uint32_t icmp_sum(const uint8_t *p, const struct reference_ip *ip)
{
    uint32_t len = ip->end - ip->upper;
    uint32_t sum = ip->version == 4 ? 0 : reference_pseudo(ip->addresses, 16, 58, len);

    return reference_sum(p + ip->upper, len, sum);
}

/* A random input never has right checksums. */
static void repair(uint8_t *p, size_t len)
{
    struct reference_ip ip;

    if (!reference_ip_parse(p, len, &ip))
        return;
    if (ip.end <= len && ip.protocol == icmp_number(ip.version) && ip.end >= ip.upper + 8) {
        reference_store16(p + ip.upper + 2, 0);
        reference_store16(p + ip.upper + 2, 0xffff - icmp_sum(p, &ip));
    }
    if (ip.version == 4) {
        reference_store16(p + 10, 0);
        reference_store16(p + 10, 0xffff - reference_sum(p, ip.upper, 0));
    }
}

static bool is_error_type(uint32_t version, uint32_t type)
{
    if (version == 6)
        return type < 128 || type == 137;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* Check a message that the library has made about the packet at `about`. */
static void check_made(const tunnelcap_pkt *pkt, uint8_t kind)
{
    const uint8_t *p = pkt->buf + pkt->off;
    tunnelcap_icmp_result result = {.size = sizeof(result)};
    struct reference_ip ip, quoted;
    const uint8_t *quote;
    int32_t status;

    FUZZ_CHECK(reference_ip_parse(p, pkt->len, &ip));
    FUZZ_CHECK(ip.end == pkt->len && pkt->len <= (ip.version == 4 ? 576u : 1280u));
    FUZZ_CHECK(ip.upper == (ip.version == 4 ? 20u : 40u));
    FUZZ_CHECK(ip.protocol == icmp_number(ip.version) && icmp_sum(p, &ip) == 0xffff);
    FUZZ_CHECK(ip.version == 6 || reference_sum(p, 20, 0) == 0xffff);
    FUZZ_CHECK(is_error_type(ip.version, p[ip.upper]));
    quote = p + ip.upper + 8;
    FUZZ_CHECK(quote[0] >> 4 == ip.version);
    FUZZ_CHECK(memcmp(quote + (ip.version == 4 ? 12 : 8), ip.addresses + ip.address_len,
                      ip.address_len) == 0);
    if (reference_ip_parse(quote, pkt->len - ip.upper - 8, &quoted) &&
        quoted.protocol == icmp_number(quoted.version)) {
        FUZZ_CHECK(quoted.first);
        FUZZ_CHECK(!is_error_type(quoted.version, quote[quoted.upper]));
    }
    status = tunnelcap_icmp_parse(pkt, NULL, &result);
    FUZZ_CHECK(status == TUNNELCAP_OK || status == TUNNELCAP_E_ICMP);
    FUZZ_CHECK(result.kind == kind);
}

static tunnelcap_icmp_error error_of(const struct choice *choice)
{
    tunnelcap_icmp_error error;

    FUZZ_CHECK(tunnelcap_icmp_error_init(&error, sizeof(error)) == TUNNELCAP_OK);
    error.kind = choice->kind;
    error.code4 = choice->code;
    error.code6 = choice->code;
    error.mtu = choice->mtu;
    error.pointer = choice->mtu;
    error.src4 = fuzz_local(false);
    error.src6 = fuzz_local(true);
    return error;
}

static void try_build(const struct choice *choice, struct fuzz_packet *packet)
{
    tunnelcap_icmp_error error = error_of(choice);
    int32_t status = tunnelcap_icmp_error_build(&packet->pkt, NULL, &error, NULL, 0);

    fuzz_check_status(status, build_statuses);
    if (status != TUNNELCAP_OK) {
        fuzz_packet_check_unchanged(packet);
        return;
    }
    fuzz_packet_check_window(packet);
    check_made(&packet->pkt, choice->kind);
}

/* A look at the quote as at a packet of its own must see the same. */
static void check_quote(const struct fuzz_packet *packet, const tunnelcap_icmp_result *result)
{
    tunnelcap_pkt quote = packet->pkt;
    tunnelcap_peek_result peeked = {.size = sizeof(peeked)};

    quote.off += result->quote;
    quote.len = result->quote_len;
    if (tunnelcap_peek(&quote, NULL, &peeked) != TUNNELCAP_OK)
        return;
    FUZZ_CHECK(memcmp(&peeked.src, &result->to, sizeof(peeked.src)) == 0);
    FUZZ_CHECK(memcmp(&peeked.dst, &result->dst, sizeof(peeked.dst)) == 0);
    FUZZ_CHECK(peeked.ip_protocol == result->ip_protocol);
    if (peeked.kind == TUNNELCAP_KIND_NAT_KEEPALIVE || peeked.kind == TUNNELCAP_KIND_IKE ||
        result->tunnel == TUNNELCAP_KIND_NAT_KEEPALIVE)
        return; /* told by a length that the quote may not have */
    FUZZ_CHECK(peeked.kind == result->tunnel);
    FUZZ_CHECK(peeked.src_port == result->src_port && peeked.dst_port == result->dst_port);
    FUZZ_CHECK(peeked.protocol == result->protocol);
    if (peeked.flags & TUNNELCAP_PEEK_KEY)
        FUZZ_CHECK((result->flags & TUNNELCAP_ICMP_KEY) && peeked.key == result->key);
    if (peeked.flags & TUNNELCAP_PEEK_SEQUENCE)
        FUZZ_CHECK((result->flags & TUNNELCAP_ICMP_SEQUENCE) && peeked.seq == result->seq);
    if (result->flags & TUNNELCAP_ICMP_INNER)
        FUZZ_CHECK(result->inner == result->quote + peeked.payload);
}

static void check_result(const struct fuzz_packet *packet, const tunnelcap_icmp_result *result)
{
    uint32_t len = packet->pkt.len;

    FUZZ_CHECK(result->size == sizeof(*result) && result->reserved == 0);
    FUZZ_CHECK(result->quote <= len && result->quote_len <= len - result->quote);
    FUZZ_CHECK(result->inner <= len && result->inner_len <= len - result->inner);
    FUZZ_CHECK(result->kind <= TUNNELCAP_ICMP_INFORMATION);
    FUZZ_CHECK(!(result->flags & TUNNELCAP_ICMP_INNER) == (result->inner_len == 0));
    FUZZ_CHECK((result->flags & (TUNNELCAP_ICMP_KEY | TUNNELCAP_ICMP_NO_KEY)) !=
               (TUNNELCAP_ICMP_KEY | TUNNELCAP_ICMP_NO_KEY));
}

static void try_parse(const struct choice *choice, struct fuzz_packet *packet,
                      const tunnelcap_meta *meta)
{
    tunnelcap_icmp_error error = error_of(choice);
    tunnelcap_icmp_result result;
    int32_t status;

    memset(&result, 0xa5, sizeof(result));
    result.size = sizeof(result);
    status = tunnelcap_icmp_parse(&packet->pkt, meta, &result);
    fuzz_check_status(status, parse_statuses);
    fuzz_packet_check_unchanged(packet);
    check_result(packet, &result);
    if (status != TUNNELCAP_OK)
        return;
    FUZZ_CHECK(memcmp(&result.src, &result.to, sizeof(result.src)) == 0);
    FUZZ_CHECK(result.kind >= TUNNELCAP_ICMP_TOO_BIG && result.kind <= TUNNELCAP_ICMP_PARAMETER);
    if (result.kind == TUNNELCAP_ICMP_TOO_BIG)
        FUZZ_CHECK(result.mtu >= (result.to.family == TUNNELCAP_IPV4 ? 68u : 1280u));
    check_quote(packet, &result);
    status = tunnelcap_icmp_relay(&packet->pkt, &result, &error, NULL, 0);
    fuzz_check_status(status, relay_statuses);
    if (status != TUNNELCAP_OK) {
        fuzz_packet_check_unchanged(packet);
        return;
    }
    fuzz_packet_check_window(packet);
    check_made(&packet->pkt, result.kind == TUNNELCAP_ICMP_TOO_BIG ? TUNNELCAP_ICMP_TOO_BIG
                                                                   : TUNNELCAP_ICMP_UNREACHABLE);
}

static void try_echo(struct fuzz_packet *packet, const tunnelcap_meta *meta)
{
    tunnelcap_icmp_echo before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    int32_t read = tunnelcap_icmp_echo_read(&packet->pkt, meta, &before);
    int32_t status;

    fuzz_check_status(read, parse_statuses);
    fuzz_packet_check_unchanged(packet);
    if (read == TUNNELCAP_OK)
        FUZZ_CHECK(before.payload <= packet->pkt.len &&
                   before.payload_len <= packet->pkt.len - before.payload);
    if (meta != NULL)
        return;
    status = tunnelcap_icmp_echo_reply(&packet->pkt, 9);
    fuzz_check_status(status, reply_statuses);
    if (status != TUNNELCAP_OK) {
        fuzz_packet_check_unchanged(packet);
        return;
    }
    fuzz_packet_check_window(packet);
    FUZZ_CHECK(read == TUNNELCAP_OK && before.type == TUNNELCAP_ECHO_REQUEST);
    FUZZ_CHECK(tunnelcap_icmp_echo_read(&packet->pkt, NULL, &after) == TUNNELCAP_OK);
    FUZZ_CHECK(after.type == TUNNELCAP_ECHO_REPLY && after.ttl == 9);
    FUZZ_CHECK(memcmp(&after.src, &before.dst, sizeof(after.src)) == 0);
    FUZZ_CHECK(memcmp(&after.dst, &before.src, sizeof(after.dst)) == 0);
    FUZZ_CHECK(after.id == before.id && after.seq == before.seq && after.total == before.total);
}

static void try_echo_build(const struct choice *choice, struct fuzz_packet *packet)
{
    tunnelcap_icmp_echo echo, got = {.size = sizeof(got)};
    tunnelcap_pkt pkt = packet->pkt;
    uint8_t payload[256];
    int32_t status;

    memset(payload, choice->kind, sizeof(payload));
    FUZZ_CHECK(tunnelcap_icmp_echo_init(&echo, sizeof(echo)) == TUNNELCAP_OK);
    echo.src = fuzz_local(choice->what & IPV6);
    echo.dst = fuzz_remote(choice->what & IPV6);
    echo.total = choice->mtu;
    echo.payload_len = choice->code;
    echo.id = choice->kind;
    status = tunnelcap_icmp_echo_build(&echo, payload, &packet->pkt);
    if (status != TUNNELCAP_OK) {
        FUZZ_CHECK(status == TUNNELCAP_E_RANGE || status == TUNNELCAP_E_TAILROOM);
        fuzz_packet_check_unchanged(packet);
        return;
    }
    fuzz_packet_check_window(packet);
    FUZZ_CHECK(packet->pkt.off == pkt.off && (packet->pkt.len == echo.total || echo.total == 0));
    FUZZ_CHECK(tunnelcap_icmp_echo_read(&packet->pkt, NULL, &got) == TUNNELCAP_OK);
    FUZZ_CHECK(got.id == echo.id && got.payload_len >= echo.payload_len);
    FUZZ_CHECK(memcmp(fuzz_packet_start(packet) + got.payload, payload, echo.payload_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    struct choice choice;
    struct fuzz_packet packet;
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_IP_PAYLOAD};
    const tunnelcap_meta *with;

    choice.what = fuzz_u8(&in);
    choice.head = fuzz_u8(&in) % 64u;
    choice.kind = fuzz_u8(&in);
    choice.code = fuzz_u8(&in);
    choice.mtu = fuzz_u16(&in);
    fuzz_packet_init(&packet, in.bytes, in.left, choice.head, 0);
    if (choice.what & REPAIR) {
        repair(fuzz_packet_start(&packet), packet.pkt.len);
        fuzz_packet_snapshot(&packet);
    }
    meta.src = fuzz_remote(choice.what & IPV6);
    meta.dst = fuzz_local(choice.what & IPV6);
    meta.proto = choice.what & IPV6 ? 58 : 1;
    with = choice.what & AT_ICMP ? &meta : NULL;
    switch (choice.what & 3) {
    case CHOICE_PARSE:
        try_parse(&choice, &packet, with);
        break;
    case CHOICE_BUILD:
        try_build(&choice, &packet);
        break;
    case CHOICE_ECHO:
        try_echo(&packet, with);
        break;
    default:
        try_echo_build(&choice, &packet);
        break;
    }
    fuzz_packet_fini(&packet);
    return 0;
}
