/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "lpm.h"

enum { NO_NODE = -1, WAY_MAX = 17 };

static uint32_t is_node(uint32_t entry)
{
    return tunnelcap_i_lpm_is_node(entry);
}

static uint32_t low_of(uint32_t entry)
{
    return tunnelcap_i_lpm_low(entry);
}

/* Of a leaf: how many of its node's bits its prefix has. */
static uint32_t own_bits(uint32_t entry)
{
    return entry >> TUNNELCAP_I_LPM_BITS;
}

static uint32_t byte_at(const uint64_t word[2], uint32_t depth)
{
    return (uint32_t)(word[depth / 8] >> (56 - 8 * (depth % 8))) & 0xff;
}

static uint32_t *entries_of(const tunnelcap_i_lpm *lpm, uint32_t node)
{
    return lpm->nodes + (size_t)node * TUNNELCAP_I_LPM_NODE;
}

/* ---- readers ---- */

/* Whether an address has the bytes that a skip left out. One of IPv4 has less than eight. */
static uint32_t agrees(const tunnelcap_i_lpm_facts *facts, const uint8_t *addr)
{
    uint32_t bits = 8u * facts->depth;
    uint64_t first;

    if (bits < 32)
        return (tunnelcap_i_load32(addr) ^ (uint32_t)(facts->key[0] >> 32)) >> (32 - bits) == 0;
    first = tunnelcap_i_load64(addr) ^ facts->key[0];
    if (bits <= 64)
        return first >> (64 - bits) == 0;
    return first == 0 && (tunnelcap_i_load64(addr + 8) ^ facts->key[1]) >> (128 - bits) == 0;
}

/* Read the next entry; 0 if it was a leaf. */
static inline uint32_t go_on(const tunnelcap_i_lpm *lpm, tunnelcap_i_lpm_query *query)
{
    uint32_t entry = *query->at;

    if ((query->value & TUNNELCAP_I_LPM_SKIP) &&
        !agrees(&lpm->facts[low_of(query->value)], query->addr))
        entry = lpm->facts[low_of(query->value)].inherited;
    if (is_node(entry)) {
        tunnelcap_i_lpm_enter(lpm, query, entry);
        return 1;
    }
    query->value = low_of(entry);
    return 0;
}

void tunnelcap_i_lpm_find(const tunnelcap_i_lpm *lpm, tunnelcap_i_lpm_query *queries,
                          uint32_t count)
{
    tunnelcap_i_lpm_query *left[TUNNELCAP_I_LPM_BURST]; /* that are not at a leaf yet */
    uint32_t waiting = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (go_on(lpm, &queries[i]))
            left[waiting++] = &queries[i];
    }
    while (waiting != 0) {
        count = waiting;
        waiting = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (go_on(lpm, left[i]))
                left[waiting++] = left[i];
        }
    }
}

/* ---- roots ---- */

static uint32_t root_home(const tunnelcap_i_lpm *lpm, uint32_t vrf)
{
    return (vrf * 0x9e3779b1u) >> 16 & lpm->root_mask;
}

tunnelcap_i_lpm_root *tunnelcap_i_lpm_root_of(const tunnelcap_i_lpm *lpm, uint32_t vrf)
{
    uint32_t at = root_home(lpm, vrf);

    while (lpm->roots[at].prefixes != 0 && lpm->roots[at].vrf != vrf)
        at = (at + 1) & lpm->root_mask;
    return &lpm->roots[at];
}

/* The root of any routing instance; its `prefixes` are 0 if it has none. */
static tunnelcap_i_lpm_root *root_of(const tunnelcap_i_lpm *lpm, uint32_t vrf)
{
    return vrf == 0 ? &lpm->head->root : tunnelcap_i_lpm_root_of(lpm, vrf);
}

/* Give a root free whose last prefix is gone, and close the gap in the hash. */
static void free_root(const tunnelcap_i_lpm *lpm, tunnelcap_i_lpm_root *root)
{
    uint32_t hole = (uint32_t)(root - lpm->roots);
    uint32_t home;

    lpm->head->roots--;
    for (uint32_t at = (hole + 1) & lpm->root_mask; lpm->roots[at].prefixes != 0;
         at = (at + 1) & lpm->root_mask) {
        home = root_home(lpm, lpm->roots[at].vrf);
        if (((at - home) & lpm->root_mask) >= ((at - hole) & lpm->root_mask)) {
            lpm->roots[hole] = lpm->roots[at];
            hole = at;
        }
    }
    memset(&lpm->roots[hole], 0, sizeof(*lpm->roots));
}

