/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TESTS_MAX = 64, SUITES_MAX = 32 };

struct TCase {
    const TTest *tests[TESTS_MAX];
    int count;
    SFun setup;
    SFun teardown;
};

struct Suite {
    const char *name;
    TCase *tcase;
};

struct SRunner {
    Suite *suites[SUITES_MAX];
    int count;
};

static const char *running = "";

static void *must_alloc(size_t bytes)
{
    void *mem = calloc(1, bytes);

    if (mem == NULL)
        abort();
    return mem;
}

void check_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("%s:%d: %s: ", file, line, running);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    exit(EXIT_FAILURE);
}

Suite *suite_create(const char *name)
{
    Suite *suite = must_alloc(sizeof(*suite));

    suite->name = name;
    return suite;
}

TCase *tcase_create(const char *name)
{
    (void)name;
    return must_alloc(sizeof(TCase));
}

void suite_add_tcase(Suite *suite, TCase *tcase)
{
    suite->tcase = tcase;
}

void tcase_add_checked_fixture(TCase *tcase, SFun setup, SFun teardown)
{
    tcase->setup = setup;
    tcase->teardown = teardown;
}

void tcase_set_timeout(TCase *tcase, double seconds)
{
    (void)tcase;
    (void)seconds;
}

void tcase_add_test(TCase *tcase, const TTest *test)
{
    if (tcase->count == TESTS_MAX)
        abort();
    tcase->tests[tcase->count++] = test;
}

SRunner *srunner_create(Suite *suite)
{
    SRunner *runner = must_alloc(sizeof(*runner));

    if (suite != NULL)
        srunner_add_suite(runner, suite);
    return runner;
}

void srunner_add_suite(SRunner *runner, Suite *suite)
{
    if (runner->count == SUITES_MAX)
        abort();
    runner->suites[runner->count++] = suite;
}

void srunner_run_all(SRunner *runner, enum print_output mode)
{
    (void)mode;
    for (int s = 0; s < runner->count; s++) {
        const TCase *tcase = runner->suites[s]->tcase;

        for (int i = 0; i < tcase->count; i++) {
            running = tcase->tests[i]->name;
            tcase->setup();
            tcase->tests[i]->run();
            tcase->teardown();
        }
        printf("%s: %d tests passed\n", runner->suites[s]->name, tcase->count);
    }
}

int srunner_ntests_failed(SRunner *runner)
{
    (void)runner;
    return 0; /* a failure has ended the program */
}

void srunner_free(SRunner *runner)
{
    for (int s = 0; s < runner->count; s++) {
        free(runner->suites[s]->tcase);
        free(runner->suites[s]);
    }
    free(runner);
}
