/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp.h"

#include "secure.h"
#include "transform.h"

/* Implementation notes. An outbound SA has one counter. It is the sequence number, and the IV
 * runs along with it: IV = iv_first + (seq - seq_first). Numbers are taken from the counter with
 * an atomic addition and never given back, so an IV cannot repeat, whatever fails afterwards. All
 * that bounds the SA in packets (32 or 64-bit numbers, the IV space of a sender, the hard limit)
 * is folded into seq_end when the SA is made.
 *
 * CBC needs an IV that cannot be predicted (RFC 3602 3). It is made by encrypting the counter
 * under the SA's own key (NIST SP 800-38A appendix C): the text given to the provider begins one
 * block early, with the counter in the IV's place and a zero IV before it. */

enum { OLDEST = sizeof(tunnelcap_esp_config), OLDEST_STATE = sizeof(tunnelcap_esp_state) };
enum { WINDOW_MIN = 32, WINDOW_MAX = 65536 };
enum {
    FLAGS_KNOWN =
        TUNNELCAP_ESP_ESN | TUNNELCAP_ESP_UDP | TUNNELCAP_ESP_UDP_STRICT | TUNNELCAP_ESP_ANY_PEER,
    TFC_MAX = 65535
};

static tunnelcap_esp_config defaults(void)
{
    tunnelcap_esp_config config;

    memset(&config, 0, sizeof(config));
    config.size = sizeof(config);
    config.outer.ttl = 64;
    config.outer.df_mode = TUNNELCAP_DF_COPY; /* RFC 4301 8.1 */
    config.replay_window = 64;
    config.udp_src_port = TUNNELCAP_ESP_UDP_PORT;
    config.udp_dst_port = TUNNELCAP_ESP_UDP_PORT;
    config.direction = TUNNELCAP_ESP_OUT;
    config.mode = TUNNELCAP_ESP_TUNNEL;
    config.replay_mode = TUNNELCAP_REPLAY_WINDOW;
    return config;
}

int32_t tunnelcap_esp_config_init(tunnelcap_esp_config *config, uint32_t size)
{
    tunnelcap_esp_config own = defaults();

    return tunnelcap_i_struct_init(config, size, &own, sizeof(own), OLDEST);
}

