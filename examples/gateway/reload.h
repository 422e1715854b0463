/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Another configuration for a gateway that runs.
 *
 * The file is read and checked to its end, with all key files, before anything changes. Then what
 * differs is changed: sockets and kernel routes that are new come first, then the table, by one
 * commit, then what is not needed any more goes. Whatever fails before the commit is undone, so
 * that all goes on as it was. Tunnels are the same if their names and kinds are; those that the
 * change does not concern are not touched, whatever place in the file they have now.
 */
#ifndef TUNNELCAP_GATEWAY_RELOAD_H
#define TUNNELCAP_GATEWAY_RELOAD_H

#include <jansson.h>

struct gateway;

/* Do it, in the control thread. Lines tell the operator; the answer tells what has become of it:
 * {"reloaded": true, "tunnels": {"added": [names], "changed": ..., "removed": ...}, "routes": ...}
 * or {"reloaded": false, "errors": [lines]}. */
json_t *reload(struct gateway *g);

#endif
