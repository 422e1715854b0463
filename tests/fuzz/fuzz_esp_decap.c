/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A sealed packet with some of its bytes changed, or any bytes at all, into
 * tunnelcap_esp_decap().
 *
 * Input: transform, flags, number of edits, then for each edit its place (2) and what to XOR
 * there; then the inner payload. With FLAG_RAW all that follows the flags is the outer packet.
 */
#include <string.h>

#include "fuzz.h"
#include "reference.h"

enum { FLAG_IPV6 = 1, FLAG_UDP = 2, FLAG_ESN = 4, FLAG_TRANSPORT = 8, FLAG_RAW = 16 };
enum { SPI = 0x01020304, INNER_MAX = 1500, ROOM = 128, TRANSFORMS = 5, UDP = 17 };

/* Whatever can be refused before decryption, and what is wrong inside although verified. */
static const int32_t statuses[] = {
    TUNNELCAP_OK,         TUNNELCAP_E_TRUNCATED,     TUNNELCAP_E_MALFORMED,
    TUNNELCAP_E_CHECKSUM, TUNNELCAP_E_PROTOCOL,      TUNNELCAP_E_NO_TUNNEL,
    TUNNELCAP_E_FRAGMENT, TUNNELCAP_E_REPLAY,        TUNNELCAP_E_AUTH,
    TUNNELCAP_E_PADDING,  TUNNELCAP_E_DUMMY,         TUNNELCAP_E_ECN,
    TUNNELCAP_E_IKE,      TUNNELCAP_E_NAT_KEEPALIVE, FUZZ_END};

static tunnelcap_transform transform_of(uint32_t kind)
{
    static const struct {
        uint16_t encr, integ, encr_key_len, integ_key_len;
    } rows[TRANSFORMS] = {
        {TUNNELCAP_ENCR_AES_GCM_16, 0, 16, 0},
        {TUNNELCAP_ENCR_CHACHA20_POLY1305, 0, 32, 0},
        {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 16, 32},
        {TUNNELCAP_ENCR_AES_GCM_16_IIV, 0, 32, 0},
        {TUNNELCAP_ENCR_NULL, TUNNELCAP_INTEG_AES_CMAC_96, 0, 16},
    };
    tunnelcap_transform t = {.size = sizeof(t), .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK};

    t.encr = rows[kind].encr;
    t.integ = rows[kind].integ;
    t.encr_key_len = rows[kind].encr_key_len;
    t.integ_key_len = rows[kind].integ_key_len;
    memset(t.encr_key, 0x42, t.encr_key_len);
    memset(t.integ_key, 0x43, t.integ_key_len);
    return t;
}

static tunnelcap_esp *make_sa(uint32_t kind, uint32_t flags, uint8_t direction)
{
    tunnelcap_transform t = transform_of(kind);
    tunnelcap_esp_config c;
    tunnelcap_esp *esp = NULL;
    bool out = direction == TUNNELCAP_ESP_OUT;

    FUZZ_CHECK(tunnelcap_esp_config_init(&c, sizeof(c)) == TUNNELCAP_OK);
    c.direction = direction;
    c.mode = flags & FLAG_TRANSPORT ? TUNNELCAP_ESP_TRANSPORT : TUNNELCAP_ESP_TUNNEL;
    c.flags =
        (flags & FLAG_UDP ? TUNNELCAP_ESP_UDP : 0U) | (flags & FLAG_ESN ? TUNNELCAP_ESP_ESN : 0U);
    c.spi = SPI;
    c.nonce_origin = TUNNELCAP_NONCE_FRESH_KEY;
    c.outer.local = out ? fuzz_local(flags & FLAG_IPV6) : fuzz_remote(flags & FLAG_IPV6);
    c.outer.remote = out ? fuzz_remote(flags & FLAG_IPV6) : fuzz_local(flags & FLAG_IPV6);
    FUZZ_CHECK(tunnelcap_esp_new(&c, &t, tunnelcap_crypto_openssl(), NULL, &esp) == TUNNELCAP_OK);
    return esp;
}

static tunnelcap_lane *make_lane(void)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {9};
    tunnelcap_lane_config c;
    tunnelcap_lane *lane = NULL;

    FUZZ_CHECK(tunnelcap_lane_config_init(&c, sizeof(c)) == TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_lane_new(&c, seed, tunnelcap_crypto_openssl(), NULL, &lane) ==
               TUNNELCAP_OK);
    return lane;
}

/* Write an IP header from fuzz_local() to fuzz_remote() before a payload of `len` bytes. */
static uint32_t write_ip(uint8_t *p, uint32_t len, bool ipv6)
{
    tunnelcap_addr from = fuzz_local(ipv6), to = fuzz_remote(ipv6);
    uint32_t total = len + (ipv6 ? 40 : 20);
    uint16_t sum;

    memset(p, 0, total - len);
    p[0] = ipv6 ? 0x60 : 0x45;
    if (ipv6) {
        p[4] = (uint8_t)(len >> 8);
        p[5] = (uint8_t)len;
        p[6] = UDP;
        memcpy(p + 8, from.bytes, 16);
        memcpy(p + 24, to.bytes, 16);
        return total;
    }
    p[2] = (uint8_t)(total >> 8);
    p[3] = (uint8_t)total;
    p[9] = UDP;
    memcpy(p + 12, from.bytes, 4);
    memcpy(p + 16, to.bytes, 4);
    sum = (uint16_t)~reference_sum(p, 20, 0);
    p[10] = (uint8_t)(sum >> 8);
    p[11] = (uint8_t)sum;
    return total;
}