static int32_t check_out(const tunnelcap_esp_config *c, const tunnelcap_transform_info *facts)
{
    uint32_t many = c->nonce_origin == TUNNELCAP_NONCE_SENDER;
    uint8_t bits = c->sender_id_bits;

    if (c->nonce_origin > TUNNELCAP_NONCE_SENDER)
        return TUNNELCAP_E_MODE;
    if (c->nonce_origin == TUNNELCAP_NONCE_UNSET)
        return TUNNELCAP_E_NO_NONCE;
    if (many && (facts->implicit_iv || (c->flags & TUNNELCAP_ESP_ESN)))
        return TUNNELCAP_E_FLAGS; /* both tie the packet to one counter of the whole SA */
    if (many && bits != 8 && bits != 12 && bits != 16 && bits != 24 && bits != 32)
        return TUNNELCAP_E_RANGE;
    if (many && bits < 32 && c->sender_id >> bits != 0)
        return TUNNELCAP_E_RANGE;
    if (facts->implicit_iv && c->nonce_origin == TUNNELCAP_NONCE_RESUME &&
        c->iv_start != c->seq_start)
        return TUNNELCAP_E_RANGE; /* the IV is the sequence number */
    if (c->seq_start == UINT64_MAX)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static int32_t check_in(const tunnelcap_esp_config *c)
{
    if (c->replay_mode != TUNNELCAP_REPLAY_OFF && c->replay_mode != TUNNELCAP_REPLAY_WINDOW)
        return TUNNELCAP_E_MODE;
    if (c->replay_mode == TUNNELCAP_REPLAY_WINDOW &&
        (c->replay_window < WINDOW_MIN || c->replay_window > WINDOW_MAX))
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static int32_t check_config(const tunnelcap_esp_config *c, const tunnelcap_transform_info *facts)
{
    if (c->flags & ~(uint32_t)FLAGS_KNOWN)
        return TUNNELCAP_E_FLAGS;
    if ((c->flags & TUNNELCAP_ESP_ANY_PEER) &&
        (c->direction != TUNNELCAP_ESP_OUT || c->mode != TUNNELCAP_ESP_TUNNEL))
        return TUNNELCAP_E_FLAGS;
    if (!tunnelcap_i_is_zero(c->reserved, sizeof(c->reserved)))
        return TUNNELCAP_E_RESERVED;
    if (c->direction != TUNNELCAP_ESP_OUT && c->direction != TUNNELCAP_ESP_IN)
        return TUNNELCAP_E_MODE;
    if (c->mode != TUNNELCAP_ESP_TUNNEL && c->mode != TUNNELCAP_ESP_TRANSPORT)
        return TUNNELCAP_E_MODE;
    if (c->mode == TUNNELCAP_ESP_TRANSPORT && (c->tfc_size != 0 || c->tfc_multiple != 0))
        return TUNNELCAP_E_FLAGS; /* RFC 4303 2.7: only where the inner packet tells its length */
    if (c->spi == 0 || c->tfc_size > TFC_MAX || c->tfc_multiple > TFC_MAX)
        return TUNNELCAP_E_RANGE;
    if (c->udp_dst_port == 0 || c->udp_src_port == 0)
        return TUNNELCAP_E_PORT;
    if (!(c->flags & TUNNELCAP_ESP_ESN) && c->seq_start > UINT32_MAX)
        return TUNNELCAP_E_RANGE;
    return c->direction == TUNNELCAP_ESP_OUT ? check_out(c, facts) : check_in(c);
}

/* The policy of an inbound SA, or of transport mode: no template, but what decapsulation asks. */
static int32_t build_policy(tunnelcap_esp *esp, const tunnelcap_esp_config *c)
{
    tunnelcap_outer policy = c->outer;
    uint32_t any = tunnelcap_i_is_zero(&policy.local, sizeof(policy.local));
    uint32_t anyone = tunnelcap_i_is_zero(&policy.remote, sizeof(policy.remote));

    /* An address that is not given is any; one that is must be of a usable kind. The stand-ins are
     * of its family. */
    if (any) {
        policy.local = policy.remote;
        policy.local.bytes[3] ^= 1;
        policy.encap_limit_mode = 0;
    }
    if (any && anyone) {
        policy.local.family = TUNNELCAP_IPV4;
        policy.local.bytes[0] = 127;
    }
    if (anyone) {
        policy.remote = policy.local;
        policy.remote.bytes[3] ^= 1;
    }
    esp->any_address = (uint8_t)any;
    esp->any_peer = (uint8_t)anyone;
    return tunnelcap_i_outer_build(&policy, 0, &esp->outer);
}

/* Whether packets may differ in nothing but lengths, TOS and what counts up. */
static uint8_t is_plain(const tunnelcap_esp *esp)
{
    if (esp->mode != TUNNELCAP_ESP_TUNNEL || esp->hard_bytes != 0 || !esp->facts.counter_mode ||
        esp->facts.implicit_iv || esp->facts.align != 4)
        return 0;
    if (esp->direction == TUNNELCAP_ESP_IN)
        return esp->hard_packets == 0 && !esp->outer.uniform;
    return esp->outer.family == TUNNELCAP_IPV4 && esp->outer.plain && !esp->outer.want_flow &&
           esp->tfc_size == 0 && esp->tfc_multiple <= 1;
}

/* The constant part of what stands behind the outer IP header. */
static void build_template(tunnelcap_esp *esp, const tunnelcap_esp_config *c)
{
    uint8_t *p = esp->outer.header + esp->outer.ip_len;

    if (esp->udp_len != 0) {
        tunnelcap_i_store16(p, c->udp_src_port);
        tunnelcap_i_store16(p + 2, c->udp_dst_port);
    }
    tunnelcap_i_store32(p + esp->udp_len, c->spi);
    tunnelcap_i_outer_finish(&esp->outer,
                             esp->udp_len != 0 ? TUNNELCAP_I_PROTO_UDP : TUNNELCAP_I_PROTO_ESP);
}

/* Fold all bounds of an outbound SA into one number. */
static void set_limits(tunnelcap_esp *esp, const tunnelcap_esp_config *c)
{
    uint64_t room = c->flags & TUNNELCAP_ESP_ESN ? UINT64_MAX - c->seq_start
                                                 : (uint64_t)UINT32_MAX + 1 - c->seq_start;
    uint64_t ivs = UINT64_MAX;

    esp->iv_first = c->seq_start;
    if (c->nonce_origin == TUNNELCAP_NONCE_RESUME) {
        esp->iv_first = c->iv_start;
        ivs = UINT64_MAX - c->iv_start;
    } else if (c->nonce_origin == TUNNELCAP_NONCE_SENDER) {
        esp->iv_first = (uint64_t)c->sender_id << (64 - c->sender_id_bits);
        ivs = (uint64_t)1 << (64 - c->sender_id_bits);
    }
    if (esp->facts.iv_len != 0 && ivs < room)
        room = ivs;
    esp->end_status = TUNNELCAP_E_SEQ_EXHAUSTED;
    esp->seq_first = c->seq_start;
    esp->seq_soft = c->seq_start + (room - room / 16);
    if (c->hard_packets != 0 && c->hard_packets < room) {
        room = c->hard_packets;
        esp->end_status = TUNNELCAP_E_EXPIRED;
    }
    if (c->soft_packets != 0 && c->soft_packets < esp->seq_soft - c->seq_start)
        esp->seq_soft = c->seq_start + c->soft_packets;
    esp->seq_end = c->seq_start + room;
    TUNNELCAP_I_STORE(esp->seq_next, c->seq_start);
}

/* Check everything and fill *esp but its key; the struct is unspecified on failure. `own` keeps
 * the transform, for the key; the caller wipes it. */
static int32_t build(tunnelcap_esp *esp, const tunnelcap_esp_config *config,
                     const tunnelcap_transform *transform, const tunnelcap_crypto *crypto,
                     tunnelcap_transform *own)
{
    tunnelcap_esp_config c = defaults();
    int32_t status = tunnelcap_i_struct_read(&c, sizeof(c), OLDEST, config);

    memset(esp, 0, sizeof(*esp));
    memset(own, 0, sizeof(*own));
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_struct_read(own, sizeof(*own), sizeof(*own), transform);
    if (status == TUNNELCAP_OK && crypto == NULL)
        status = TUNNELCAP_E_INVALID;
    if (c.direction == TUNNELCAP_ESP_OUT && c.seq_start == 0)
        c.seq_start = 1; /* RFC 4303 3.3.3; inbound, 0 stands for "none yet" */
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_transform_facts(own, &esp->facts);
    if (status == TUNNELCAP_OK)
        status = check_config(&c, &esp->facts);
    if (status != TUNNELCAP_OK)
        return status;

    esp->crypto = crypto;
    esp->spi = c.spi;
    esp->flags = (uint8_t)c.flags;
    esp->direction = c.direction;
    esp->mode = c.mode;
    esp->udp_dst_port = c.udp_dst_port;
    esp->tfc_size = c.tfc_size;
    esp->tfc_multiple = c.tfc_multiple;
    esp->head_len = (uint8_t)(TUNNELCAP_I_ESP_HEADER + esp->facts.iv_len);
    esp->salt = (uint64_t)tunnelcap_i_load32(own->salt) << 32; /* unused bytes are zero */
    esp->soft_packets = c.soft_packets;
    esp->hard_packets = c.hard_packets;
    esp->soft_bytes = c.soft_bytes;
    esp->hard_bytes = c.hard_bytes;
    esp->soft_ns = c.soft_ns;
    esp->hard_ns = c.hard_ns;
    if (c.direction == TUNNELCAP_ESP_OUT) {
        esp->udp_len = c.flags & TUNNELCAP_ESP_UDP ? TUNNELCAP_I_UDP_HEADER : 0;
        set_limits(esp, &c);
    } else {
        esp->replay.esn = c.flags & TUNNELCAP_ESP_ESN;
        esp->replay.window = c.replay_mode == TUNNELCAP_REPLAY_WINDOW ? c.replay_window : 0;
        esp->replay.start = c.seq_start;
        esp->forms = 3;
        if (c.flags & TUNNELCAP_ESP_UDP_STRICT)
            esp->forms = c.flags & TUNNELCAP_ESP_UDP ? 2 : 1;
        TUNNELCAP_I_STORE(esp->replay.top, c.seq_start);
    }
    if (c.flags & TUNNELCAP_ESP_ANY_PEER) {
        if (!tunnelcap_i_is_zero(&c.outer.remote, sizeof(c.outer.remote)))
            return TUNNELCAP_E_ADDRESS;
        c.outer.remote = c.outer.local; /* a stand-in, which is never sent to */
        c.outer.remote.bytes[3] ^= 1;
    }
    if (c.direction == TUNNELCAP_ESP_IN || c.mode == TUNNELCAP_ESP_TRANSPORT)
        status = build_policy(esp, &c);
    else
        status =
            tunnelcap_i_outer_build(&c.outer, (uint32_t)esp->udp_len + esp->head_len, &esp->outer);
    if (status == TUNNELCAP_OK && c.direction == TUNNELCAP_ESP_OUT)
        build_template(esp, &c);
    if (status == TUNNELCAP_OK)
        esp->plain = is_plain(esp);
    esp->plain_tail = TUNNELCAP_I_ESP_TRAILER + 3u + esp->facts.icv_len;
    esp->plain_max = esp->outer.max - esp->outer.header_len - esp->plain_tail;
    return status;
}

static size_t lay_out(uint8_t *base, const tunnelcap_esp *built,
                      const tunnelcap_transform *transform, tunnelcap_esp *parts)
{
    tunnelcap_i_layout layout = {base, 0};
    size_t key = built->crypto->key_size(built->crypto->self, transform);

    if (key == 0)
        return 0; /* the provider does not offer this transform */
    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    parts->key = tunnelcap_i_layout_add(&layout, 1, key);
    if (built->replay.window != 0) {
        parts->replay.mask = tunnelcap_i_replay_words(built->replay.window) - 1;
        parts->replay.words = tunnelcap_i_layout_add(&layout, (size_t)parts->replay.mask + 1,
                                                     sizeof(*parts->replay.words));
    }
    return layout.size;
}

size_t tunnelcap_esp_size(const tunnelcap_esp_config *config, const tunnelcap_transform *transform,
                          const tunnelcap_crypto *crypto)
{
    tunnelcap_esp built;
    tunnelcap_esp parts;
    tunnelcap_transform own;
    size_t size = 0;

    if (build(&built, config, transform, crypto, &own) == TUNNELCAP_OK)
        size = lay_out(NULL, &built, &own, &parts);
    tunnelcap_i_wipe(&own, sizeof(own));
    tunnelcap_i_wipe(&built, sizeof(built));
    return size;
}

/* The checked part of init: memory is good, `built` is right. */
static int32_t init_in(void *mem, size_t need, const tunnelcap_esp *built,
                       const tunnelcap_transform *transform, tunnelcap_esp **out)
{
    tunnelcap_esp *esp = mem;
    int32_t status;

    memset(mem, 0, need);
    memcpy(esp, built, sizeof(*esp));
    lay_out(mem, built, transform, esp);
    esp->owner.bytes = need;
    status = esp->crypto->key_init(esp->crypto->self, esp->key, transform);
    if (status != TUNNELCAP_OK) {
        tunnelcap_i_wipe(mem, need);
        return status;
    }
    *out = esp;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_esp_init(void *mem, size_t mem_size, const tunnelcap_esp_config *config,
                           const tunnelcap_transform *transform, const tunnelcap_crypto *crypto,
                           tunnelcap_esp **out)
{
    tunnelcap_esp built;
    tunnelcap_esp parts;
    tunnelcap_transform own;
    size_t need = 0;
    int32_t status = build(&built, config, transform, crypto, &own);

    if (status == TUNNELCAP_OK && out == NULL)
        status = TUNNELCAP_E_INVALID;
    if (status == TUNNELCAP_OK) {
        need = lay_out(NULL, &built, &own, &parts);
        status =
            need == 0 ? TUNNELCAP_E_UNSUPPORTED : tunnelcap_i_memory_check(mem, mem_size, need);
    }
    if (status == TUNNELCAP_OK)
        status = init_in(mem, need, &built, &own, out);
    tunnelcap_i_wipe(&own, sizeof(own));
    tunnelcap_i_wipe(&built, sizeof(built));
    return status;
}

void tunnelcap_esp_fini(tunnelcap_esp *esp)
{
    if (esp != NULL)
        esp->crypto->key_fini(esp->crypto->self, esp->key);
    tunnelcap_i_memory_end(esp);
}

int32_t tunnelcap_esp_new(const tunnelcap_esp_config *config, const tunnelcap_transform *transform,
                          const tunnelcap_crypto *crypto, const tunnelcap_alloc *alloc,
                          tunnelcap_esp **out)
{
    tunnelcap_esp built;
    tunnelcap_esp parts;
    tunnelcap_transform own;
    tunnelcap_i_owner owner;
    void *mem = NULL;
    size_t need = 0;
    int32_t status = build(&built, config, transform, crypto, &own);

    if (status == TUNNELCAP_OK && out == NULL)
        status = TUNNELCAP_E_INVALID;
    if (status == TUNNELCAP_OK) {
        need = lay_out(NULL, &built, &own, &parts);
        status =
            need == 0 ? TUNNELCAP_E_UNSUPPORTED : tunnelcap_i_memory_get(need, alloc, &mem, &owner);
    }
    if (status == TUNNELCAP_OK) {
        status = init_in(mem, need, &built, &own, out);
        if (status == TUNNELCAP_OK)
            (*out)->owner = owner;
        else
            owner.alloc.release(owner.alloc.arg, mem, need);
    }
    tunnelcap_i_wipe(&own, sizeof(own));
    tunnelcap_i_wipe(&built, sizeof(built));
    return status;
}

void tunnelcap_esp_free(tunnelcap_esp *esp)
{
    tunnelcap_esp_fini(esp);
}

int32_t tunnelcap_esp_set_selectors(tunnelcap_esp *esp, const tunnelcap_selector *selectors,
                                    uint32_t count)
{
    int32_t status;

    if (esp == NULL || (selectors == NULL) != (count == 0))
        return TUNNELCAP_E_INVALID;
    if (count != 0) {
        status = tunnelcap_selector_check(selectors, count);
        if (status != TUNNELCAP_OK)
            return status;
    }
    esp->selectors = selectors;
    esp->selector_count = count;
    return TUNNELCAP_OK;
}

uint32_t tunnelcap_i_esp_permits(const tunnelcap_esp *esp, const uint8_t *p, uint32_t len)
{
    tunnelcap_i_ip ip;

    return tunnelcap_i_ip_read(p, len, &ip) == TUNNELCAP_OK && ip.total <= len &&
           tunnelcap_i_selectors_permit(esp->selectors, esp->selector_count, &ip, p + ip.payload,
                                        ip.total - ip.payload);
}

void tunnelcap_esp_forget(const tunnelcap_esp *esp, tunnelcap_lane *lane)
{
    if (esp != NULL && lane != NULL && tunnelcap_i_esp_lane_ok(esp, lane))
        lane->crypto->lane_forget(lane->crypto->self, lane->crypto_lane, esp->key);
}

uint32_t tunnelcap_esp_headroom(const tunnelcap_esp *esp)
{
    if (esp == NULL || esp->direction != TUNNELCAP_ESP_OUT)
        return 0;
    return tunnelcap_i_esp_headroom(esp);
}

uint32_t tunnelcap_esp_tailroom(const tunnelcap_esp *esp)
{
    if (esp == NULL || esp->direction != TUNNELCAP_ESP_OUT)
        return 0;
    return esp->facts.align - 1u + TUNNELCAP_I_ESP_TRAILER + esp->facts.icv_len;
}

uint32_t tunnelcap_esp_encap_len(const tunnelcap_esp *esp, uint32_t inner_len)
{
    uint32_t total;

    if (esp == NULL || esp->direction != TUNNELCAP_ESP_OUT || inner_len > TUNNELCAP_I_IPV6_MAX)
        return 0;
    total =
        tunnelcap_esp_headroom(esp) + tunnelcap_i_esp_text_len(esp, inner_len) + esp->facts.icv_len;
    return total > esp->outer.max ? 0 : total;
}

uint32_t tunnelcap_esp_inner_mtu(const tunnelcap_esp *esp, uint32_t path_mtu)
{
    uint32_t overhead;
    uint32_t text;

    if (esp == NULL || esp->direction != TUNNELCAP_ESP_OUT || esp->mode != TUNNELCAP_ESP_TUNNEL)
        return 0;
    if (path_mtu > esp->outer.max)
        path_mtu = esp->outer.max;
    overhead = (uint32_t)esp->outer.header_len + esp->facts.icv_len;
    if (path_mtu < overhead + esp->facts.align)
        return 0;
    text = (path_mtu - overhead) / esp->facts.align * esp->facts.align - TUNNELCAP_I_ESP_TRAILER;
    if (esp->tfc_multiple > 1)
        text = text / esp->tfc_multiple * esp->tfc_multiple;
    return text < esp->tfc_size ? 0 : text;
}

int32_t tunnelcap_esp_get_state(const tunnelcap_esp *esp, tunnelcap_esp_state *state, uint32_t size)
{
    tunnelcap_esp *a = (tunnelcap_esp *)(uintptr_t)esp; /* atomic loads want no const */
    tunnelcap_esp_state own;

    if (esp == NULL || state == NULL)
        return TUNNELCAP_E_INVALID;
    memset(&own, 0, sizeof(own));
    own.packets = TUNNELCAP_I_LOAD(a->packets);
    own.bytes = TUNNELCAP_I_LOAD(a->bytes);
    if (esp->direction == TUNNELCAP_ESP_OUT) {
        own.seq = TUNNELCAP_I_LOAD(a->seq_next);
        own.packets = own.seq - esp->seq_first;
        own.packets_left = esp->seq_end - own.seq;
    } else {
        own.seq = tunnelcap_i_replay_top(&a->replay);
    }
    return tunnelcap_i_struct_init(state, size, &own, sizeof(own), OLDEST_STATE);
}

int32_t tunnelcap_esp_check_life(const tunnelcap_esp *esp, uint64_t now_ns)
{
    tunnelcap_esp_state s;
    uint32_t out;

    if (tunnelcap_esp_get_state(esp, &s, sizeof(s)) != TUNNELCAP_OK)
        return TUNNELCAP_E_INVALID;
    out = esp->direction == TUNNELCAP_ESP_OUT;
    if ((esp->hard_ns != 0 && now_ns >= esp->hard_ns) ||
        (esp->hard_bytes != 0 && s.bytes >= esp->hard_bytes) ||
        (esp->hard_packets != 0 && s.packets >= esp->hard_packets))
        return TUNNELCAP_E_EXPIRED;
    if (out && s.packets_left == 0)
        return esp->end_status;
    if ((esp->soft_ns != 0 && now_ns >= esp->soft_ns) ||
        (esp->soft_bytes != 0 && s.bytes >= esp->soft_bytes) ||
        (esp->soft_packets != 0 && s.packets >= esp->soft_packets) ||
        (out && s.seq >= esp->seq_soft))
        return TUNNELCAP_REKEY_SOON;
    return TUNNELCAP_OK;
}
