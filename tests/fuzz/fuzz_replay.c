/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Sequence numbers in any order into the replay window, compared with a list of all that came.
 *
 * Input: window (2), start (4) and by how much to shift it, then steps: how to go on, and how far.
 */
#include <stdlib.h>
#include <string.h>

#include "../../lib/replay.h"
#include "fuzz.h"

enum { STEPS = 2048, WINDOW_MIN = 32, WINDOW_MAX = 65536 };

struct model {
    uint64_t start, top;
    uint64_t seen[STEPS];
    uint32_t count;
    uint32_t window;
};

static bool model_accepts(const struct model *m, uint64_t seq)
{
    if (seq <= m->start || (m->top >= m->window && seq <= m->top - m->window))
        return false;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->seen[i] == seq)
            return false;
    }
    return true;
}

/* The next number: near the top, near the left edge, seen already, or far ahead. */
static uint64_t next_number(const struct model *m, struct fuzz_input *in)
{
    uint32_t how = fuzz_u8(in);
    uint32_t far = fuzz_u8(in);

    switch (how & 7) {
    case 0:
        return m->top + 1 + far;
    case 1:
        return m->top - (far < m->top ? far : m->top);
    case 2:
        return m->top < m->window ? far : m->top - m->window + far % 3;
    case 3:
        return m->count > 0 ? m->seen[far % m->count] : 0;
    case 4:
        return m->top + m->window + far;
    case 5:
        return m->top + ((uint64_t)1 << far % 24);
    default:
        return m->top + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    static struct model m;
    tunnelcap_i_replay r;

    memset(&m, 0, sizeof(m));
    memset(&r, 0, sizeof(r));
    m.window = WINDOW_MIN + fuzz_u16(&in) % (WINDOW_MAX - WINDOW_MIN + 1);
    m.start = fuzz_u32(&in);
    m.start <<= fuzz_u8(&in) % 31;
    m.top = m.start;
    r.words = calloc(tunnelcap_i_replay_words(m.window), sizeof(*r.words));
    FUZZ_CHECK(r.words != NULL);
    r.mask = tunnelcap_i_replay_words(m.window) - 1;
    r.window = m.window;
    r.esn = 1;
    r.start = m.start;
    TUNNELCAP_I_STORE(r.top, m.start);
    while (in.left > 0 && m.count < STEPS) {
        uint64_t seq = next_number(&m, &in);
        bool want = model_accepts(&m, seq);

        FUZZ_CHECK((tunnelcap_i_replay_check(&r, seq) == TUNNELCAP_OK) == want);
        FUZZ_CHECK(!want || tunnelcap_i_replay_infer(&r, m.top, (uint32_t)seq) == seq);
        FUZZ_CHECK((tunnelcap_i_replay_commit(&r, seq) == TUNNELCAP_OK) == want);
        if (want) {
            m.seen[m.count++] = seq;
            m.top = seq > m.top ? seq : m.top;
        }
        FUZZ_CHECK(tunnelcap_i_replay_top(&r) == m.top);
    }
    free((void *)r.words);
    return 0;
}
