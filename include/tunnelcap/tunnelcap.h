/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file tunnelcap.h
 * All public headers at once.
 */
#ifndef TUNNELCAP_TUNNELCAP_H
#define TUNNELCAP_TUNNELCAP_H

#include <tunnelcap/burst.h>
#include <tunnelcap/crypto.h>
#include <tunnelcap/esp.h>
#include <tunnelcap/fragment.h>
#include <tunnelcap/gre.h>
#include <tunnelcap/gso.h>
#include <tunnelcap/health.h>
#include <tunnelcap/history.h>
#include <tunnelcap/icmp.h>
#include <tunnelcap/ipip.h>
#include <tunnelcap/lane.h>
#include <tunnelcap/mss.h>
#include <tunnelcap/outer.h>
#include <tunnelcap/packet.h>
#include <tunnelcap/peek.h>
#include <tunnelcap/pmtu.h>
#include <tunnelcap/reassembly.h>
#include <tunnelcap/sample.h>
#include <tunnelcap/selector.h>
#include <tunnelcap/status.h>
#include <tunnelcap/table.h>
#include <tunnelcap/table_path.h>
#include <tunnelcap/table_routes.h>
#include <tunnelcap/table_sas.h>
#include <tunnelcap/table_tunnels.h>
#include <tunnelcap/top.h>
#include <tunnelcap/traffic.h>
#include <tunnelcap/tunnel.h>
#include <tunnelcap/version.h>
#include <tunnelcap/watch.h>

#endif
