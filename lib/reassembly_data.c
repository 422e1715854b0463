/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The way of a fragment: hold it against what is there of its set, keep it or give the datagram
 * out. Nothing of a set changes before all has been checked. */
#include "reassembly.h"

#include "checksum.h"

enum { CE = 3 }; /* of ECN, RFC 3168 section 5 */

/* ---- holding it against its set ---- */

/* `count` units from unit `first` of a cell on. */
static uint64_t unit_mask(uint32_t first, uint32_t count)
{
    return count == TUNNELCAP_I_UNITS ? UINT64_MAX : (((uint64_t)1 << count) - 1) << first;
}

/* Part of a fragment that lies in one cell. */
typedef struct part {
    uint32_t cell; /* its number in the datagram */
    uint32_t at;   /* in the cell */
    uint32_t len;
    uint64_t mask; /* its units */
} part;

/* The part of the data from `done` on. */
static part part_of(const tunnelcap_i_fragment *f, uint32_t done)
{
    uint32_t off = f->off + done;
    part x;

    x.cell = off / TUNNELCAP_I_CELL;
    x.at = off % TUNNELCAP_I_CELL;
    x.len = f->len - done < TUNNELCAP_I_CELL - x.at ? f->len - done : TUNNELCAP_I_CELL - x.at;
    x.mask = unit_mask(x.at / TUNNELCAP_I_UNIT, (x.len + TUNNELCAP_I_UNIT - 1) / TUNNELCAP_I_UNIT);
    return x;
}

/* Whether data goes on behind a fragment without another one beginning there. */
static uint32_t goes_on(const tunnelcap_reassembly *r, const tunnelcap_i_set *set, uint32_t end)
{
    uint32_t cell = tunnelcap_i_cell_at(r, set, end / TUNNELCAP_I_CELL);
    uint64_t bit = (uint64_t)1 << end % TUNNELCAP_I_CELL / TUNNELCAP_I_UNIT;

    return end % TUNNELCAP_I_UNIT == 0 && cell != 0 && (r->units[cell].there & bit) &&
           !(r->units[cell].starts & bit);
}

/* TUNNELCAP_OK where nothing is there yet of what a fragment holds; TUNNELCAP_KEPT where exactly
 * this one is; else TUNNELCAP_E_OVERLAP. *lacking is how many cells of its data are not there. */
static int32_t check_overlap(const tunnelcap_reassembly *r, const tunnelcap_i_set *set,
                             const tunnelcap_i_fragment *f, uint32_t *lacking)
{
    uint32_t end = tunnelcap_i_set_end(set);
    uint32_t at = f->off / TUNNELCAP_I_CELL;
    uint64_t first = 0;
    uint64_t there = 0;
    uint64_t missing = 0;
    uint64_t cut = 0;
    uint64_t starts;

    if (f->off >= end) { /* as it is with fragments that come in order */
        *lacking = (f->off + f->len - 1) / TUNNELCAP_I_CELL - at + 1;
        *lacking -= end != 0 && (end - 1) / TUNNELCAP_I_CELL == at;
        return TUNNELCAP_OK;
    }
    for (uint32_t done = 0; done < f->len;) {
        part x = part_of(f, done);
        uint32_t cell = tunnelcap_i_cell_at(r, set, x.cell);
        uint64_t have = cell != 0 ? r->units[cell].there & x.mask : 0;

        *lacking += cell == 0;
        there |= have;
        missing |= have ^ x.mask;
        starts = have != 0 ? r->units[cell].starts & x.mask : 0;
        if (done == 0) {
            first = starts & (uint64_t)1 << x.at / TUNNELCAP_I_UNIT;
            starts ^= first;
        }
        cut |= starts;
        done += x.len;
    }
    if (there == 0)
        return TUNNELCAP_OK;
    return missing == 0 && first != 0 && cut == 0 && !goes_on(r, set, f->off + f->len)
               ? TUNNELCAP_KEPT
               : TUNNELCAP_E_OVERLAP;
}