/* ---- nodes ---- */

/* Make a node, all of whose entries inherit. There is one that is free. */
static uint32_t take_node(const tunnelcap_i_lpm *lpm, const uint64_t word[2], uint32_t depth,
                          uint32_t inherited, uint32_t inherited_len)
{
    tunnelcap_i_lpm_head *head = lpm->head;
    tunnelcap_i_lpm_facts *facts;
    uint32_t *entries;
    uint32_t node;

    if (head->free != 0) {
        node = head->free - 1;
        head->free = lpm->facts[node].inherited;
    } else {
        node = head->drawn++;
    }
    head->used++;
    facts = &lpm->facts[node];
    memset(facts, 0, sizeof(*facts));
    for (uint32_t i = 0; i < depth; i++)
        facts->key[i / 8] |= (uint64_t)byte_at(word, i) << (56 - 8 * (i % 8));
    facts->inherited = inherited;
    facts->inherited_len = (uint8_t)inherited_len;
    facts->depth = (uint8_t)depth;
    entries = entries_of(lpm, node);
    for (uint32_t i = 0; i < TUNNELCAP_I_LPM_NODE; i++)
        entries[i] = inherited;
    return node;
}

static void give_node(const tunnelcap_i_lpm *lpm, uint32_t node)
{
    lpm->facts[node].inherited = lpm->head->free;
    lpm->head->free = node + 1;
    lpm->head->used--;
}

/* An entry on the way to a prefix. */
typedef struct step {
    uint32_t *slot;
    uint32_t depth; /* bytes of the address that have been looked at when it is read */
    int32_t node;   /* which it is in; NO_NODE: a root */
} step;

/* The way down to the node that a prefix ends in, as far as there is one. */
typedef struct way {
    uint64_t word[2]; /* the prefix */
    uint32_t end;     /* depth of that node */
    uint32_t branch;  /* where the prefix leaves the way: `end` if there is nothing below */
    uint32_t found;   /* 1: the last step leads to that node */
    uint32_t count;
    step steps[WAY_MAX];
} way;

static void add_step(way *w, uint32_t *slot, uint32_t depth, int32_t node)
{
    w->steps[w->count].slot = slot;
    w->steps[w->count].depth = depth;
    w->steps[w->count].node = node;
    w->count++;
}

static step *last_step(way *w)
{
    return &w->steps[w->count - 1];
}

static void read_prefix(const tunnelcap_i_lpm_prefix *prefix, uint64_t word[2])
{
    word[0] = (uint64_t)tunnelcap_i_load32(prefix->bytes) << 32;
    word[1] = 0;
    if (prefix->family == TUNNELCAP_IPV6) {
        word[0] = tunnelcap_i_load64(prefix->bytes);
        word[1] = tunnelcap_i_load64(prefix->bytes + 8);
    }
}

/* Whether the addresses of a prefix begin at a wide root. */
static uint32_t is_wide(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix)
{
    return prefix->vrf == 0 && lpm->wide != NULL;
}

/* Find the way to a prefix that ends in a node. */
static void find_way(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                     tunnelcap_i_lpm_root *root, way *w)
{
    const tunnelcap_i_lpm_facts *facts;
    uint32_t limit;
    uint32_t node;

    read_prefix(prefix, w->word);
    w->end = (prefix->len - 1) / 8;
    w->count = 0;
    w->found = 0;
    if (is_wide(lpm, prefix))
        add_step(w, tunnelcap_i_lpm_wide(lpm, prefix->family) + (w->word[0] >> 48), 2, NO_NODE);
    else
        add_step(w, &root->entry[prefix->family == TUNNELCAP_IPV6], 0, NO_NODE);
    while (is_node(*last_step(w)->slot)) {
        node = low_of(*last_step(w)->slot);
        facts = &lpm->facts[node];
        limit = facts->depth < w->end ? facts->depth : w->end;
        w->branch = last_step(w)->depth;
        while (w->branch < limit && byte_at(w->word, w->branch) == byte_at(facts->key, w->branch))
            w->branch++;
        if (w->branch < facts->depth)
            return;
        if (facts->depth == w->end) {
            w->found = 1;
            return;
        }
        add_step(w, entries_of(lpm, node) + byte_at(w->word, facts->depth), facts->depth + 1u,
                 (int32_t)node);
    }
    w->branch = w->end;
}

