/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/version.h>

uint32_t tunnelcap_version(void)
{
    return TUNNELCAP_VERSION;
}

const char *tunnelcap_version_text(void)
{
    return "1.0.0";
}