/* Bytes that a datagram's header takes of the 65535, when its first fragment is known. */
static uint32_t header_share(uint8_t family, uint32_t header_len)
{
    if (header_len == 0 || family == TUNNELCAP_IPV4)
        return header_len;
    return header_len - TUNNELCAP_I_FRAGMENT_HEADER - TUNNELCAP_I_IPV6_HEADER;
}

/* Whether the set, with the fragment, still agrees on one datagram. */
static int32_t check_lengths(const tunnelcap_i_set *set, const tunnelcap_i_fragment *f)
{
    uint32_t end = f->off + f->len;
    uint32_t most = end > set->top ? end : set->top;

    if (f->more ? set->total != 0 && end >= set->total
                : end <= set->top || (set->total != 0 && end != set->total))
        return TUNNELCAP_E_MALFORMED;
    if (set->total > most)
        most = set->total;
    if (most + header_share(f->key.family, f->off == 0 ? f->header_len : set->header_len) >
        TUNNELCAP_I_IP_MAX)
        return TUNNELCAP_E_MALFORMED;
    return TUNNELCAP_OK;
}

/* TUNNELCAP_OK to keep a fragment, TUNNELCAP_KEPT for a duplicate, or why its set is to go. */
static int32_t check_against_set(const tunnelcap_reassembly *r, const tunnelcap_i_set *set,
                                 const tunnelcap_i_fragment *f, uint32_t *lacking)
{
    uint32_t ecns = set->ecns | 1u << f->ecn;
    int32_t lengths = check_lengths(set, f);
    int32_t status = check_overlap(r, set, f, lacking);

    if (status == TUNNELCAP_KEPT) /* if not with the same M bit, then no duplicate */
        return lengths == TUNNELCAP_OK ? TUNNELCAP_KEPT : TUNNELCAP_E_OVERLAP;
    if (status != TUNNELCAP_OK)
        return status;
    if (lengths != TUNNELCAP_OK)
        return lengths;
    return (ecns & 1u << CE) && (ecns & 1) ? TUNNELCAP_E_ECN : TUNNELCAP_OK;
}

/* Bytes of data of the datagram that a fragment, which is new, completes; 0 if it does not. */
static uint32_t completes(const tunnelcap_i_set *set, const tunnelcap_i_fragment *f)
{
    uint32_t total = f->more ? set->total : f->off + f->len;

    return set->got + f->len == total ? total : 0;
}

/* ---- keeping ---- */

static const uint8_t *header_of(const tunnelcap_reassembly *r, const tunnelcap_i_set *set)
{
    return set->header_cell != 0 ? tunnelcap_i_cell_data(r, set->header_cell) : set->header;
}

static uint32_t header_needs_cell(const tunnelcap_i_fragment *f)
{
    return f->off == 0 && f->header_len > TUNNELCAP_I_HEADER_INLINE;
}

/* Cells that a set wants for a fragment of whose data it lacks some. */
static uint32_t cells_wanted(const tunnelcap_i_set *set, const tunnelcap_i_fragment *f,
                             uint32_t lacking)
{
    uint32_t last = (f->off + f->len - 1) / TUNNELCAP_I_CELL;

    return lacking + header_needs_cell(f) +
           (last >= TUNNELCAP_I_CELLS_DIRECT && set->index_cell == 0);
}

/* The set's cell number n, which is made if it is not there. */
static uint32_t cell_for(tunnelcap_reassembly *r, tunnelcap_i_set *set, uint32_t n)
{
    uint32_t *name = &set->cell[n % TUNNELCAP_I_CELLS_DIRECT];

    if (n >= TUNNELCAP_I_CELLS_DIRECT) {
        if (set->index_cell == 0) {
            set->index_cell = tunnelcap_i_cell_take(r, set);
            memset(tunnelcap_i_cell_data(r, set->index_cell), 0, TUNNELCAP_I_CELL);
        }
        name = &tunnelcap_i_cell_index(r, set->index_cell)[n];
    }
    if (*name == 0)
        *name = tunnelcap_i_cell_take(r, set);
    return *name;
}

