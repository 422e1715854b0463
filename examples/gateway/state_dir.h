/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The state directory: numbers that outlive the gateway, each in a file of its own.
 */
#ifndef TUNNELCAP_GATEWAY_STATE_DIR_H
#define TUNNELCAP_GATEWAY_STATE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An open directory, locked or not. `what` stands at the beginning of lines about it. */
typedef struct state_dir {
    const char *what;
    const char *path;
    int fd;
    int lock_fd;
} state_dir;

/* Open the directory if it is fit for use. False after a line that says what is wrong; the
 * caller closes it then too. */
bool state_dir_open(state_dir *s, const char *what, const char *path);

/* Have it alone, among all gateways that use it, until it is closed. False after a line. */
bool state_dir_lock(state_dir *s);

void state_dir_close(state_dir *s);

/* Have one number alone for as long as the descriptor stays open that is returned; -1 after a
 * line, also if another gateway has it. */
int state_dir_claim(const state_dir *s, const char *name);

/* Write that something failed, with errno; returns false. */
bool state_dir_failed(const state_dir *s, const char *name, const char *doing);

/* Read a number, at most `most`; where there is no such file, it stays as it is. False after a
 * line. */
bool state_dir_read(const state_dir *s, const char *name, uint64_t most, uint64_t *number);

/* Bring a number to the disk. False after a line: then the old one is there still. */
bool state_dir_write(const state_dir *s, const char *name, uint64_t number);

#endif
