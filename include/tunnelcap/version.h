/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file version.h
 * Which library a program was built with, and which one it runs with.
 */
#ifndef TUNNELCAP_VERSION_H
#define TUNNELCAP_VERSION_H

#include <tunnelcap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of these headers. */
enum {
    TUNNELCAP_VERSION = 1000000 /**< major * 1000000 + minor * 1000 + patch. */
};

/**
 * Tell the version of the library in use.
 *
 * @return major * 1000000 + minor * 1000 + patch, comparable with ::TUNNELCAP_VERSION
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_version(void);

/**
 * Tell the version of the library in use as text.
 *
 * @return a static string such as "1.0.0"
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API const char *tunnelcap_version_text(void);

#ifdef __cplusplus
}
#endif
#endif