/* ---- painting ---- */

/* A value for all leaves that have theirs from prefixes of some lengths. All lengths here are
 * + 1, and 0 where there is no prefix. */
typedef struct paint {
    uint32_t value;
    uint32_t len;      /* of the prefix that they have it from now */
    uint32_t from, to; /* of those that they had it from */
} paint;

static uint32_t covers(const paint *p, uint32_t len)
{
    return len >= p->from && len <= p->to;
}

/* Hand a value down to a node and those below it. */
static void hand_down(const tunnelcap_i_lpm *lpm, uint32_t node, const paint *p)
{
    struct {
        uint32_t node, at;
    } above[WAY_MAX];
    uint32_t depth = 0;
    uint32_t at = 0;
    uint32_t *entries;
    uint32_t child;

    if (!covers(p, lpm->facts[node].inherited_len))
        return;
    for (;;) {
        entries = entries_of(lpm, node);
        while (at < TUNNELCAP_I_LPM_NODE && !is_node(entries[at])) {
            if (own_bits(entries[at]) == 0)
                entries[at] = p->value;
            at++;
        }
        if (at == TUNNELCAP_I_LPM_NODE) {
            lpm->facts[node].inherited = p->value;
            lpm->facts[node].inherited_len = (uint8_t)p->len;
            if (depth == 0)
                return;
            depth--;
            node = above[depth].node;
            at = above[depth].at;
            continue;
        }
        child = low_of(entries[at++]);
        if (covers(p, lpm->facts[child].inherited_len)) {
            above[depth].node = node;
            above[depth].at = at;
            depth++;
            node = child;
            at = 0;
        }
    }
}

/* A leaf of a node, or wide root, whose prefixes have more than `base` bits. */
static uint32_t leaf(uint32_t base, uint32_t value, uint32_t len)
{
    return (len > base + 1 ? len - 1 - base : 0) << TUNNELCAP_I_LPM_BITS | value;
}

/* Paint some entries of a node or a root; `above` is what its leaves have inherited from. */
static void paint_entries(const tunnelcap_i_lpm *lpm, uint32_t *entries, uint32_t count,
                          uint32_t base, uint32_t above, const paint *p)
{
    uint32_t new_leaf = leaf(base, p->value, p->len);
    uint32_t own;

    for (uint32_t i = 0; i < count; i++) {
        if (is_node(entries[i])) {
            hand_down(lpm, low_of(entries[i]), p);
            continue;
        }
        own = own_bits(entries[i]);
        if (covers(p, own != 0 ? base + own + 1 : above))
            entries[i] = new_leaf;
    }
}

/* Paint what a prefix holds: in the node where it ends, or above all nodes. */
static void paint_prefix(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                         tunnelcap_i_lpm_root *root, uint32_t node, const paint *p)
{
    uint32_t *entry = &root->entry[prefix->family == TUNNELCAP_IPV6];
    uint32_t had_default = is_wide(lpm, prefix) ? *entry != 0 : !is_node(*entry) && *entry != 0;
    uint64_t word[2];
    uint32_t depth;

    read_prefix(prefix, word);
    if (is_wide(lpm, prefix) && prefix->len <= 16) {
        paint_entries(lpm, tunnelcap_i_lpm_wide(lpm, prefix->family) + (word[0] >> 48),
                      (uint32_t)1 << (16 - prefix->len), 0, had_default, p);
        if (prefix->len == 0)
            *entry = p->value;
    } else if (prefix->len == 0) {
        paint_entries(lpm, entry, 1, 0, had_default, p);
    } else {
        depth = lpm->facts[node].depth;
        paint_entries(lpm, entries_of(lpm, node) + byte_at(word, depth),
                      (uint32_t)1 << (8 * (depth + 1) - prefix->len), 8 * depth,
                      lpm->facts[node].inherited_len, p);
    }
}

