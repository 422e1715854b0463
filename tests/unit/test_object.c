/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "object.h"

#include "support.h"

START_TEST(layout_measures_and_places_alike)
{
    static const struct {
        size_t count, bytes;
    } parts[] = {{1, 1}, {1, 64}, {3, 65}, {0, 100}, {100, 0}, {7, 24}};
    tunnelcap_i_layout measure = {NULL, 0};
    for (size_t i = 0; i < TEST_COUNT(parts); i++)
        ck_assert_ptr_null(tunnelcap_i_layout_add(&measure, parts[i].count, parts[i].bytes));
    ck_assert_uint_eq(measure.size, 64 + 64 + 256 + 0 + 0 + 192);

    uint8_t *base = test_arena(measure.size);
    tunnelcap_i_layout place = {base, 0};
    for (size_t i = 0; i < TEST_COUNT(parts); i++) {
        uint8_t *expect = base + place.size;
        uint8_t *part = tunnelcap_i_layout_add(&place, parts[i].count, parts[i].bytes);
        ck_assert_ptr_eq(part, expect);
        ck_assert_uint_eq((uintptr_t)part % 64, 0);
        memset(part, 0, parts[i].count * parts[i].bytes);
    }
    ck_assert_uint_eq(place.size, measure.size);
    test_arena_free(base);
}
END_TEST

START_TEST(layout_that_overflows_stays_overflown)
{
    static const struct {
        size_t count, bytes;
    } parts[] = {{SIZE_MAX, 2}, {2, SIZE_MAX}, {SIZE_MAX / 2, 1}, {SIZE_MAX, 1}, {1, SIZE_MAX / 2}};
    for (size_t i = 0; i < TEST_COUNT(parts); i++) {
        uint8_t base[1];
        tunnelcap_i_layout layout = {base, 64};
        ck_assert_ptr_null(tunnelcap_i_layout_add(&layout, parts[i].count, parts[i].bytes));
        ck_assert_uint_eq(layout.size, SIZE_MAX);
        ck_assert_ptr_null(tunnelcap_i_layout_add(&layout, 1, 1));
        ck_assert_uint_eq(layout.size, SIZE_MAX);
    }
}
END_TEST

START_TEST(memory_must_be_there_aligned_and_large_enough)
{
    uint8_t *mem = test_arena(128);
    ck_assert_status(tunnelcap_i_memory_check(NULL, 128, 128), TUNNELCAP_E_INVALID);
    for (uint32_t skew = 1; skew < 64; skew++)
        ck_assert_status(tunnelcap_i_memory_check(mem + skew, 64, 64), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_i_memory_check(mem, 127, 128), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_i_memory_check(mem, 128, 128), TUNNELCAP_OK);
    ck_assert_status(tunnelcap_i_memory_check(mem, 129, 128), TUNNELCAP_OK);
    test_arena_free(mem);
}
END_TEST

START_TEST(memory_comes_from_the_allocator_or_the_heap)
{
    void *mem = NULL;
    tunnelcap_i_owner owner;
    ck_assert_status(tunnelcap_i_memory_get(192, test_alloc(), &mem, &owner), TUNNELCAP_OK);
    memcpy(mem, &owner, sizeof(owner));
    tunnelcap_i_memory_end(mem);

    ck_assert_status(tunnelcap_i_memory_get(192, NULL, &mem, &owner), TUNNELCAP_OK);
    ck_assert_uint_eq((uintptr_t)mem % 64, 0);
    memset(mem, 0xff, 192);
    memcpy(mem, &owner, sizeof(owner));
    tunnelcap_i_memory_end(mem);
    tunnelcap_i_memory_end(NULL);
}
END_TEST

START_TEST(memory_that_nobody_gives_is_refused)
{
    void *mem = NULL;
    tunnelcap_i_owner owner;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_i_memory_get(64, test_alloc(), &mem, &owner), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_i_memory_get(SIZE_MAX - 8, NULL, &mem, &owner), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_i_memory_get(SIZE_MAX / 2, NULL, &mem, &owner), TUNNELCAP_E_NOMEM);
}
END_TEST

