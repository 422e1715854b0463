/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "replay.h"

#include "support.h"

/* A window and its words, with numbers counted from `start`. */
typedef struct test_window {
    tunnelcap_i_replay r;
    uint32_t words;
} test_window;

static void window_open(test_window *w, uint32_t window, uint32_t esn, uint64_t start)
{
    memset(w, 0, sizeof(*w));
    w->words = tunnelcap_i_replay_words(window);
    w->r.words = calloc(w->words, sizeof(*w->r.words));
    ck_assert_ptr_nonnull(w->r.words);
    w->r.mask = w->words - 1;
    w->r.window = window;
    w->r.esn = esn;
    w->r.start = start;
    TUNNELCAP_I_STORE(w->r.top, start);
}

static void window_close(test_window *w)
{
    free((void *)w->r.words);
}

static uint64_t top(test_window *w)
{
    return tunnelcap_i_replay_top(&w->r);
}

/* A number arrives and is verified. (An assertion of libcheck costs a system call: none of them
 * where millions of numbers arrive.) */
static int32_t arrive(test_window *w, uint64_t seq)
{
    int32_t looks = tunnelcap_i_replay_check(&w->r, seq);
    int32_t status = tunnelcap_i_replay_commit(&w->r, seq);
    if (looks != status)
        ck_abort_msg("check says %s, commit %s", tunnelcap_status_name(looks),
                     tunnelcap_status_name(status));
    return status;
}

START_TEST(the_numbered_steps_of_a_window_of_32)
{
    static const struct {
        uint64_t seq;
        int32_t want;
    } steps[] = {
        {0, TUNNELCAP_E_REPLAY},  /* never sent */
        {1, TUNNELCAP_OK},        /* first */
        {1, TUNNELCAP_E_REPLAY},  /* again */
        {3, TUNNELCAP_OK},        /* a gap */
        {2, TUNNELCAP_OK},        /* which is filled */
        {2, TUNNELCAP_E_REPLAY},  /* once */
        {100, TUNNELCAP_OK},      /* a jump: T = 100 */
        {68, TUNNELCAP_E_REPLAY}, /* T - W: just outside */
        {69, TUNNELCAP_OK},       /* T - W + 1: just inside */
        {69, TUNNELCAP_E_REPLAY}, /* once */
        {99, TUNNELCAP_OK},
        {101, TUNNELCAP_OK}, /* the window moves by one */
        {69, TUNNELCAP_E_REPLAY},
        {70, TUNNELCAP_OK},
        {4000000, TUNNELCAP_OK}, /* far beyond all that the ring holds */
        {101, TUNNELCAP_E_REPLAY},
        {3999968, TUNNELCAP_E_REPLAY},
        {3999969, TUNNELCAP_OK},
        {UINT32_MAX, TUNNELCAP_OK},
        {UINT32_MAX, TUNNELCAP_E_REPLAY},
        {UINT32_MAX - 31, TUNNELCAP_OK},
        {UINT32_MAX - 32, TUNNELCAP_E_REPLAY},
        {0, TUNNELCAP_E_REPLAY}, /* numbers do not wrap */
    };
    test_window w;
    window_open(&w, 32, 0, 0);
    for (size_t i = 0; i < TEST_COUNT(steps); i++) {
        int32_t got = arrive(&w, steps[i].seq);
        ck_assert_msg(got == steps[i].want, "step %zu: %s", i, tunnelcap_status_name(got));
    }
    ck_assert_uint_eq(top(&w), UINT32_MAX);
    window_close(&w);
}
END_TEST

START_TEST(every_window_takes_all_its_numbers_once_wherever_it_lies)
{
    static const uint32_t windows[] = {32, 33, 34, 63, 64, 65, 95, 96, 97, 100, 127, 1000, 65536};
    for (size_t i = 0; i < TEST_COUNT(windows); i++) {
        for (uint32_t shift = 0; shift < 64; shift++) {
            test_window w;
            uint64_t last = 1000000 + shift;
            uint32_t missed = 0, twice = 0;
            window_open(&w, windows[i], 0, 0);
            ck_assert_status(arrive(&w, last), TUNNELCAP_OK);
            ck_assert_status(arrive(&w, last - windows[i]), TUNNELCAP_E_REPLAY);
            for (uint64_t seq = last - windows[i] + 1; seq < last; seq++)
                missed += arrive(&w, seq) != TUNNELCAP_OK;
            for (uint64_t seq = last - windows[i]; seq <= last; seq++)
                twice += arrive(&w, seq) != TUNNELCAP_E_REPLAY;
            ck_assert_msg(missed == 0 && twice == 0, "window %u, shift %u: %u missed, %u twice",
                          windows[i], shift, missed, twice);
            window_close(&w);
        }
    }
}
END_TEST