static void keep_header(tunnelcap_reassembly *r, tunnelcap_i_set *set,
                        const tunnelcap_i_fragment *f)
{
    uint8_t *to = set->header;

    if (header_needs_cell(f)) {
        set->header_cell = tunnelcap_i_cell_take(r, set);
        to = tunnelcap_i_cell_data(r, set->header_cell);
    }
    memcpy(to, f->p, f->header_len);
    set->header_len = (uint16_t)f->header_len;
    set->next_at = (uint16_t)f->next_at;
    set->first_len = f->len;
}

/* Copy data into cells that are there or were reserved; those that lie side by side, at once. */
static void keep_data(tunnelcap_reassembly *r, tunnelcap_i_set *set, const tunnelcap_i_fragment *f)
{
    const uint8_t *data = f->p + f->header_len;
    uint8_t *to = NULL;
    uint32_t copied = 0;
    uint32_t before = 0;
    part x;

    for (uint32_t done = 0; done < f->len; done += x.len) {
        uint32_t cell;

        x = part_of(f, done);
        cell = cell_for(r, set, x.cell);
        r->units[cell].there |= x.mask;
        if (done == 0) {
            r->units[cell].starts |= (uint64_t)1 << x.at / TUNNELCAP_I_UNIT;
            to = tunnelcap_i_cell_data(r, cell) + x.at;
        } else if (cell != before + 1) {
            memcpy(to, data + copied, done - copied);
            copied = done;
            to = tunnelcap_i_cell_data(r, cell);
        }
        before = cell;
    }
    memcpy(to, data + copied, f->len - copied);
}

/* Copy a fragment into its set, which has cells for it. */
static void keep(tunnelcap_reassembly *r, uint32_t at, const tunnelcap_i_fragment *f)
{
    tunnelcap_i_set *set = &r->sets[at];

    keep_data(r, set, f);
    if (f->off == 0)
        keep_header(r, set, f);
    set->got += f->len;
    if (!f->more)
        set->total = f->off + f->len;
    else if (f->off + f->len > set->top)
        set->top = f->off + f->len;
    set->ecns |= (uint8_t)(1u << f->ecn);
    set->all_df &= (uint8_t)f->df;
    tunnelcap_i_source_weigh(r, set->source);
}

/* ---- giving out ---- */

/* Copy data from `from` up to `end` out of a set, that of cells side by side at once. */
static void copy_out(const tunnelcap_reassembly *r, const tunnelcap_i_set *set, uint32_t from,
                     uint32_t end, uint8_t *to)
{
    while (from < end) {
        uint32_t n = from / TUNNELCAP_I_CELL;
        uint32_t cell = tunnelcap_i_cell_at(r, set, n);
        const uint8_t *data = tunnelcap_i_cell_data(r, cell) + from % TUNNELCAP_I_CELL;
        uint32_t stop = (n + 1) * TUNNELCAP_I_CELL;

        while (stop < end && tunnelcap_i_cell_at(r, set, ++n) == ++cell)
            stop += TUNNELCAP_I_CELL;
        if (stop > end)
            stop = end;
        memcpy(to, data, stop - from);
        to += stop - from;
        from = stop;
    }
}

static void finish_ipv4(uint8_t *h, uint32_t header_len, uint32_t total, uint32_t ce, uint32_t df)
{
    h[1] |= (uint8_t)(ce ? CE : 0);
    tunnelcap_i_store16(h + 2, header_len + total);
    tunnelcap_i_store16(h + 6, (tunnelcap_i_load16(h + 6) & 0x8000u) | df << 14);
    tunnelcap_i_store16(h + 10, 0);
    tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_sum(h, header_len));
}

/* next is what the Fragment header names; header_len is without that one. */
static void finish_ipv6(uint8_t *h, uint32_t header_len, uint32_t total, uint32_t ce,
                        uint32_t next_at, uint8_t next)
{
    if (ce)
        tunnelcap_i_ipv6_set_class(h, tunnelcap_i_ipv6_class(h) | CE);
    tunnelcap_i_store16(h + 4, header_len - TUNNELCAP_I_IPV6_HEADER + total);
    h[next_at] = next;
}

