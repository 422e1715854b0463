/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "pmtu.h"

enum { OLDEST = sizeof(tunnelcap_pmtu_config) };
enum { OLDEST_EVENT = sizeof(tunnelcap_pmtu_event), OLDEST_INFO = sizeof(tunnelcap_pmtu_info) };
enum { FLOOR4 = 576, FLOOR4_MIN = 68, FLOOR_MAX = 1280, FLOOR6 = 1280, BASE4 = 1200 };
enum { LINK4_MAX = 65535, LINK6_MAX = 65535 + 40 };

static tunnelcap_pmtu_config defaults(void)
{
    tunnelcap_pmtu_config config;

    memset(&config, 0, sizeof(config));
    config.size = sizeof(config);
    config.link_mtu = 1500;
    config.family = TUNNELCAP_IPV4;
    config.mode = TUNNELCAP_PMTU_LEARN;
    config.max_probes = 3;
    config.age_ns = 600000 * TUNNELCAP_I_PMTU_MS;
    config.probe_ns = 1000 * TUNNELCAP_I_PMTU_MS;
    config.raise_ns = 600000 * TUNNELCAP_I_PMTU_MS;
    config.confirm_ns = 30000 * TUNNELCAP_I_PMTU_MS;
    return config;
}

int32_t tunnelcap_pmtu_config_init(tunnelcap_pmtu_config *config, uint32_t size)
{
    tunnelcap_pmtu_config own = defaults();

    return tunnelcap_i_struct_init(config, size, &own, sizeof(own), OLDEST);
}

/* A time in whole milliseconds, rounded up; 0 if it is out of range. */
static uint32_t to_ms(uint64_t ns)
{
    uint64_t ms = ns / TUNNELCAP_I_PMTU_MS + (ns % TUNNELCAP_I_PMTU_MS != 0);

    return ns < TUNNELCAP_I_PMTU_MS || ms > UINT32_MAX ? 0 : (uint32_t)ms;
}