/* ---- against a model that remembers everything ---- */

enum { MODEL_SPAN = 1 << 18 };

typedef struct test_model {
    uint64_t base; /* the number of seen[0] */
    uint64_t top;
    uint8_t *seen;
} test_model;

static int32_t model_arrive(test_model *m, uint32_t window, uint64_t seq)
{
    if (seq <= m->base || (m->top >= window && seq <= m->top - window) || m->seen[seq - m->base])
        return TUNNELCAP_E_REPLAY;
    m->seen[seq - m->base] = 1;
    if (seq > m->top)
        m->top = seq;
    return TUNNELCAP_OK;
}

/* Numbers that reorder, repeat, jump, and come late; most lie around the window. */
static uint64_t model_next(test_random *random, const test_model *m, uint32_t window)
{
    uint32_t kind = test_below(random, 100);
    uint64_t back = test_below(random, window + window / 4 + 3);
    uint64_t seq = m->top + 1;
    if (kind < 40)
        seq = m->top - (back < m->top - m->base ? back : m->top - m->base);
    else if (kind < 50)
        seq = m->top + test_below(random, 8);
    else if (kind < 51)
        seq = m->top + test_below(random, window + window / 2);
    return seq;
}

static void run_model(uint32_t window, uint64_t start, uint32_t esn, uint64_t seed)
{
    test_random random = {seed};
    test_model m = {start, start, calloc(MODEL_SPAN, 1)};
    test_window w;
    ck_assert_ptr_nonnull(m.seen);
    window_open(&w, window, esn, start);
    for (uint32_t i = 0; i < 30000; i++) {
        uint64_t seq = model_next(&random, &m, window);
        if (seq - start >= MODEL_SPAN)
            break;
        int32_t want = model_arrive(&m, window, seq);
        if (esn) {
            /* What goes on the wire is 32 bits wide; within the window the rest is inferred. */
            uint64_t inferred = tunnelcap_i_replay_infer(&w.r, top(&w), (uint32_t)seq);
            if (want == TUNNELCAP_OK && inferred != seq)
                ck_abort_msg("inferred %ju for %ju", (uintmax_t)inferred, (uintmax_t)seq);
        }
        int32_t got = arrive(&w, seq);
        if (got != want || top(&w) != m.top)
            ck_abort_msg("window %u, top %ju, number %ju: %s", window, (uintmax_t)m.top,
                         (uintmax_t)seq, tunnelcap_status_name(got));
    }
    ck_assert_uint_gt(m.top, start + 500);
    window_close(&w);
    free(m.seen);
}

START_TEST(windows_agree_with_a_model_that_remembers_everything)
{
    static const uint32_t windows[] = {32, 33, 50, 63, 64, 100, 128, 1024, 4095, 32768, 65536};
    for (size_t i = 0; i < TEST_COUNT(windows); i++) {
        run_model(windows[i], 0, 0, i);
        run_model(windows[i], 0, 1, i + 100);
        run_model(windows[i], UINT32_MAX - 20000, 1, i + 200);
        run_model(windows[i], (7ull << 32) - 3, 1, i + 300);
    }
}
END_TEST

START_TEST(windows_work_anywhere_in_the_64_bit_space)
{
    /* Where the block numbers that words hold have wrapped, once and several times. */
    for (unsigned bit = 33; bit < 64; bit++) {
        run_model(64, (1ull << bit) - 500, 1, bit);
        run_model(64, (1ull << bit) + 12345, 1, bit);
    }
    run_model(128, UINT64_MAX - MODEL_SPAN, 1, 99);
}
END_TEST

START_TEST(a_window_survives_wide_jumps)
{
    /* Words tell numbers apart that are less than 2^37 packets from each other. */
    for (unsigned bit = 0; bit < 37; bit++) {
        test_window w;
        window_open(&w, 64, 1, 0);
        for (uint64_t seq = 1; seq <= 200; seq++)
            ck_assert_status(arrive(&w, seq), TUNNELCAP_OK);
        uint64_t far = 200 + (1ull << bit);
        ck_assert_status(arrive(&w, far), TUNNELCAP_OK);
        ck_assert_status(arrive(&w, far), TUNNELCAP_E_REPLAY);
        for (uint64_t seq = far + 1; seq < far + 200; seq++)
            ck_assert_status(arrive(&w, seq), TUNNELCAP_OK);
        ck_assert_status(arrive(&w, 200), TUNNELCAP_E_REPLAY);
        window_close(&w);
    }
}
END_TEST