START_TEST(allocator_must_be_whole)
{
    void *mem = NULL;
    tunnelcap_i_owner owner;
    tunnelcap_alloc alloc = *test_alloc();
    alloc.alloc = NULL;
    ck_assert_status(tunnelcap_i_memory_get(64, &alloc, &mem, &owner), TUNNELCAP_E_INVALID);
    alloc = *test_alloc();
    alloc.release = NULL;
    ck_assert_status(tunnelcap_i_memory_get(64, &alloc, &mem, &owner), TUNNELCAP_E_INVALID);
    alloc = *test_alloc();
    alloc.reserved = 1;
    ck_assert_status(tunnelcap_i_memory_get(64, &alloc, &mem, &owner), TUNNELCAP_E_RESERVED);
    alloc = *test_alloc();
    alloc.size--;
    ck_assert_status(tunnelcap_i_memory_get(64, &alloc, &mem, &owner), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(memory_of_the_caller_is_wiped_and_kept)
{
    uint8_t *mem = test_arena(128);
    tunnelcap_i_owner owner = {{sizeof(tunnelcap_alloc), 0, NULL, NULL, NULL}, 128};
    memcpy(mem, &owner, sizeof(owner));
    tunnelcap_i_memory_end(mem);
    ck_assert_uint_eq(tunnelcap_i_is_zero(mem, 128), 1);
    test_arena_free(mem);
}
END_TEST

typedef struct sample {
    uint32_t size;
    uint32_t old;
    uint32_t later;
} sample;

START_TEST(structs_of_old_callers_are_not_read_past_their_end)
{
    sample own = {sizeof(sample), 1, 2};
    const sample caller = {8, 7, 9};
    void *old = test_copy(&caller, 8);
    ck_assert_status(tunnelcap_i_struct_read(&own, sizeof(own), 8, old), TUNNELCAP_OK);
    ck_assert_uint_eq(own.old, 7);
    ck_assert_uint_eq(own.later, 2);
    free(old);
    const sample older = {4, 0, 0};
    old = test_copy(&older, 4);
    ck_assert_status(tunnelcap_i_struct_read(&own, sizeof(own), 8, old), TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_i_struct_read(&own, sizeof(own), 8, NULL), TUNNELCAP_E_INVALID);
    free(old);
}
END_TEST

START_TEST(structs_of_new_callers_pass_while_the_unknown_is_zero)
{
    sample own = {0};
    uint8_t newer[40] = {0};
    uint32_t size = sizeof(newer);
    memcpy(newer, &size, sizeof(size));
    newer[4] = 1;
    uint8_t *caller = test_copy(newer, sizeof(newer));
    ck_assert_status(tunnelcap_i_struct_read(&own, sizeof(own), 8, caller), TUNNELCAP_OK);
    for (uint32_t at = sizeof(sample); at < sizeof(newer); at++) {
        caller[at] = 1;
        ck_assert_status(tunnelcap_i_struct_read(&own, sizeof(own), 8, caller),
                         TUNNELCAP_E_VERSION);
        caller[at] = 0;
    }
    free(caller);
}
END_TEST

START_TEST(defaults_fill_exactly_the_struct_of_the_caller)
{
    static const sample defaults = {0, 5, 6};
    for (uint32_t size = 8; size < 20; size++) {
        uint8_t *caller = malloc(size);
        memset(caller, 0xff, size);
        ck_assert_status(tunnelcap_i_struct_init(caller, size, &defaults, sizeof(defaults), 8),
                         TUNNELCAP_OK);
        uint8_t want[20] = {0};
        memcpy(want, &defaults, sizeof(defaults));
        memcpy(want, &size, sizeof(size));
        ck_assert_mem_eq(caller, want, size);
        free(caller);
    }
    sample caller;
    ck_assert_status(tunnelcap_i_struct_init(&caller, 7, &defaults, sizeof(defaults), 8),
                     TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_i_struct_init(NULL, 8, &defaults, sizeof(defaults), 8),
                     TUNNELCAP_E_INVALID);
}
END_TEST

/* An allocator that ignores the alignment it is asked for. */
static void *alloc_askew(void *arg, size_t bytes, size_t align)
{
    uint32_t *live = arg;
    uint8_t *mem = test_arena(bytes + align);
    (*live)++;
    return mem + 8;
}

static void release_askew(void *arg, void *mem, size_t bytes)
{
    uint32_t *live = arg;
    (void)bytes;
    (*live)--;
    test_arena_free((uint8_t *)mem - 8);
}

START_TEST(memory_that_is_misaligned_is_given_back)
{
    uint32_t live = 0;
    tunnelcap_alloc alloc = {sizeof(alloc), 0, alloc_askew, release_askew, &live};
    void *mem = NULL;
    tunnelcap_i_owner owner;
    ck_assert_status(tunnelcap_i_memory_get(64, &alloc, &mem, &owner), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(live, 0);
}
END_TEST

Suite *test_object_suite(void)
{
    const TTest *tests[] = {
        layout_measures_and_places_alike,
        layout_that_overflows_stays_overflown,
        memory_must_be_there_aligned_and_large_enough,
        memory_comes_from_the_allocator_or_the_heap,
        memory_that_nobody_gives_is_refused,
        allocator_must_be_whole,
        memory_of_the_caller_is_wiped_and_kept,
        structs_of_old_callers_are_not_read_past_their_end,
        structs_of_new_callers_pass_while_the_unknown_is_zero,
        defaults_fill_exactly_the_struct_of_the_caller,
        memory_that_is_misaligned_is_given_back,
    };
    return test_suite("object", tests, TEST_COUNT(tests));
}
