/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "by_place.h"

void tunnelcap_i_by_place_lay_out(tunnelcap_i_layout *layout, uint32_t elements,
                                  tunnelcap_i_by_place *b)
{
    uint32_t lists = 4;

    while (lists < elements)
        lists *= 2;
    b->mask = lists - 1;
    b->first = tunnelcap_i_layout_add(layout, lists, sizeof(*b->first));
}

/* The link to the first of a place's list; to nothing where there is none. */
static uint32_t *link_of(const tunnelcap_i_by_place *b, uint32_t place)
{
    uint32_t *link = &b->first[(place * 0x9e3779b1u ^ place >> 15) & b->mask];

    while (*link != 0 && tunnelcap_i_by_place_at(b, *link)->place != place)
        link = &tunnelcap_i_by_place_at(b, *link)->prev;
    return link;
}

uint32_t tunnelcap_i_by_place_first(const tunnelcap_i_by_place *b, uint32_t place)
{
    return *link_of(b, place);
}

void tunnelcap_i_by_place_add(const tunnelcap_i_by_place *b, uint32_t index)
{
    tunnelcap_i_of_place *new_one = tunnelcap_i_by_place_at(b, index);
    uint32_t *link = link_of(b, new_one->place);
    tunnelcap_i_of_place *first;

    new_one->next = *link;
    new_one->prev = 0;
    if (*link != 0) {
        first = tunnelcap_i_by_place_at(b, *link);
        new_one->prev = first->prev;
        first->prev = index;
    }
    *link = index;
}

void tunnelcap_i_by_place_remove(const tunnelcap_i_by_place *b, uint32_t index)
{
    tunnelcap_i_of_place *gone = tunnelcap_i_by_place_at(b, index);
    uint32_t *link = link_of(b, gone->place);

    if (*link != index) {
        tunnelcap_i_by_place_at(b, gone->prev)->next = gone->next;
        if (gone->next != 0)
            tunnelcap_i_by_place_at(b, gone->next)->prev = gone->prev;
    } else if (gone->next != 0) {
        tunnelcap_i_by_place_at(b, gone->next)->prev = gone->prev;
        *link = gone->next;
    } else {
        *link = gone->prev;
    }
}