/* Whether a prefix ends in a node, not in a root. */
static uint32_t ends_in_node(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix)
{
    return prefix->len > (is_wide(lpm, prefix) ? 16u : 0u);
}

/* ---- adding and removing ---- */

/* What a new node at a step inherits. */
static void inheritance(const tunnelcap_i_lpm *lpm, const step *s, uint32_t *value, uint32_t *len)
{
    uint32_t entry = *s->slot;
    uint32_t base = s->node == NO_NODE ? 0 : 8u * lpm->facts[s->node].depth;

    if (is_node(entry)) {
        *value = lpm->facts[low_of(entry)].inherited;
        *len = lpm->facts[low_of(entry)].inherited_len;
        return;
    }
    *value = low_of(entry);
    if (own_bits(entry) != 0)
        *len = base + own_bits(entry) + 1;
    else if (s->node == NO_NODE)
        *len = *value != 0;
    else
        *len = lpm->facts[s->node].inherited_len;
}

/* Let an entry lead to a node. */
static void hang(const tunnelcap_i_lpm *lpm, const step *s, uint32_t node)
{
    uint32_t depth = lpm->facts[node].depth;

    if (s->node != NO_NODE && !is_node(*s->slot))
        lpm->facts[s->node].children++;
    *s->slot = (uint32_t)1 << 31 | (depth > s->depth ? (uint32_t)TUNNELCAP_I_LPM_SKIP : 0) |
               depth << TUNNELCAP_I_LPM_BITS | node;
}

/* Make the nodes that a prefix lacks; there are enough. Gives the one that it ends in. */
static uint32_t make_way(const tunnelcap_i_lpm *lpm, way *w)
{
    step above;
    uint32_t value;
    uint32_t len;
    uint32_t node;
    uint32_t below;

    if (w->found)
        return low_of(*last_step(w)->slot);
    inheritance(lpm, last_step(w), &value, &len);
    if (!is_node(*last_step(w)->slot)) {
        node = take_node(lpm, w->word, w->end, value, len);
        hang(lpm, last_step(w), node);
        return node;
    }
    below = low_of(*last_step(w)->slot);
    node = take_node(lpm, w->word, w->branch, value, len);
    hang(lpm, last_step(w), node);
    above.node = (int32_t)node;
    above.depth = w->branch + 1;
    above.slot = entries_of(lpm, node) + byte_at(lpm->facts[below].key, w->branch);
    hang(lpm, &above, below);
    if (w->branch == w->end)
        return node;
    above.slot = entries_of(lpm, node) + byte_at(w->word, w->branch);
    node = take_node(lpm, w->word, w->end, value, len);
    hang(lpm, &above, node);
    return node;
}

/* How many nodes that takes. */
static uint32_t missing(way *w)
{
    if (w->found)
        return 0;
    return is_node(*last_step(w)->slot) && w->branch != w->end ? 2 : 1;
}

/* The same, where the way is known; it is of no use for a prefix that ends in a root. */
static int32_t check_room(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                          const tunnelcap_i_lpm_root *root, way *w)
{
    if (root->prefixes == 0 && prefix->vrf != 0 && lpm->head->roots == lpm->root_max)
        return TUNNELCAP_E_FULL;
    return ends_in_node(lpm, prefix) && missing(w) > lpm->node_max - lpm->head->used
               ? TUNNELCAP_E_FULL
               : TUNNELCAP_OK;
}

int32_t tunnelcap_i_lpm_room(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix)
{
    tunnelcap_i_lpm_root *root = root_of(lpm, prefix->vrf);
    way w;

    if (ends_in_node(lpm, prefix))
        find_way(lpm, prefix, root, &w);
    return check_room(lpm, prefix, root, &w);
}

