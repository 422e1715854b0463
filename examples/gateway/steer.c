/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "steer.h"

#include "log.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <tunnelcap/tunnelcap.h>

enum { MOST_CODE = 160, MOST_JUMPS = 16, GRE_SEQUENCE = 0x1000, TAKE_ALL = -1 };

/* Places in the scratch memory of a filter. */
enum { AT_HEADER, AT_HASH, AT_FLAGS, AT_SUM, AT_PROTOCOL };

/* Where jumps go that are written before their target is. */
typedef enum label { TO_SOURCE, TO_INNER4, TO_INNER6, TO_FIRST, TO_END, LABELS } label;

/* A program under construction. */
typedef struct program {
    const steer *key;
    bool ipv6;
    struct sock_filter code[MOST_CODE];
    unsigned len;
    struct {
        unsigned from;
        label to;
    } jumps[MOST_JUMPS];
    unsigned jump_count;
    unsigned labels[LABELS];
} program;

static void op(program *p, unsigned code, uint32_t k)
{
    p->code[p->len++] = (struct sock_filter)BPF_STMT((uint16_t)code, k);
}

/* Have the next instruction only where this is true of the accumulator. */
static void when(program *p, unsigned compare, uint32_t k)
{
    p->code[p->len++] = (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | compare), k, 0, 1);
}

static void jump(program *p, label to)
{
    p->jumps[p->jump_count].from = p->len;
    p->jumps[p->jump_count++].to = to;
    op(p, BPF_JMP | BPF_JA, 0);
}

static void place(program *p, label here)
{
    p->labels[here] = p->len;
}

static void finish_jumps(program *p)
{
    for (unsigned i = 0; i < p->jump_count; i++)
        p->code[p->jumps[i].from].k = p->labels[p->jumps[i].to] - p->jumps[i].from - 1;
}

/* A packet of fewer bytes behind AT_HEADER goes to the first thread. */
static void require(program *p, uint32_t bytes)
{
    op(p, BPF_LD | BPF_MEM, AT_HEADER);
    op(p, BPF_ALU | BPF_ADD | BPF_K, bytes - 1);
    op(p, BPF_MISC | BPF_TAX, 0);
    op(p, BPF_LD | BPF_W | BPF_LEN, 0);
    p->code[p->len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 1, 0);
    jump(p, TO_FIRST);
}

/* Fold the word in the accumulator into the hash, which is there then. */
static void fold(program *p)
{
    op(p, BPF_LDX | BPF_MEM, AT_HASH);
    op(p, BPF_ALU | BPF_XOR | BPF_X, 0);
    op(p, BPF_ALU | BPF_MUL | BPF_K, p->key->multiplier);
    op(p, BPF_ST, AT_HASH);
}

static void fold_words(program *p, unsigned addressing, uint32_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        op(p, BPF_LDX | BPF_MEM, AT_HEADER);
        op(p, BPF_LD | BPF_W | addressing, first + 4 * i);
        fold(p);
    }
}

/* Both addresses of an IP header at AT_HEADER. */
static void fold_inner(program *p, bool ipv6)
{
    require(p, ipv6 ? 40 : 20);
    fold_words(p, BPF_IND, ipv6 ? 8 : 12, ipv6 ? 8 : 2);
    jump(p, TO_END);
}

static void fold_source(program *p)
{
    fold_words(p, BPF_ABS, (uint32_t)SKF_NET_OFF + (p->ipv6 ? 8 : 12), p->ipv6 ? 4 : 1);
    jump(p, TO_END);
}

/* Move AT_HEADER behind the GRE header: four bytes, and four each for checksum and key. */
static void skip_gre(program *p)
{
    op(p, BPF_ALU | BPF_RSH | BPF_K, 15);
    op(p, BPF_ST, AT_SUM);
    op(p, BPF_LD | BPF_MEM, AT_FLAGS);
    op(p, BPF_ALU | BPF_RSH | BPF_K, 13);
    op(p, BPF_ALU | BPF_AND | BPF_K, 1);
    op(p, BPF_LDX | BPF_MEM, AT_SUM);
    op(p, BPF_ALU | BPF_ADD | BPF_X, 0);
    op(p, BPF_ALU | BPF_LSH | BPF_K, 2);
    op(p, BPF_ALU | BPF_ADD | BPF_K, 4);
    op(p, BPF_LDX | BPF_MEM, AT_HEADER);
    op(p, BPF_ALU | BPF_ADD | BPF_X, 0);
    op(p, BPF_ST, AT_HEADER);
}

