/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gre.h"

enum { OLDEST = sizeof(tunnelcap_gre_config) };

enum {
    FLAGS_KNOWN = TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT | TUNNELCAP_GRE_CHECKSUM |
                  TUNNELCAP_GRE_SEQUENCE | TUNNELCAP_GRE_IN_ORDER | TUNNELCAP_GRE_UDP |
                  TUNNELCAP_GRE_UDP_ZERO_CHECKSUM
};

static tunnelcap_gre_config defaults(void)
{
    tunnelcap_gre_config config;

    memset(&config, 0, sizeof(config));
    config.size = sizeof(config);
    config.outer.ttl = 64;
    config.udp_port = TUNNELCAP_GRE_UDP_PORT;
    return config;
}

int32_t tunnelcap_gre_config_init(tunnelcap_gre_config *config, uint32_t size)
{
    tunnelcap_gre_config own = defaults();

    return tunnelcap_i_struct_init(config, size, &own, sizeof(own), OLDEST);
}

static int32_t read_config(tunnelcap_gre_config *own, const tunnelcap_gre_config *config)
{
    int32_t status;

    *own = defaults();
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags & ~(uint32_t)FLAGS_KNOWN)
        return TUNNELCAP_E_FLAGS;
    if ((own->flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM) && !(own->flags & TUNNELCAP_GRE_UDP))
        return TUNNELCAP_E_FLAGS;
    if ((own->flags & TUNNELCAP_GRE_UDP) && own->udp_port == 0)
        return TUNNELCAP_E_PORT;
    if (own->protocol != 0 && own->protocol < 0x0600)
        return TUNNELCAP_E_RANGE; /* below are lengths, not EtherTypes */
    if (!tunnelcap_i_is_zero(own->reserved, sizeof(own->reserved)))
        return TUNNELCAP_E_RESERVED;
    return TUNNELCAP_OK;
}

/* Write the constant part of UDP and GRE headers behind the IP header of the template. */
static void build_headers(tunnelcap_gre *gre, const tunnelcap_gre_config *c)
{
    uint8_t *p = gre->outer.header + gre->outer.ip_len;
    uint8_t *field;
    uint16_t flags = 0;

    if (c->flags & TUNNELCAP_GRE_UDP) {
        tunnelcap_i_store16(p, c->udp_src_port);
        tunnelcap_i_store16(p + 2, c->udp_port);
        p += TUNNELCAP_I_UDP_HEADER;
    }
    field = p + TUNNELCAP_I_GRE_BARE;
    if (c->flags & TUNNELCAP_GRE_CHECKSUM) {
        flags |= TUNNELCAP_I_GRE_C;
        field += 4;
    }
    if (c->flags & TUNNELCAP_GRE_KEY_OUT) {
        flags |= TUNNELCAP_I_GRE_K;
        tunnelcap_i_store32(field, c->key_out);
        field += 4;
    }
    if (c->flags & TUNNELCAP_GRE_SEQUENCE)
        flags |= TUNNELCAP_I_GRE_S;
    tunnelcap_i_store16(p, flags);
    tunnelcap_i_store16(p + 2, TUNNELCAP_ETHERTYPE_IPV4);
    gre->gre_at = (uint8_t)(p - gre->outer.header);
}

static uint32_t extra_headers(uint32_t flags)
{
    return (flags & TUNNELCAP_GRE_UDP ? TUNNELCAP_I_UDP_HEADER : 0u) + TUNNELCAP_I_GRE_BARE +
           (flags & TUNNELCAP_GRE_CHECKSUM ? 4u : 0u) + (flags & TUNNELCAP_GRE_KEY_OUT ? 4u : 0u) +
           (flags & TUNNELCAP_GRE_SEQUENCE ? 4u : 0u);
}

/* What decap_plain() is to expect: the far end configured as this one. */
static void expect_plain(tunnelcap_gre *gre)
{
    uint32_t flags = gre->flags;
    uint32_t at =
        gre->outer.family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER;

    if (gre->outer.uniform || (flags & TUNNELCAP_GRE_IN_ORDER))
        return;
    if (flags & TUNNELCAP_GRE_UDP)
        at += TUNNELCAP_I_UDP_HEADER;
    gre->gre_in_at = (uint8_t)at;
    tunnelcap_i_store16(gre->gre_in, (flags & TUNNELCAP_GRE_CHECKSUM ? TUNNELCAP_I_GRE_C : 0u) |
                                         (flags & TUNNELCAP_GRE_KEY_IN ? TUNNELCAP_I_GRE_K : 0u) |
                                         (flags & TUNNELCAP_GRE_SEQUENCE ? TUNNELCAP_I_GRE_S : 0u));
    tunnelcap_i_store16(gre->gre_in + 2, TUNNELCAP_ETHERTYPE_IPV4);
    gre->rx_plain = (uint16_t)((flags & TUNNELCAP_GRE_KEY_IN ? TUNNELCAP_GRE_RX_KEY : 0u) |
                               (flags & TUNNELCAP_GRE_SEQUENCE ? TUNNELCAP_GRE_RX_SEQUENCE : 0u) |
                               (flags & TUNNELCAP_GRE_CHECKSUM ? TUNNELCAP_GRE_RX_CHECKSUM : 0u));
    gre->plain_in =
        (uint8_t)(at + TUNNELCAP_I_GRE_BARE + (flags & TUNNELCAP_GRE_CHECKSUM ? 4u : 0u) +
                  (flags & TUNNELCAP_GRE_KEY_IN ? 4u : 0u) +
                  (flags & TUNNELCAP_GRE_SEQUENCE ? 4u : 0u));
}