/* Write the datagram that a fragment completes; the fragment itself comes from its packet. */
static int32_t give_out(const tunnelcap_reassembly *r, const tunnelcap_i_set *set,
                        const tunnelcap_i_fragment *f, uint32_t total, tunnelcap_pkt *out)
{
    const uint8_t *header = f->off == 0 ? f->p : header_of(r, set);
    uint32_t header_len = f->off == 0 ? f->header_len : set->header_len;
    uint32_t next_at = f->off == 0 ? f->next_at : set->next_at;
    uint32_t ce = set->ecns >> CE || f->ecn == CE;
    uint32_t is_ipv6 = f->key.family == TUNNELCAP_IPV6;
    uint32_t kept_len = header_len - (is_ipv6 ? TUNNELCAP_I_FRAGMENT_HEADER : 0);
    uint8_t *to;

    if (out == NULL || out->cap - out->off < kept_len + total)
        return TUNNELCAP_E_TAILROOM;
    to = out->buf + out->off;
    memcpy(to, header, kept_len);
    if (is_ipv6)
        finish_ipv6(to, kept_len, total, ce, next_at, header[kept_len]);
    else
        finish_ipv4(to, kept_len, total, ce, set->all_df & f->df);
    out->len = kept_len + total;
    to += kept_len;
    copy_out(r, set, 0, f->off, to);
    memcpy(to + f->off, f->p + f->header_len, f->len);
    copy_out(r, set, f->off + f->len, total, to + f->off + f->len);
    return TUNNELCAP_OK;
}

/* ---- the calls ---- */

/* 1 if out can take a datagram while pkt is read. */
static uint32_t is_apart(const tunnelcap_pkt *pkt, const tunnelcap_pkt *out)
{
    uintptr_t a = (uintptr_t)pkt->buf;
    uintptr_t b = (uintptr_t)out->buf;

    if (out->buf == NULL || out->off > out->cap)
        return 0;
    return a < b ? b - a >= pkt->cap : a - b >= out->cap;
}

/* The set that a fragment falls in, or 0. One that is due is not it: its identification may have
 * come again. */
static uint32_t live_set(const tunnelcap_reassembly *r, tunnelcap_i_fragment *f, uint64_t clock_ns,
                         uint32_t *due)
{
    uint32_t at;

    f->bucket = tunnelcap_i_set_bucket(r, &f->key);
    at = tunnelcap_i_set_find(r, f);
    *due = at != 0 && tunnelcap_i_set_due(r, at, clock_ns) ? at : 0;
    return *due != 0 ? 0 : at;
}

/* A fragment of a set that is there: complete, kept or discarded with it. */
static int32_t add_to_set(tunnelcap_reassembly *r, uint32_t at, const tunnelcap_i_fragment *f,
                          tunnelcap_pkt *out)
{
    tunnelcap_i_set *set = &r->sets[at];
    uint32_t lacking = 0;
    uint32_t total;
    int32_t status = check_against_set(r, set, f, &lacking);

    if (status == TUNNELCAP_KEPT) {
        r->stats.duplicates++;
        return status;
    }
    if (status == TUNNELCAP_OK) {
        total = completes(set, f);
        if (total != 0) {
            status = give_out(r, set, f, total, out);
            if (status != TUNNELCAP_OK)
                return status;
            r->stats.completed++;
            tunnelcap_i_set_drop(r, at);
            return status;
        }
        if (!tunnelcap_i_cells_reserve(r, at, cells_wanted(set, f, lacking)))
            status = TUNNELCAP_E_FULL;
    }
    if (status != TUNNELCAP_OK) {
        tunnelcap_i_set_discard(r, at, status);
        return status;
    }
    keep(r, at, f);
    return TUNNELCAP_KEPT;
}

