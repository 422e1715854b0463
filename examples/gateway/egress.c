/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

enum {
    FIRST_QUEUE = 4754, /* any number would do; others use small ones */
    QUEUES_TO_TRY = 16,
    WHOLE_PACKET = 65535,
    MESSAGE_SIZE = WHOLE_PACKET + 4096,
    MESSAGES_PER_RUN = 64
};

/* Clamp one packet and let it go. A packet that the kernel has not handed over whole cannot be
 * replaced, so it passes as it is; no SYN is that long. */
static int on_packet(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *data,
                     void *arg)
{
    egress *e = arg;
    struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(data);
    unsigned char *payload = NULL;
    uint32_t replaced = 0;
    int len = nfq_get_payload(data, &payload);

    (void)message;
    if (header == NULL)
        return 0;
    if (len > 0) {
        tunnelcap_pkt pkt = {.buf = payload, .cap = (uint32_t)len, .len = (uint32_t)len};
        if (tunnelcap_mss_clamp(&e->limits, &pkt, NULL, 0, 1) == 1)
            replaced = pkt.len;
    }
    e->seen++;
    e->clamped += replaced != 0;
    if (nfq_set_verdict(queue, ntohl(header->packet_id), NF_ACCEPT, replaced, payload) < 0)
        log_count(&e->errors, errno);
    return 0;
}

/* Take the first number that no other program has. */
static bool take_queue(egress *e, unsigned *number)
{
    for (*number = FIRST_QUEUE; *number < FIRST_QUEUE + QUEUES_TO_TRY; ++*number) {
        e->queue = nfq_create_queue(e->nfq, (uint16_t)*number, on_packet, e);
        if (e->queue != NULL)
            return true;
    }
    log_line("clamp_egress: cannot have an NFQUEUE: %s", strerror(errno));
    return false;
}

/* Segmentation offload (NFQA_CFG_F_GSO) is not asked for: without it the kernel finishes the
 * TCP checksum before it hands a packet over, so the clamp may update it. FAIL_OPEN: when the
 * queue is full, SYNs pass unclamped rather than get lost. */
static bool prepare_queue(egress *e)
{
    int on = 1;

    if (nfq_set_mode(e->queue, NFQNL_COPY_PACKET, WHOLE_PACKET) < 0) {
        log_line("clamp_egress: cannot read packets from NFQUEUE: %s", strerror(errno));
        return false;
    }
    if (nfq_set_queue_flags(e->queue, NFQA_CFG_F_FAIL_OPEN, NFQA_CFG_F_FAIL_OPEN) < 0)
        log_line("note: this kernel drops SYNs when clamp_egress cannot follow");
    setsockopt(nfq_fd(e->nfq), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
    return true;
}

void egress_set_limits(egress *e, uint16_t limit4, uint16_t limit6)
{
    e->limits.limit4 = limit4;
    e->limits.limit6 = limit6;
}

bool egress_open(egress *e, const config *conf, uint16_t limit4, uint16_t limit6)
{
    unsigned number = 0;

    *e = (egress){.errors.what = "clamping on egress ports"};
    if (conf->clamp_egress_count == 0)
        return true;
    tunnelcap_mss_config_init(&e->limits, sizeof e->limits, 0);
    egress_set_limits(e, limit4, limit6);

    e->nfq = nfq_open();
    if (e->nfq == NULL) {
        log_line("clamp_egress: cannot open NFQUEUE: %s", strerror(errno));
        return false;
    }
    return take_queue(e, &number) && prepare_queue(e) && rules_add(&e->rules, conf, number);
}

void egress_close(egress *e)
{
    rules_remove(&e->rules);
    if (e->queue != NULL)
        nfq_destroy_queue(e->queue);
    if (e->nfq != NULL)
        nfq_close(e->nfq);
    *e = (egress){.nfq = NULL};
}

int egress_fd(const egress *e)
{
    return e->nfq == NULL ? -1 : nfq_fd(e->nfq);
}

void egress_run(egress *e)
{
    static union {
        struct nlmsghdr header; /* for its alignment */
        char bytes[MESSAGE_SIZE];
    } message;

    for (int i = 0; i < MESSAGES_PER_RUN; i++) {
        ssize_t got = recv(nfq_fd(e->nfq), message.bytes, sizeof message.bytes, MSG_DONTWAIT);
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR)
                log_count(&e->errors, errno);
            return;
        }
        nfq_handle_packet(e->nfq, message.bytes, (int)got);
    }
}