static void hash_gre(program *p)
{
    require(p, 4);
    op(p, BPF_LDX | BPF_MEM, AT_HEADER);
    op(p, BPF_LD | BPF_H | BPF_IND, 2);
    op(p, BPF_ST, AT_PROTOCOL);
    op(p, BPF_LD | BPF_H | BPF_IND, 0);
    op(p, BPF_ST, AT_FLAGS);
    when(p, BPF_JSET | BPF_K, GRE_SEQUENCE);
    jump(p, TO_SOURCE);
    skip_gre(p);
    op(p, BPF_LD | BPF_MEM, AT_PROTOCOL);
    when(p, BPF_JEQ | BPF_K, TUNNELCAP_ETHERTYPE_IPV4);
    jump(p, TO_INNER4);
    when(p, BPF_JEQ | BPF_K, TUNNELCAP_ETHERTYPE_IPV6);
    jump(p, TO_INNER6);
    place(p, TO_SOURCE);
    fold_source(p);
    place(p, TO_INNER4);
    fold_inner(p, false);
    place(p, TO_INNER6);
    fold_inner(p, true);
}

/* The share of a packet, in the accumulator. Raw IPv4 sockets alone see the outer header. */
static void write_program(program *p, int payload, bool header)
{
    op(p, BPF_LD | BPF_IMM, p->key->start);
    op(p, BPF_ST, AT_HASH);
    if (header)
        op(p, BPF_LDX | BPF_B | BPF_MSH, 0);
    else
        op(p, BPF_LDX | BPF_IMM, 0);
    op(p, BPF_STX, AT_HEADER);
    if (payload == STEER_GRE) {
        hash_gre(p);
    } else if (payload == STEER_ESP) {
        require(p, 4);
        fold_words(p, BPF_IND, 0, 1);
        jump(p, TO_END);
    } else {
        fold_inner(p, payload == STEER_IPV6);
    }
    place(p, TO_FIRST);
    op(p, BPF_LD | BPF_IMM, 0);
    place(p, TO_END);
    finish_jumps(p);
    op(p, BPF_ALU | BPF_RSH | BPF_K, 16); /* the better half of a product */
    op(p, BPF_ALU | BPF_MOD | BPF_K, p->key->shares);
}

bool steer_open(steer *s, unsigned shares)
{
    uint32_t random[2];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        log_line("no random numbers: %s", strerror(errno));
        return false;
    }
    *s = (steer){.start = random[0], .multiplier = random[1] | 1, .shares = shares};
    return true;
}

static bool attach(const program *p, int fd, int option)
{
    const struct sock_fprog all = {.len = (unsigned short)p->len,
                                   .filter = (struct sock_filter *)(uintptr_t)p->code};

    return setsockopt(fd, SOL_SOCKET, option, &all, sizeof all) == 0;
}

bool steer_raw(const steer *s, int fd, int payload, bool ipv6, unsigned share)
{
    program p = {.key = s, .ipv6 = ipv6};

    write_program(&p, payload, !ipv6);
    when(&p, BPF_JEQ | BPF_K, share);
    op(&p, BPF_RET | BPF_K, (uint32_t)TAKE_ALL);
    op(&p, BPF_RET | BPF_K, 0);
    return attach(&p, fd, SO_ATTACH_FILTER);
}

bool steer_udp(const steer *s, int fd, int payload, bool ipv6)
{
    program p = {.key = s, .ipv6 = ipv6};

    write_program(&p, payload, false);
    op(&p, BPF_RET | BPF_A, 0);
    return attach(&p, fd, SO_ATTACH_REUSEPORT_CBPF);
}
