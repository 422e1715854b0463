/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A live view of a gateway in a terminal.
 */
#ifndef TUNNELCAP_GATEWAY_TOP_H
#define TUNNELCAP_GATEWAY_TOP_H

#include <stdbool.h>

/* Show the gateway of a control socket until the user has enough; `once`, or where there is no
 * terminal to draw on, as text and only once. Returns the program's exit status. */
int top_run(const char *control_path, bool once);

#endif