int32_t tunnelcap_i_lpm_add(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                            uint32_t value)
{
    const paint p = {value, prefix->len + 1, 0, prefix->len + 1};
    tunnelcap_i_lpm_root *root = root_of(lpm, prefix->vrf);
    uint32_t node = 0;
    int32_t status;
    way w;

    if (ends_in_node(lpm, prefix))
        find_way(lpm, prefix, root, &w);
    status = check_room(lpm, prefix, root, &w);
    if (status != TUNNELCAP_OK)
        return status;
    if (ends_in_node(lpm, prefix)) {
        node = make_way(lpm, &w);
        lpm->facts[node].prefixes++;
    }
    if (root->prefixes == 0 && prefix->vrf != 0) {
        root->vrf = prefix->vrf;
        lpm->head->roots++;
    }
    root->prefixes++;
    paint_prefix(lpm, prefix, root, node, &p);
    return TUNNELCAP_OK;
}

void tunnelcap_i_lpm_change(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                            uint32_t value)
{
    const paint p = {value, prefix->len + 1, prefix->len + 1, prefix->len + 1};
    tunnelcap_i_lpm_root *root = root_of(lpm, prefix->vrf);
    uint32_t node = 0;
    way w;

    if (ends_in_node(lpm, prefix)) {
        find_way(lpm, prefix, root, &w);
        node = low_of(*last_step(&w)->slot);
    }
    paint_prefix(lpm, prefix, root, node, &p);
}

/* Leave the node at the last step out if it is of no use: nothing ends in it, and it leads to one
 * node at most. Gives 1 if the node above has lost an entry to it. */
static uint32_t leave_out(const tunnelcap_i_lpm *lpm, way *w)
{
    const step *s = last_step(w);
    uint32_t node = low_of(*s->slot);
    const tunnelcap_i_lpm_facts *facts = &lpm->facts[node];
    uint32_t children = facts->children;
    const uint32_t *entries = entries_of(lpm, node);
    uint32_t base = s->node == NO_NODE ? 0 : 8u * lpm->facts[s->node].depth;

    if (facts->prefixes != 0 || children > 1)
        return 0;
    if (children == 1) {
        while (!is_node(*entries))
            entries++;
        hang(lpm, s, low_of(*entries));
    } else {
        *s->slot = leaf(base, facts->inherited, facts->inherited_len);
        if (s->node != NO_NODE)
            lpm->facts[s->node].children--;
    }
    give_node(lpm, node);
    return children == 0;
}

void tunnelcap_i_lpm_remove(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                            uint32_t cover, uint32_t cover_len)
{
    const paint p = {cover, cover != 0 ? cover_len + 1 : 0, prefix->len + 1, prefix->len + 1};
    tunnelcap_i_lpm_root *root = root_of(lpm, prefix->vrf);
    uint32_t node = 0;
    way w;

    if (!ends_in_node(lpm, prefix)) {
        paint_prefix(lpm, prefix, root, 0, &p);
    } else {
        find_way(lpm, prefix, root, &w);
        node = low_of(*last_step(&w)->slot);
        lpm->facts[node].prefixes--;
        paint_prefix(lpm, prefix, root, node, &p);
        if (leave_out(lpm, &w) && w.count > 1) {
            w.count--;
            leave_out(lpm, &w);
        }
    }
    root->prefixes--;
    if (root->prefixes == 0 && prefix->vrf != 0)
        free_root(lpm, root);
}

/* ---- memory ---- */

void tunnelcap_i_lpm_lay_out(tunnelcap_i_layout *layout, uint32_t nodes, uint32_t vrfs,
                             tunnelcap_i_lpm *lpm)
{
    uint32_t roots = 4;

    while (roots < 2 * vrfs)
        roots *= 2;
    lpm->node_max = nodes;
    lpm->root_max = vrfs;
    lpm->root_mask = roots - 1;
    lpm->head = tunnelcap_i_layout_add(layout, 1, sizeof(*lpm->head));
    lpm->roots = tunnelcap_i_layout_add(layout, roots, sizeof(*lpm->roots));
    lpm->facts = tunnelcap_i_layout_add(layout, nodes, sizeof(*lpm->facts));
    lpm->nodes = tunnelcap_i_layout_add(layout, nodes, TUNNELCAP_I_LPM_NODE * sizeof(uint32_t));
    lpm->wide = NULL;
    if (nodes >= TUNNELCAP_I_LPM_WIDE_FROM)
        lpm->wide = tunnelcap_i_layout_add(layout, 2 * TUNNELCAP_I_LPM_WIDE, sizeof(*lpm->wide));
}