START_TEST(what_came_before_the_start_counts_as_seen)
{
    test_window w;
    window_open(&w, 64, 0, 1000);
    for (uint64_t seq = 900; seq <= 1000; seq++)
        ck_assert_status(arrive(&w, seq), TUNNELCAP_E_REPLAY);
    ck_assert_status(arrive(&w, 1001), TUNNELCAP_OK);
    window_close(&w);
}
END_TEST

START_TEST(without_a_window_everything_passes_and_the_top_follows)
{
    test_window w;
    window_open(&w, 32, 0, 0);
    w.r.window = 0;
    ck_assert_status(arrive(&w, 0), TUNNELCAP_OK);
    ck_assert_status(arrive(&w, UINT32_MAX), TUNNELCAP_OK);
    ck_assert_status(arrive(&w, 0), TUNNELCAP_OK);
    ck_assert_status(arrive(&w, 7), TUNNELCAP_OK);
    ck_assert_status(arrive(&w, 7), TUNNELCAP_OK);
    ck_assert_uint_eq(top(&w), UINT32_MAX);
    window_close(&w);
}
END_TEST

/* RFC 4303 appendix A2.2, word for word: Tl, Th of the window's top, W its size. */
static uint64_t infer_model(uint64_t top_seq, uint32_t window, uint32_t low)
{
    uint32_t tl = (uint32_t)top_seq, th = (uint32_t)(top_seq >> 32);
    uint32_t high;
    if (tl >= window - 1)
        high = low >= tl - window + 1 ? th : th + 1; /* case A */
    else
        high = low >= tl - window + 1 ? th - 1 : th; /* case B: modulo 2^32 */
    return (uint64_t)high << 32 | low;
}

START_TEST(the_high_half_is_inferred_as_in_rfc4303_a2_2)
{
    static const uint32_t windows[] = {32, 64, 1000, 65536};
    static const uint32_t edges[] = {0, 1, 30, 31, 32, 63, 64, 100, 65535, 65536, 1u << 31};
    for (size_t w = 0; w < TEST_COUNT(windows); w++) {
        tunnelcap_i_replay r = {.window = windows[w], .esn = 1};
        for (size_t i = 0; i < 2 * TEST_COUNT(edges); i++) {
            for (size_t j = 0; j < 2 * TEST_COUNT(edges); j++) {
                uint32_t tl = i & 1 ? edges[i / 2] : 0u - edges[i / 2];
                uint32_t low = tl + (j & 1 ? edges[j / 2] : 0u - edges[j / 2]);
                uint64_t from = 5ull << 32 | tl;
                ck_assert_uint_eq(tunnelcap_i_replay_infer(&r, from, low),
                                  infer_model(from, windows[w], low));
            }
        }
    }
}
END_TEST

START_TEST(there_is_nothing_before_the_first_half)
{
    test_window w;
    window_open(&w, 64, 1, 10);
    ck_assert_uint_eq(tunnelcap_i_replay_infer(&w.r, 10, 11), 11);
    ck_assert_uint_eq(tunnelcap_i_replay_infer(&w.r, 10, UINT32_MAX), UINT64_MAX);
    ck_assert_status(arrive(&w, UINT64_MAX), TUNNELCAP_E_REPLAY);
    /* The same number one round later is as good as any. */
    ck_assert_uint_eq(tunnelcap_i_replay_infer(&w.r, (1ull << 32) + 10, UINT32_MAX), UINT32_MAX);
    window_close(&w);
}
END_TEST

START_TEST(without_a_window_half_the_number_space_lies_ahead)
{
    tunnelcap_i_replay r = {.window = 0, .esn = 1};
    ck_assert_uint_eq(tunnelcap_i_replay_infer(&r, 0xfffffff0u, 5), (1ull << 32) + 5);
    ck_assert_uint_eq(tunnelcap_i_replay_infer(&r, (1ull << 32) + 5, 0xfffffff0u), 0xfffffff0u);
    ck_assert_uint_eq(tunnelcap_i_replay_infer(&r, 5, 0xfffffff0u), 0xfffffff0u);
}
END_TEST

Suite *test_replay_suite(void)
{
    const TTest *tests[] = {
        the_numbered_steps_of_a_window_of_32,
        every_window_takes_all_its_numbers_once_wherever_it_lies,
        windows_agree_with_a_model_that_remembers_everything,
        windows_work_anywhere_in_the_64_bit_space,
        a_window_survives_wide_jumps,
        what_came_before_the_start_counts_as_seen,
        without_a_window_everything_passes_and_the_top_follows,
        the_high_half_is_inferred_as_in_rfc4303_a2_2,
        there_is_nothing_before_the_first_half,
        without_a_window_half_the_number_space_lies_ahead,
    };
    return test_suite("replay", tests, TEST_COUNT(tests));
}