static int32_t check_sizes(tunnelcap_pmtu_config *c)
{
    uint32_t six = c->family == TUNNELCAP_IPV6;

    if (c->floor == 0)
        c->floor = six ? FLOOR6 : c->link_mtu < FLOOR4 ? c->link_mtu : FLOOR4;
    if (c->base == 0) {
        c->base = BASE4 > c->floor ? BASE4 : c->floor;
        c->base = c->base < c->link_mtu ? c->base : c->link_mtu;
    }
    if (c->floor < (six ? FLOOR6 : FLOOR4_MIN) || c->floor > FLOOR_MAX)
        return TUNNELCAP_E_RANGE;
    if (c->base < c->floor || c->base > UINT16_MAX || c->link_mtu < c->base ||
        c->link_mtu > (six ? LINK6_MAX : LINK4_MAX))
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static int32_t read_config(tunnelcap_pmtu_config *own, const tunnelcap_pmtu_config *config)
{
    int32_t status;

    *own = defaults();
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (own->mode > TUNNELCAP_PMTU_PROBE ||
        (own->family != TUNNELCAP_IPV4 && own->family != TUNNELCAP_IPV6))
        return TUNNELCAP_E_MODE;
    if (own->reserved != 0)
        return TUNNELCAP_E_RESERVED;
    if (own->max_probes == 0 || to_ms(own->age_ns) == 0 || to_ms(own->probe_ns) == 0 ||
        to_ms(own->raise_ns) == 0 || to_ms(own->confirm_ns) == 0)
        return TUNNELCAP_E_RANGE;
    return check_sizes(own);
}

int32_t tunnelcap_i_pmtu_place(tunnelcap_pmtu *pmtu, const tunnelcap_pmtu_config *config,
                               uint64_t secret)
{
    tunnelcap_pmtu_config own;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    memset(pmtu, 0, sizeof(*pmtu));
    TUNNELCAP_I_STORE(pmtu->word, own.link_mtu | TUNNELCAP_I_PMTU_TAKEN);
    pmtu->secret = secret;
    pmtu->link = own.link_mtu;
    pmtu->age_ms = to_ms(own.age_ns);
    pmtu->probe_ms = to_ms(own.probe_ns);
    pmtu->raise_ms = to_ms(own.raise_ns);
    pmtu->confirm_ms = to_ms(own.confirm_ns);
    pmtu->floor = (uint16_t)own.floor;
    pmtu->base = (uint16_t)own.base;
    pmtu->family = own.family;
    pmtu->mode = own.mode;
    pmtu->max_probes = own.max_probes;
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, tunnelcap_pmtu **pmtu)
{
    tunnelcap_i_layout layout = {base, 0};

    *pmtu = tunnelcap_i_layout_owned(&layout, sizeof(**pmtu));
    return layout.size;
}

size_t tunnelcap_pmtu_size(const tunnelcap_pmtu_config *config)
{
    tunnelcap_pmtu_config own;
    tunnelcap_pmtu *pmtu;

    return read_config(&own, config) == TUNNELCAP_OK ? lay_out(NULL, &pmtu) : 0;
}

/* All that `_init` and `_new` check but the memory. */
static int32_t build(tunnelcap_pmtu *built, const tunnelcap_pmtu_config *config,
                     const uint8_t *seed, tunnelcap_pmtu **out)
{
    uint64_t secret = seed == NULL ? 0 : tunnelcap_i_flow_key_from(seed).b;
    int32_t status = tunnelcap_i_pmtu_place(built, config, secret);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL || (seed == NULL && built->mode == TUNNELCAP_PMTU_PROBE))
        return TUNNELCAP_E_INVALID;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_pmtu_init(void *mem, size_t mem_size, const tunnelcap_pmtu_config *config,
                            const uint8_t *seed, tunnelcap_pmtu **out)
{
    tunnelcap_pmtu built;
    tunnelcap_pmtu *pmtu;
    size_t need = lay_out(NULL, &pmtu);
    int32_t status = build(&built, config, seed, out);

    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;
    memset(mem, 0, need);
    lay_out(mem, &pmtu);
    memcpy(pmtu, &built, sizeof(built));
    tunnelcap_i_owner_of(pmtu)->bytes = need;
    *out = pmtu;
    return TUNNELCAP_OK;
}

void tunnelcap_pmtu_fini(tunnelcap_pmtu *pmtu)
{
    if (pmtu != NULL)
        tunnelcap_i_memory_end(tunnelcap_i_owner_of(pmtu));
}

int32_t tunnelcap_pmtu_new(const tunnelcap_pmtu_config *config, const uint8_t *seed,
                           const tunnelcap_alloc *alloc, tunnelcap_pmtu **out)
{
    tunnelcap_pmtu built;
    tunnelcap_pmtu *pmtu;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = build(&built, config, seed, out);

    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_memory_get(lay_out(NULL, &pmtu), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_pmtu_init(mem, owner.bytes, config, seed, out);
    *tunnelcap_i_owner_of(*out) = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_pmtu_free(tunnelcap_pmtu *pmtu)
{
    if (pmtu != NULL)
        tunnelcap_i_memory_end(tunnelcap_i_owner_of(pmtu));
}

/* ---- what lanes ask and say ---- */

uint32_t tunnelcap_pmtu_get(const tunnelcap_pmtu *pmtu)
{
    return pmtu == NULL ? 0 : tunnelcap_i_pmtu_get(pmtu);
}

/* Leave a word for the writer: `bits` beside what `keep` selects of the last one. */
static void leave_hint(tunnelcap_pmtu *p, uint32_t keep, uint32_t bits)
{
    uint32_t before = TUNNELCAP_I_LOAD(p->hint);

    while (!TUNNELCAP_I_SWAP_IF(p->hint, before, (before & keep) | bits))
        ;
}

/* A size that does not lower the MTU: of use if a larger probe is under way. */
static int32_t heed_larger(tunnelcap_pmtu *p, uint32_t mtu, uint32_t current)
{
    if (mtu == current)
        return TUNNELCAP_OK; /* packets that were under way when the first message came */
    if (mtu >= TUNNELCAP_I_LOAD(p->probing) || TUNNELCAP_I_LOAD(p->token) == 0)
        return TUNNELCAP_E_ICMP;
    leave_hint(p, TUNNELCAP_I_PMTU_SUSPECT, mtu);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_pmtu_learn(tunnelcap_pmtu *pmtu, uint32_t mtu, uint64_t now_ns)
{
    uint32_t flags = 0;
    uint64_t word;
    uint64_t next;

    if (pmtu == NULL)
        return TUNNELCAP_E_INVALID;
    if (pmtu->mode == TUNNELCAP_PMTU_FIXED)
        return TUNNELCAP_OK;
    if (mtu < (pmtu->family == TUNNELCAP_IPV6 ? (uint32_t)FLOOR6 : (uint32_t)FLOOR4_MIN))
        return TUNNELCAP_E_ICMP;
    if (mtu < pmtu->floor) {
        mtu = pmtu->floor;
        flags = TUNNELCAP_I_PMTU_BELOW;
    }
    word = TUNNELCAP_I_LOAD(pmtu->word);
    do {
        if (mtu > tunnelcap_i_pmtu_mtu(word) ||
            (mtu == tunnelcap_i_pmtu_mtu(word) && ((uint32_t)word & flags) == flags))
            return heed_larger(pmtu, mtu, tunnelcap_i_pmtu_mtu(word));
        next = tunnelcap_i_pmtu_word(mtu, TUNNELCAP_PMTU_ICMP, flags, now_ns);
    } while (!TUNNELCAP_I_SWAP_IF(pmtu->word, word, next));
    (void)TUNNELCAP_I_ADD(pmtu->generation, 1);
    return mtu < tunnelcap_i_pmtu_mtu(word) ? TUNNELCAP_CHANGED : TUNNELCAP_OK;
}

int32_t tunnelcap_pmtu_suspect(tunnelcap_pmtu *pmtu)
{
    if (pmtu == NULL)
        return TUNNELCAP_E_INVALID;
    if (pmtu->mode != TUNNELCAP_PMTU_PROBE)
        return TUNNELCAP_E_UNSUPPORTED;
    leave_hint(pmtu, UINT32_MAX, TUNNELCAP_I_PMTU_SUSPECT);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_pmtu_answered(tunnelcap_pmtu *pmtu, uint64_t token)
{
    uint64_t there = token;

    if (pmtu == NULL)
        return TUNNELCAP_E_INVALID;
    if (token <= TUNNELCAP_I_PMTU_ANSWERED || TUNNELCAP_I_LOAD(pmtu->token) != token)
        return TUNNELCAP_E_ICMP;
    while (!TUNNELCAP_I_SWAP_IF(pmtu->token, there, (uint64_t)TUNNELCAP_I_PMTU_ANSWERED)) {
        if (there != token)
            return TUNNELCAP_E_ICMP;
    }
    return TUNNELCAP_OK;
}

/* ---- a fleet ---- */

int32_t tunnelcap_pmtu_export(const tunnelcap_pmtu *pmtu, uint64_t now_ns,
                              tunnelcap_pmtu_event *event, uint32_t size)
{
    tunnelcap_pmtu *p = (tunnelcap_pmtu *)(uintptr_t)pmtu; /* atomic loads want no const */
    tunnelcap_pmtu_event own;
    uint64_t word;

    if (pmtu == NULL || event == NULL)
        return TUNNELCAP_E_INVALID;
    if (size < OLDEST_EVENT)
        return TUNNELCAP_E_VERSION;
    memset(&own, 0, sizeof(own));
    own.generation = TUNNELCAP_I_LOAD(p->generation);
    word = TUNNELCAP_I_LOAD(p->word);
    own.source = (uint8_t)tunnelcap_i_pmtu_source(word);
    if (own.source == TUNNELCAP_PMTU_PRESUMED || ((uint32_t)word & TUNNELCAP_I_PMTU_IMPORTED) ||
        (own.source == TUNNELCAP_PMTU_PROBED && p->state != TUNNELCAP_PMTU_SEARCH_COMPLETE))
        return TUNNELCAP_E_NOT_FOUND;
    own.mtu = tunnelcap_i_pmtu_mtu(word);
    own.age_ns = tunnelcap_i_pmtu_age(word, now_ns);
    own.family = p->family;
    return tunnelcap_i_struct_init(event, size, &own, sizeof(own), OLDEST_EVENT);
}

static int32_t check_event(const tunnelcap_pmtu *p, const tunnelcap_pmtu_event *e)
{
    uint32_t six = p->family == TUNNELCAP_IPV6;

    if (e->family != p->family)
        return TUNNELCAP_E_ADDRESS;
    if (e->source != TUNNELCAP_PMTU_ICMP && e->source != TUNNELCAP_PMTU_PROBED)
        return TUNNELCAP_E_MODE;
    if (!tunnelcap_i_is_zero(e->reserved, sizeof(e->reserved)))
        return TUNNELCAP_E_RESERVED;
    if (e->mtu < (six ? (uint32_t)FLOOR6 : (uint32_t)FLOOR4_MIN) ||
        e->mtu > (six ? (uint32_t)LINK6_MAX : (uint32_t)LINK4_MAX))
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

/* Whether another server's finding is the better one. Who probes looks for more by itself. */
static uint32_t is_better(const tunnelcap_pmtu *p, uint64_t word, const tunnelcap_pmtu_event *e,
                          uint64_t now)
{
    uint32_t newer = e->age_ns < tunnelcap_i_pmtu_age(word, now);

    if (e->mtu < tunnelcap_i_pmtu_mtu(word))
        return newer || tunnelcap_i_pmtu_source(word) != TUNNELCAP_PMTU_PROBED;
    return e->mtu > tunnelcap_i_pmtu_mtu(word) && newer && e->source == TUNNELCAP_PMTU_PROBED &&
           p->mode == TUNNELCAP_PMTU_LEARN;
}

int32_t tunnelcap_pmtu_import(tunnelcap_pmtu *pmtu, const tunnelcap_pmtu_event *event,
                              uint64_t now_ns)
{
    tunnelcap_pmtu_event own;
    uint32_t flags = TUNNELCAP_I_PMTU_IMPORTED;
    uint64_t word;
    uint64_t next;
    int32_t status;

    memset(&own, 0, sizeof(own));
    if (pmtu == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_struct_read(&own, sizeof(own), OLDEST_EVENT, event);
    if (status == TUNNELCAP_OK)
        status = check_event(pmtu, &own);
    if (status != TUNNELCAP_OK)
        return status;
    if (pmtu->mode == TUNNELCAP_PMTU_FIXED || own.age_ns >= TUNNELCAP_I_PMTU_MS * pmtu->age_ms)
        return TUNNELCAP_OK;
    if (own.mtu < pmtu->floor) {
        own.mtu = pmtu->floor;
        flags |= TUNNELCAP_I_PMTU_BELOW;
    }
    if (own.mtu > pmtu->link)
        own.mtu = pmtu->link;
    word = TUNNELCAP_I_LOAD(pmtu->word);
    do {
        if (!is_better(pmtu, word, &own, now_ns))
            return TUNNELCAP_OK;
        next = tunnelcap_i_pmtu_word(own.mtu, own.source, flags, now_ns - own.age_ns);
    } while (!TUNNELCAP_I_SWAP_IF(pmtu->word, word, next));
    return TUNNELCAP_CHANGED;
}

int32_t tunnelcap_pmtu_get_info(const tunnelcap_pmtu *pmtu, uint64_t now_ns,
                                tunnelcap_pmtu_info *info, uint32_t size)
{
    tunnelcap_pmtu *p = (tunnelcap_pmtu *)(uintptr_t)pmtu; /* atomic loads want no const */
    tunnelcap_pmtu_info own;
    uint64_t word;

    if (pmtu == NULL || info == NULL)
        return TUNNELCAP_E_INVALID;
    memset(&own, 0, sizeof(own));
    own.generation = TUNNELCAP_I_LOAD(p->generation);
    word = TUNNELCAP_I_LOAD(p->word);
    own.mtu = tunnelcap_i_pmtu_mtu(word);
    own.source = (uint8_t)tunnelcap_i_pmtu_source(word);
    own.flags = ((uint32_t)word & TUNNELCAP_I_PMTU_IMPORTED ? TUNNELCAP_PMTU_IMPORTED : 0u) |
                ((uint32_t)word & TUNNELCAP_I_PMTU_BELOW ? TUNNELCAP_PMTU_BELOW_FLOOR : 0u);
    own.age_ns = own.source == TUNNELCAP_PMTU_PRESUMED ? 0 : tunnelcap_i_pmtu_age(word, now_ns);
    own.state = p->state;
    own.probes = p->count;
    own.probing = TUNNELCAP_I_LOAD(p->token) == 0 ? 0 : TUNNELCAP_I_LOAD(p->probing);
    return tunnelcap_i_struct_init(info, size, &own, sizeof(own), OLDEST_INFO);
}
