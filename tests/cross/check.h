/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The part of libcheck's interface that our unit tests use, for machines that it is not packaged
 * for: no fork, no time-outs, the first failure of a test ends the program.
 */
#ifndef TUNNELCAP_TESTS_CROSS_CHECK_H
#define TUNNELCAP_TESTS_CROSS_CHECK_H

#include <stdint.h>
#include <string.h>

typedef struct Suite Suite;
typedef struct TCase TCase;
typedef struct SRunner SRunner;
typedef struct TTest {
    const char *name;
    void (*run)(void);
} TTest;
typedef void (*SFun)(void);
enum print_output { CK_ENV };

#define START_TEST(test)                                                                           \
    static void test##_run(void);                                                                  \
    static const TTest test##_test = {#test, test##_run};                                          \
    static const TTest *const test = &test##_test;                                                 \
    static void test##_run(void)
#define END_TEST

Suite *suite_create(const char *name);
TCase *tcase_create(const char *name);
void suite_add_tcase(Suite *suite, TCase *tcase);
void tcase_add_checked_fixture(TCase *tcase, SFun setup, SFun teardown);
void tcase_set_timeout(TCase *tcase, double seconds);
void tcase_add_test(TCase *tcase, const TTest *test);
SRunner *srunner_create(Suite *suite);
void srunner_add_suite(SRunner *runner, Suite *suite);
void srunner_run_all(SRunner *runner, enum print_output mode);
int srunner_ntests_failed(SRunner *runner);
void srunner_free(SRunner *runner);

_Noreturn void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define ck_abort_msg(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(condition, ...)                                                              \
    ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, __VA_ARGS__))
#define ck_assert(condition) ck_assert_msg(condition, "%s", #condition)
#define check_compare(type, format, a, op, b)                                                      \
    do {                                                                                           \
        type a_ = (a), b_ = (b);                                                                   \
        ck_assert_msg(a_ op b_, "%s %s %s: %" format " and %" format, #a, #op, #b, a_, b_);        \
    } while (0)
#define ck_assert_uint_eq(a, b)   check_compare(uintmax_t, "ju", a, ==, b)
#define ck_assert_uint_ne(a, b)   check_compare(uintmax_t, "ju", a, !=, b)
#define ck_assert_uint_lt(a, b)   check_compare(uintmax_t, "ju", a, <, b)
#define ck_assert_uint_le(a, b)   check_compare(uintmax_t, "ju", a, <=, b)
#define ck_assert_uint_gt(a, b)   check_compare(uintmax_t, "ju", a, >, b)
#define ck_assert_uint_ge(a, b)   check_compare(uintmax_t, "ju", a, >=, b)
#define ck_assert_int_eq(a, b)    check_compare(intmax_t, "jd", a, ==, b)
#define ck_assert_int_ne(a, b)    check_compare(intmax_t, "jd", a, !=, b)
#define ck_assert_int_lt(a, b)    check_compare(intmax_t, "jd", a, <, b)
#define ck_assert_int_le(a, b)    check_compare(intmax_t, "jd", a, <=, b)
#define ck_assert_int_gt(a, b)    check_compare(intmax_t, "jd", a, >, b)
#define ck_assert_int_ge(a, b)    check_compare(intmax_t, "jd", a, >=, b)
#define ck_assert_double_lt(a, b) check_compare(double, "g", a, <, b)
#define ck_assert_double_le(a, b) check_compare(double, "g", a, <=, b)
#define ck_assert_double_ge(a, b) check_compare(double, "g", a, >=, b)
#define ck_assert_ptr_eq(a, b)                                                                     \
    ck_assert_msg((const void *)(a) == (const void *)(b), "%s and %s differ", #a, #b)
#define ck_assert_ptr_null(a)       ck_assert((a) == NULL)
#define ck_assert_ptr_nonnull(a)    ck_assert((a) != NULL)
#define ck_assert_mem_eq(a, b, len) ck_assert(memcmp((a), (b), (len)) == 0)
#define ck_assert_str_eq(a, b)      ck_assert(strcmp((a), (b)) == 0)
#define ck_assert_str_ne(a, b)      ck_assert(strcmp((a), (b)) != 0)

#endif
