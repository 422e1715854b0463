/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The suites of the provider on libcrypto once more, compiled together with the provider as for a
 * libcrypto without deprecated functions: HMAC has no hash states there and runs through EVP_MAC.
 */
#include "crypto_openssl.h"
#include "support.h"

#ifdef TUNNELCAP_I_HASH_STATES
#error "the hash states are not to be found in this build"
#endif

int main(void)
{
    SRunner *runner = srunner_create(test_crypto_suite());
    srunner_add_suite(runner, test_crypto_self_test_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
