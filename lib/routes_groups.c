/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "routes.h"

/* The groups of tunnels that share prefixes. */

static uint32_t hash_members(const tunnelcap_i_routes *r, const tunnelcap_i_member *members,
                             uint32_t count)
{
    uint64_t h = count;

    for (uint32_t i = 0; i < count; i++)
        h = tunnelcap_i_hash2(r->limits.key, h ^ members[i].tunnel,
                              (uint64_t)members[i].priority << 32 | members[i].weight);
    return (uint32_t)h;
}

static uint32_t same_members(const tunnelcap_i_member *a, const tunnelcap_i_member *b,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].tunnel != b[i].tunnel || a[i].priority != b[i].priority ||
            a[i].weight != b[i].weight)
            return 0;
    }
    return 1;
}

const tunnelcap_i_group *tunnelcap_i_group_find(const tunnelcap_i_routes *r,
                                                const tunnelcap_i_member *members, uint32_t count)
{
    uint32_t hash = hash_members(r, members, count);
    const tunnelcap_i_group *group;

    for (uint32_t at = r->by_members[hash & r->group_mask]; at != 0; at = group->next) {
        group = &r->groups[at - 1];
        if (group->hash == hash && group->count == count &&
            same_members(tunnelcap_i_group_members(r, group), members, count))
            return group;
    }
    return NULL;
}

static void chain(const tunnelcap_i_routes *r, uint32_t index)
{
    tunnelcap_i_group *group = &r->groups[index];
    uint32_t *link;

    group->hash = hash_members(r, tunnelcap_i_group_members(r, group), group->count);
    link = &r->by_members[group->hash & r->group_mask];
    group->next = *link;
    *link = index + 1;
}

static void unchain(const tunnelcap_i_routes *r, uint32_t index)
{
    uint32_t *link = &r->by_members[r->groups[index].hash & r->group_mask];

    while (*link != index + 1)
        link = &r->groups[*link - 1].next;
    *link = r->groups[index].next;
}

/* How members_of calls a member of a group. */
static uint32_t reference_to(uint32_t index, uint32_t i)
{
    return index * TUNNELCAP_I_MEMBERS_MAX + i + 1;
}

/* Priority with penalty: never better for being too bad. */
static uint32_t rank_of(const tunnelcap_i_routes *r, const tunnelcap_i_member *m)
{
    uint32_t penalty = r->penalties[m->of.place] * (uint32_t)TUNNELCAP_I_PENALTY_STEP;

    return m->priority > UINT32_MAX - penalty ? UINT32_MAX : m->priority + penalty;
}

/* Give the buckets of a group to the best of its members. */
static void fill(const tunnelcap_i_routes *r, uint32_t index)
{
    const tunnelcap_i_group *group = &r->groups[index];
    const tunnelcap_i_member *m = tunnelcap_i_group_members(r, group);
    uint32_t *buckets = r->buckets + ((size_t)index << r->limits.bucket_bits);
    uint32_t count = (uint32_t)1 << r->limits.bucket_bits;
    tunnelcap_i_sharer best[TUNNELCAP_I_MEMBERS_MAX];
    uint32_t least = UINT32_MAX;
    uint32_t n = 0;
    uint32_t rank;

    for (uint32_t i = 0; i < group->count; i++) {
        rank = rank_of(r, &m[i]);
        if (rank > least)
            continue;
        if (rank < least)
            n = 0;
        least = rank;
        best[n].tunnel = m[i].tunnel;
        best[n].place = m[i].of.place;
        best[n].weight = m[i].weight;
        n++;
    }
    if (n == 0)
        return;
    if (r->limits.rendezvous && n > 1)
        tunnelcap_i_share_by_rendezvous(buckets, count, best, n, r->limits.key);
    else
        tunnelcap_i_share_in_a_row(buckets, count, best, n);
}

uint32_t tunnelcap_i_group_take(const tunnelcap_i_routes *r, const tunnelcap_i_member *members,
                                uint32_t count)
{
    const tunnelcap_i_group *found = tunnelcap_i_group_find(r, members, count);
    tunnelcap_i_group *group;
    uint32_t index;

    if (found != NULL) {
        index = (uint32_t)(found - r->groups);
        r->groups[index].refs++;
        return TUNNELCAP_I_GROUP_VALUE | index;
    }
    if (r->head->groups_free != 0) {
        index = r->head->groups_free - 1;
        r->head->groups_free = r->groups[index].next;
    } else {
        index = r->head->groups_drawn++;
    }
    r->head->groups++;
    group = &r->groups[index];
    group->refs = 1;
    group->count = count;
    memcpy(tunnelcap_i_group_members(r, group), members, count * sizeof(*members));
    for (uint32_t i = 0; i < count; i++)
        tunnelcap_i_by_place_add(&r->members_of, reference_to(index, i));
    chain(r, index);
    fill(r, index);
    return TUNNELCAP_I_GROUP_VALUE | index;
}

void tunnelcap_i_group_release(const tunnelcap_i_routes *r, uint32_t value)
{
    tunnelcap_i_group *group = tunnelcap_i_group_of(r, value);
    uint32_t index = (uint32_t)(group - r->groups);

    if (--group->refs != 0)
        return;
    for (uint32_t i = 0; i < group->count; i++)
        tunnelcap_i_by_place_remove(&r->members_of, reference_to(index, i));
    unchain(r, index);
    group->next = r->head->groups_free;
    r->head->groups_free = index + 1;
    r->head->groups--;
}

/* Take a member out of a group; those behind it move up. */
static void take_out(const tunnelcap_i_routes *r, uint32_t index, uint32_t i)
{
    tunnelcap_i_group *group = &r->groups[index];
    tunnelcap_i_member *m = tunnelcap_i_group_members(r, group);

    unchain(r, index);
    tunnelcap_i_by_place_remove(&r->members_of, reference_to(index, i));
    group->count--;
    for (; i < group->count; i++) {
        tunnelcap_i_by_place_remove(&r->members_of, reference_to(index, i + 1));
        m[i] = m[i + 1];
        tunnelcap_i_by_place_add(&r->members_of, reference_to(index, i));
    }
    chain(r, index);
    fill(r, index);
}

void tunnelcap_i_groups_drop(const tunnelcap_i_routes *r, uint32_t place)
{
    uint32_t reference;

    while ((reference = tunnelcap_i_by_place_first(&r->members_of, place)) != 0)
        take_out(r, (reference - 1) / TUNNELCAP_I_MEMBERS_MAX,
                 (reference - 1) % TUNNELCAP_I_MEMBERS_MAX);
}

void tunnelcap_i_groups_refill(const tunnelcap_i_routes *r, uint32_t place)
{
    uint32_t reference = tunnelcap_i_by_place_first(&r->members_of, place);

    for (; reference != 0; reference = tunnelcap_i_by_place_at(&r->members_of, reference)->next)
        fill(r, (reference - 1) / TUNNELCAP_I_MEMBERS_MAX);
}
