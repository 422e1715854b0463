/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "rules.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMPLAINT_SIZE = 256, MOST_LEFTOVERS = 16 };

extern char **environ;

/* The first that works is used: hosts differ in which of the kernel's two packet filters can
 * queue. All are tried with the same arguments. */
static const char *const programs4[] = {"iptables", "iptables-legacy", "iptables-nft", NULL};
static const char *const programs6[] = {"ip6tables", "ip6tables-legacy", "ip6tables-nft", NULL};

/* Keep the first line of what a program writes to a pipe, and read the rest away. */
static void read_complaint(int fd, char complaint[COMPLAINT_SIZE])
{
    char rest[COMPLAINT_SIZE];
    size_t len = 0;
    ssize_t got = 0;

    while (len < COMPLAINT_SIZE - 1 &&
           (got = read(fd, complaint + len, COMPLAINT_SIZE - 1 - len)) > 0)
        len += (size_t)got;
    while (got > 0)
        got = read(fd, rest, sizeof rest);
    complaint[len] = '\0';
    complaint[strcspn(complaint, "\n")] = '\0';
}

/* Run a program to its end; true if it exits with 0. */
static bool run(const char *const argv[], char complaint[COMPLAINT_SIZE])
{
    posix_spawn_file_actions_t actions;
    int ends[2];
    int status = 0;
    pid_t child = 0;

    complaint[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    int error =
        posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error == 0)
        read_complaint(ends[0], complaint);
    else
        snprintf(complaint, COMPLAINT_SIZE, "%s", strerror(error));
    close(ends[0]);
    if (error != 0)
        return false;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* "-A" or "-D" the rule for a device. */
static bool change(const rules *r, const char *verb, const rules_entry *entry,
                   char complaint[COMPLAINT_SIZE])
{
    const char *const argv[] = {entry->program,
                                "-w",
                                "5",
                                "-t",
                                "mangle",
                                verb,
                                "FORWARD",
                                "-o",
                                entry->device,
                                "-p",
                                "tcp",
                                "--tcp-flags",
                                "SYN",
                                "SYN",
                                "-m",
                                "comment",
                                "--comment",
                                r->comment,
                                "-j",
                                "NFQUEUE",
                                "--queue-num",
                                r->queue,
                                "--queue-bypass",
                                NULL};

    return run(argv, complaint);
}

/* A gateway that was killed leaves rules behind, which let everything pass; ours would only
 * stand beside them for ever. */
static void remove_leftovers(const rules *r, const rules_entry *entry)
{
    char complaint[COMPLAINT_SIZE];
    int removed = 0;

    while (removed < MOST_LEFTOVERS && change(r, "-D", entry, complaint))
        removed++;
    if (removed > 0)
        log_line("note: removed a rule that an earlier gateway had left for %s", entry->device);
}

static bool add(rules *r, const char *const *programs, const char *device)
{
    char complaint[COMPLAINT_SIZE];
    char first[COMPLAINT_SIZE] = "";
    const char *const *program = programs;

    for (; *program != NULL; program++) {
        rules_entry entry = {.program = *program};
        snprintf(entry.device, sizeof entry.device, "%s", device);
        remove_leftovers(r, &entry);
        if (change(r, "-A", &entry, complaint)) {
            r->list[r->count++] = entry;
            return true;
        }
        if (first[0] == '\0')
            memcpy(first, complaint, sizeof first);
    }
    log_line("clamp_egress: %s cannot add the rule for %s: %s", programs[0], device, first);
    return false;
}

bool rules_add(rules *r, const config *conf, unsigned queue)
{
    /* In a user namespace the lock of iptables-legacy is out of reach, and of no use: it guards
     * the rules of a network namespace that is all ours. */
    if (access("/run", W_OK) != 0)
        setenv("XTABLES_LOCKFILE", "/dev/null", 0);
    snprintf(r->queue, sizeof r->queue, "%u", queue);
    snprintf(r->comment, sizeof r->comment, "tunnelcap-gateway %s", conf->tun);
    r->list = calloc(2 * conf->clamp_egress_count, sizeof *r->list);
    if (r->list == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    for (size_t i = 0; i < conf->clamp_egress_count; i++) {
        if (!add(r, programs4, conf->clamp_egress[i]))
            return false;
        if (!add(r, programs6, conf->clamp_egress[i]))
            log_line("note: IPv6 SYNs leave %s unclamped", conf->clamp_egress[i]);
    }
    return true;
}

void rules_remove(rules *r)
{
    char complaint[COMPLAINT_SIZE];

    for (size_t i = r->count; i-- > 0;)
        if (!change(r, "-D", &r->list[i], complaint))
            log_line("clamp_egress: %s cannot remove the rule for %s: %s", r->list[i].program,
                     r->list[i].device, complaint);
    free(r->list);
    *r = (rules){.list = NULL};
}
