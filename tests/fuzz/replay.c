/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Runs a fuzz target over files and folders of inputs, without libFuzzer: each input whole, and
 * cut at every shorter length.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST_INPUT = 1 << 20 };

static unsigned inputs;

static bool replay_file(const char *path)
{
    static uint8_t bytes[LARGEST_INPUT];
    FILE *file = fopen(path, "rb");
    size_t len;
    bool failed;

    if (!file) {
        perror(path);
        return false;
    }
    len = fread(bytes, 1, sizeof(bytes), file);
    failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    /* Flushed before the target runs, so that a crash is next to the name of its input. */
    printf("%s: %zu bytes\n", path, len);
    fflush(stdout);
    for (size_t cut = 0; cut <= len; cut++)
        LLVMFuzzerTestOneInput(bytes, cut);
    inputs++;
    return true;
}

static bool replay_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    bool fine = count >= 0;

    if (!fine)
        perror(folder);
    for (int i = 0; i < count; i++) {
        char path[4096];
        int written = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);

        if (entries[i]->d_name[0] != '.')
            fine &= written > 0 && (size_t)written < sizeof(path) && replay_file(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return fine;
}

int main(int argc, char **argv)
{
    bool fine = true;

    for (int i = 1; i < argc; i++) {
        struct stat about;

        if (stat(argv[i], &about) != 0) {
            perror(argv[i]);
            fine = false;
        } else {
            fine &= S_ISDIR(about.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
        }
    }
    if (inputs == 0) {
        fprintf(stderr, "usage: %s FILE|FOLDER...\nno input was replayed\n", argv[0]);
        return 1;
    }
    printf("%u inputs replayed, each at every length\n", inputs);
    return fine ? 0 : 1;
}