int32_t tunnelcap_i_gre_place(tunnelcap_gre *gre, const tunnelcap_gre_config *config,
                              tunnelcap_i_gre_state *state, uint32_t fresh)
{
    tunnelcap_gre_config own;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    memset(gre, 0, sizeof(*gre));
    status = tunnelcap_i_outer_build(&own.outer, extra_headers(own.flags), &gre->outer);
    if (status != TUNNELCAP_OK)
        return status;
    build_headers(gre, &own);
    tunnelcap_i_outer_finish(&gre->outer, own.flags & TUNNELCAP_GRE_UDP ? TUNNELCAP_I_PROTO_UDP
                                                                        : TUNNELCAP_I_PROTO_GRE);
    gre->flags = (uint16_t)own.flags;
    gre->key_in = own.key_in;
    gre->protocol = own.protocol;
    gre->udp_port = own.udp_port;
    gre->udp_src_port = own.udp_src_port;
    gre->plain =
        (own.flags & (TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_CHECKSUM | TUNNELCAP_GRE_SEQUENCE)) == 0;
    if (own.flags & TUNNELCAP_GRE_UDP)
        gre->outer.want_flow |=
            own.udp_src_port == 0 || (own.flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM) != 0;
    if (own.protocol != 0 && own.protocol != TUNNELCAP_ETHERTYPE_IPV4)
        gre->outer.plain = 0;
    expect_plain(gre);
    gre->state = state;
    if (fresh) {
        TUNNELCAP_I_STORE(state->seq_out, own.seq_start);
        TUNNELCAP_I_STORE(state->seq_in, 0);
    }
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, tunnelcap_gre **gre, tunnelcap_i_gre_state **state)
{
    tunnelcap_i_layout layout = {base, 0};

    *gre = tunnelcap_i_layout_owned(&layout, sizeof(**gre));
    *state = tunnelcap_i_layout_add(&layout, 1, sizeof(**state));
    return layout.size;
}

size_t tunnelcap_gre_size(const tunnelcap_gre_config *config)
{
    tunnelcap_gre scratch;
    tunnelcap_i_gre_state fresh;
    tunnelcap_gre *gre;
    tunnelcap_i_gre_state *state;

    if (tunnelcap_i_gre_place(&scratch, config, &fresh, 1) != TUNNELCAP_OK)
        return 0;
    return lay_out(NULL, &gre, &state);
}

int32_t tunnelcap_gre_init(void *mem, size_t mem_size, const tunnelcap_gre_config *config,
                           tunnelcap_gre **out)
{
    tunnelcap_gre scratch;
    tunnelcap_i_gre_state fresh;
    tunnelcap_gre *gre;
    tunnelcap_i_gre_state *state;
    size_t need = lay_out(NULL, &gre, &state);
    int32_t status = tunnelcap_i_gre_place(&scratch, config, &fresh, 1);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &gre, &state);
    tunnelcap_i_gre_place(gre, config, state, 1);
    tunnelcap_i_owner_of(gre)->bytes = need;
    *out = gre;
    return TUNNELCAP_OK;
}

void tunnelcap_gre_fini(tunnelcap_gre *gre)
{
    if (gre != NULL)
        tunnelcap_i_memory_end(tunnelcap_i_owner_of(gre));
}

int32_t tunnelcap_gre_new(const tunnelcap_gre_config *config, const tunnelcap_alloc *alloc,
                          tunnelcap_gre **out)
{
    tunnelcap_gre scratch;
    tunnelcap_i_gre_state fresh;
    tunnelcap_gre *gre;
    tunnelcap_i_gre_state *state;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = tunnelcap_i_gre_place(&scratch, config, &fresh, 1);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_get(lay_out(NULL, &gre, &state), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_gre_init(mem, owner.bytes, config, out);
    *tunnelcap_i_owner_of(*out) = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_gre_free(tunnelcap_gre *gre)
{
    if (gre != NULL)
        tunnelcap_i_memory_end(tunnelcap_i_owner_of(gre));
}

uint32_t tunnelcap_gre_headroom(const tunnelcap_gre *gre)
{
    return gre == NULL ? 0 : gre->outer.header_len;
}

uint32_t tunnelcap_gre_encap_len(const tunnelcap_gre *gre, uint32_t inner_len)
{
    return gre == NULL ? 0 : tunnelcap_i_outer_len(&gre->outer, inner_len);
}

uint32_t tunnelcap_gre_inner_mtu(const tunnelcap_gre *gre, uint32_t path_mtu)
{
    return gre == NULL ? 0 : tunnelcap_i_outer_inner_mtu(&gre->outer, path_mtu);
}