int32_t tunnelcap_reassembly_add(tunnelcap_reassembly *reassembly, const tunnelcap_pkt *pkt,
                                 const tunnelcap_meta *meta, uint64_t now_ns, tunnelcap_pkt *out)
{
    tunnelcap_i_fragment f;
    uint32_t due;
    uint32_t at;
    int32_t status;

    if (reassembly == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_fragment_read(pkt, meta, &f);
    if (status == TUNNELCAP_WHOLE || status == TUNNELCAP_E_INVALID)
        return status;
    if (out != NULL && !is_apart(pkt, out))
        return TUNNELCAP_E_INVALID;
    reassembly->clock_ns = tunnelcap_i_reassembly_clock(reassembly, now_ns);
    reassembly->now_ns = now_ns;
    if (status == TUNNELCAP_OK) {
        at = live_set(reassembly, &f, reassembly->clock_ns, &due);
        if (due != 0) {
            reassembly->stats.timed_out += reassembly->sets[due].status == TUNNELCAP_OK;
            tunnelcap_i_set_drop(reassembly, due);
        }
        if (at == 0)
            at = tunnelcap_i_set_new(reassembly, &f);
        status = reassembly->sets[at].status;
        if (status == TUNNELCAP_OK) {
            status = add_to_set(reassembly, at, &f, out);
            reassembly->stats.fragments += status != TUNNELCAP_E_TAILROOM;
            return status;
        }
    }
    reassembly->stats.fragments++;
    reassembly->stats.refused++;
    return status;
}

uint32_t tunnelcap_reassembly_need(const tunnelcap_reassembly *reassembly, const tunnelcap_pkt *pkt,
                                   const tunnelcap_meta *meta, uint64_t now_ns)
{
    const tunnelcap_i_set *set;
    tunnelcap_i_fragment f;
    uint32_t lacking = 0;
    uint32_t header_len;
    uint32_t total;
    uint32_t due;
    uint32_t at;

    if (reassembly == NULL || tunnelcap_i_fragment_read(pkt, meta, &f) != TUNNELCAP_OK)
        return 0;
    at = live_set(reassembly, &f, tunnelcap_i_reassembly_clock(reassembly, now_ns), &due);
    set = &reassembly->sets[at];
    if (at == 0 || set->status != TUNNELCAP_OK ||
        check_against_set(reassembly, set, &f, &lacking) != TUNNELCAP_OK)
        return 0;
    total = completes(set, &f);
    if (total == 0)
        return 0;
    header_len = f.off == 0 ? f.header_len : set->header_len;
    return total + header_len - (f.key.family == TUNNELCAP_IPV6 ? TUNNELCAP_I_FRAGMENT_HEADER : 0);
}

int32_t tunnelcap_reassembly_expire(tunnelcap_reassembly *reassembly, uint64_t now_ns,
                                    tunnelcap_pkt *out, uint32_t *vrf)
{
    tunnelcap_i_set *set;
    uint32_t at;
    uint32_t len;
    uint32_t found;

    if (reassembly == NULL || (out != NULL && (out->buf == NULL || out->off > out->cap)))
        return TUNNELCAP_E_INVALID;
    reassembly->clock_ns = tunnelcap_i_reassembly_clock(reassembly, now_ns);
    reassembly->now_ns = now_ns;
    for (;;) {
        at = reassembly->sets[0].younger;
        if (at == 0 || !tunnelcap_i_set_due(reassembly, at, reassembly->clock_ns))
            return TUNNELCAP_E_NOT_FOUND;
        set = &reassembly->sets[at];
        reassembly->stats.timed_out += set->status == TUNNELCAP_OK;
        found = out != NULL && set->status == TUNNELCAP_OK && set->header_len != 0;
        if (found) {
            len = out->cap - out->off;
            out->len = len < set->header_len ? len : set->header_len;
            memcpy(out->buf + out->off, header_of(reassembly, set), out->len);
            len -= out->len;
            if (len > set->first_len)
                len = set->first_len;
            copy_out(reassembly, set, 0, len, out->buf + out->off + out->len);
            out->len += len;
            if (vrf != NULL)
                *vrf = set->key.vrf;
        }
        tunnelcap_i_set_drop(reassembly, at);
        if (found)
            return TUNNELCAP_OK;
    }
}