/* What both ends of a trial know. */
struct trial {
    uint32_t flags;
    tunnelcap_esp *out, *in;
    tunnelcap_lane *lane;
    uint8_t inner[INNER_MAX];
    uint32_t inner_len;
    uint32_t esp_at; /* in the outer packet */
    bool changed;    /* anywhere */
    bool forged;     /* from the ESP header on */
};

/* Decapsulate and check what holds of every packet, whatever its status. */
static int32_t feed(struct trial *t, struct fuzz_packet *packet)
{
    tunnelcap_esp_state before, after;
    uint32_t accepted;

    FUZZ_CHECK(tunnelcap_esp_get_state(t->in, &before, sizeof(before)) == TUNNELCAP_OK);
    accepted = tunnelcap_esp_decap(t->in, t->lane, &packet->pkt, NULL, 0, NULL, 1);
    FUZZ_CHECK(tunnelcap_esp_get_state(t->in, &after, sizeof(after)) == TUNNELCAP_OK);
    fuzz_check_status(packet->pkt.status, statuses);
    fuzz_packet_check_window(packet);
    FUZZ_CHECK(accepted == (packet->pkt.status == TUNNELCAP_OK));
    if (packet->pkt.status == TUNNELCAP_OK || packet->pkt.status == TUNNELCAP_E_ECN) {
        FUZZ_CHECK(after.packets == before.packets + 1);
        return packet->pkt.status;
    }
    FUZZ_CHECK(memcmp(&before, &after, sizeof(before)) == 0);
    if (packet->pkt.status != TUNNELCAP_E_AUTH)
        fuzz_packet_check_unchanged(packet);
    return packet->pkt.status;
}

static void try_raw(struct trial *t, const struct fuzz_input *in)
{
    struct fuzz_packet packet;

    fuzz_packet_init(&packet, in->bytes, in->left, 0, 0);
    FUZZ_CHECK(feed(t, &packet) < 0); /* nobody guesses an ICV */
    fuzz_packet_fini(&packet);
}

/* Seal the inner packet into memory of its own. */
static void seal(struct trial *t, struct fuzz_packet *sealed)
{
    struct fuzz_packet packet;

    fuzz_packet_init(&packet, t->inner, t->inner_len, ROOM, ROOM);
    FUZZ_CHECK(tunnelcap_esp_encap(t->out, t->lane, &packet.pkt, NULL, 0, 1) == 1);
    fuzz_packet_init(sealed, fuzz_packet_start(&packet), packet.pkt.len, 0, 0);
    fuzz_packet_fini(&packet);
}

static void edit(struct trial *t, struct fuzz_packet *packet, struct fuzz_input *in, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = fuzz_u16(in) % packet->pkt.len;

        packet->pkt.buf[at] ^= fuzz_u8(in);
    }
    t->changed = memcmp(packet->pkt.buf, packet->copy, packet->pkt.len) != 0;
    t->forged = memcmp(packet->pkt.buf + t->esp_at, packet->copy + t->esp_at,
                       packet->pkt.len - t->esp_at) != 0;
    fuzz_packet_snapshot(packet);
}

static void try_edited(struct trial *t, struct fuzz_input *in)
{
    struct fuzz_input edits = *in;
    struct fuzz_packet packet, again;
    uint32_t count, skip;
    int32_t status;

    count = fuzz_u8(in) % 16;
    skip = count * 3 < in->left ? count * 3 : (uint32_t)in->left;
    fuzz_u8(&edits);
    in->bytes += skip;
    in->left -= skip;
    t->inner_len = in->left < INNER_MAX - 40 ? (uint32_t)in->left : INNER_MAX - 40;
    if (t->inner_len > 0)
        memcpy(t->inner + (t->flags & FLAG_IPV6 ? 40 : 20), in->bytes, t->inner_len);
    t->inner_len = write_ip(t->inner, t->inner_len, t->flags & FLAG_IPV6);
    t->esp_at = (t->flags & FLAG_IPV6 ? 40U : 20U) + (t->flags & FLAG_UDP ? 8U : 0U);

    seal(t, &packet);
    edit(t, &packet, &edits, count);
    fuzz_packet_init(&again, packet.pkt.buf, packet.pkt.len, 0, 0);
    status = feed(t, &packet);
    FUZZ_CHECK(t->changed || status == TUNNELCAP_OK);
    FUZZ_CHECK(!t->forged || status < 0);
    if (!t->changed) {
        /* Behind UDP, transport mode makes the transport checksum anew. */
        FUZZ_CHECK(packet.pkt.len == t->inner_len);
        FUZZ_CHECK((t->flags & FLAG_TRANSPORT && t->flags & FLAG_UDP) ||
                   memcmp(fuzz_packet_start(&packet), t->inner, t->inner_len) == 0);
    }
    FUZZ_CHECK(status != TUNNELCAP_OK || feed(t, &again) == TUNNELCAP_E_REPLAY);
    fuzz_packet_fini(&packet);
    fuzz_packet_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    static struct trial t;
    uint32_t kind = fuzz_u8(&in) % TRANSFORMS;

    if (tunnelcap_crypto_openssl() == NULL)
        return 0;
    t.flags = fuzz_u8(&in);
    t.lane = make_lane();
    t.out = make_sa(kind, t.flags, TUNNELCAP_ESP_OUT);
    t.in = make_sa(kind, t.flags, TUNNELCAP_ESP_IN);
    if (t.flags & FLAG_RAW)
        try_raw(&t, &in);
    else
        try_edited(&t, &in);
    tunnelcap_esp_forget(t.out, t.lane);
    tunnelcap_esp_forget(t.in, t.lane);
    tunnelcap_esp_free(t.out);
    tunnelcap_esp_free(t.in);
    tunnelcap_lane_free(t.lane);
    return 0;
}
