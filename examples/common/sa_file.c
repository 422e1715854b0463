/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sa_file.h"

#include "address.h"
#include "sa_file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_FILE = 16 << 20, LEAST_SPI = 256, LEAST_WINDOW = 32 };

/* ------------------------------------------------------------------------------ entries */

/* Keys are not left behind where the memory was before, so realloc() will not do. */
static bool grow(sa_load *load)
{
    size_t room = load->room * 2 + 4;
    sa_file_entry *entries = calloc(room, sizeof *entries);

    if (entries == NULL)
        return false;
    if (load->room > 0) {
        memcpy(entries, load->file->entries, load->file->count * sizeof *entries);
        explicit_bzero(load->file->entries, load->room * sizeof *entries);
    }
    free(load->file->entries);
    load->file->entries = entries;
    load->room = room;
    return true;
}

sa_file_entry *sa_load_add(sa_load *load)
{
    sa_file_entry *sa = NULL;

    if (load->file->count == load->room && !grow(load)) {
        reader_mistake(&load->rd, "", "%s", strerror(ENOMEM));
        return NULL;
    }
    sa = &load->file->entries[load->file->count++];
    tunnelcap_esp_config_init(&sa->config, sizeof sa->config);
    sa->transform.size = sizeof sa->transform;
    return sa;
}

void sa_load_drop(sa_load *load)
{
    sa_file_entry *sa = &load->file->entries[--load->file->count];

    explicit_bzero(sa, sizeof *sa);
}

void sa_set_window(sa_file_entry *sa, uint32_t packets)
{
    sa->config.replay_mode = packets == 0 ? TUNNELCAP_REPLAY_OFF : TUNNELCAP_REPLAY_WINDOW;
    /* A window smaller than the library's least one is of no use to anybody. */
    if (packets > 0)
        sa->config.replay_window = packets < LEAST_WINDOW ? LEAST_WINDOW : packets;
}

void sa_set_udp(sa_file_entry *sa, uint32_t src_port, uint32_t dst_port)
{
    sa->config.flags |= TUNNELCAP_ESP_UDP;
    sa->config.udp_src_port = (uint16_t)src_port;
    sa->config.udp_dst_port = (uint16_t)dst_port;
}

/* ---------------------------------------------------------------------------- the checks */

static void check_algorithms(sa_load *load, const sa_file_entry *sa)
{
    tunnelcap_transform t = sa->transform;
    char names[64];
    int32_t status;

    t.flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK;
    if (sa->unknown_icv_len != 0) { /* any that is right: the rest is to be checked */
        t.integ = TUNNELCAP_INTEG_HMAC_SHA1_96;
        t.integ_key_len = 20;
    }
    status = tunnelcap_transform_check(&t, NULL);
    explicit_bzero(&t, sizeof t);
    if (status == TUNNELCAP_E_KEY)
        reader_mistake(&load->rd, sa->place,
                       "%s: does not take a key of %u bytes with an integrity key of %u",
                       sa_file_algorithms(sa, names, sizeof names), sa->transform.encr_key_len,
                       sa->transform.integ_key_len);
    else if (status < 0)
        reader_mistake(&load->rd, sa->place, "%s: %s", sa_file_algorithms(sa, names, sizeof names),
                       tunnelcap_status_text(status));
}

static void check_entry(sa_load *load, const sa_file_entry *sa)
{
    const tunnelcap_outer *ends = &sa->config.outer;

    if (sa->config.spi < LEAST_SPI)
        reader_mistake(&load->rd, sa->place, "SPI %u is below %u", sa->config.spi, LEAST_SPI);
    if (ends->local.family != 0 && ends->remote.family != 0 &&
        ends->local.family != ends->remote.family)
        reader_mistake(&load->rd, sa->place, "one address is IPv4 and the other IPv6");
    check_algorithms(load, sa);
}

static int compare(const void *a, const void *b)
{
    const sa_file_entry *const *left = a;
    const sa_file_entry *const *right = b;
    uint32_t one = (*left)->config.spi;
    uint32_t other = (*right)->config.spi;

    if (one != other)
        return one < other ? -1 : 1;
    return memcmp(&(*left)->config.outer.remote, &(*right)->config.outer.remote,
                  sizeof(tunnelcap_addr));
}

/* Packets would find either of two SAs with one destination and SPI. */
static void check_twins(sa_load *load)
{
    size_t count = load->file->count;
    const sa_file_entry **sorted = calloc(count + 1, sizeof *sorted);

    if (sorted == NULL) {
        reader_mistake(&load->rd, "", "%s", strerror(ENOMEM));
        return;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = &load->file->entries[i];
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 1; i < count; i++) {
        const sa_file_entry *one = sorted[i - 1];
        const sa_file_entry *other = sorted[i];

        if (compare(&one, &other) == 0)
            reader_mistake(&load->rd, other > one ? other->place : one->place,
                           "has the destination and SPI of %s",
                           other > one ? one->place : other->place);
    }
    free(sorted);
}

/* ------------------------------------------------------------------------------ the file */

static bool is_private(sa_load *load, const struct stat *facts)
{
    if ((facts->st_mode & (S_IROTH | S_IWOTH)) == 0)
        return true;
    reader_mistake(&load->rd, "", "holds keys, and everybody may %s it: chmod o-rw",
                   (facts->st_mode & S_IROTH) != 0 ? "read" : "write");
    return false;
}

/* Read all of a file, without a buffer of stdio's that would keep it. */
static size_t read_all(int fd, char *text, size_t room)
{
    size_t size = 0;

    while (size < room) {
        ssize_t got = read(fd, text + size, room - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return SIZE_MAX;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    return size;
}

/* What decides about the form: the first character that is neither blank nor in a comment. */
static char first_character(const char *text)
{
    text += strspn(text, " \t\r\n");
    while (*text == '#') {
        text += strcspn(text, "\n");
        text += strspn(text, " \t\r\n");
    }
    return *text;
}

static void read_form(sa_load *load, char *text, size_t size)
{
    char first = first_character(text);

    if (first == '{')
        sa_json_read(load, text, size);
    else if (first == '"')
        sa_wireshark_read(load, text);
    else if ((first >= 'a' && first <= 'z') || first == '/')
        sa_xfrm_read(load, text);
    else if (first != '\0')
        reader_mistake(&load->rd, "",
                       "is neither JSON, nor of \"ip xfrm state\", nor Wireshark's esp_sa");
}

static void load_text(sa_load *load, int fd)
{
    char *text = calloc(1, LARGEST_FILE + 2);
    size_t size = text == NULL ? SIZE_MAX : read_all(fd, text, LARGEST_FILE + 1);

    if (size == SIZE_MAX) {
        reader_mistake(&load->rd, "", "%s", strerror(errno));
        free(text);
        return;
    }
    if (size > LARGEST_FILE)
        reader_mistake(&load->rd, "", "%s", strerror(EFBIG));
    else if (strlen(text) != size)
        reader_mistake(&load->rd, "", "holds a zero byte: not text");
    else
        read_form(load, text, size);
    explicit_bzero(text, size);
    free(text);
}

static void check_all(sa_load *load)
{
    if (load->file->count == 0)
        reader_mistake(&load->rd, "", "there is no security association in it");
    for (size_t i = 0; i < load->file->count; i++)
        check_entry(load, &load->file->entries[i]);
    if (load->rd.mistakes == 0)
        check_twins(load);
}

sa_file *sa_file_load(const char *path, uint32_t flags, FILE *errors)
{
    sa_load load = {.rd = {.file = path, .errors = errors}, .file = calloc(1, sizeof *load.file)};
    struct stat facts;
    int fd = -1;

    if (load.file == NULL) {
        reader_mistake(&load.rd, "", "%s", strerror(ENOMEM));
        return NULL;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0)
        reader_mistake(&load.rd, "", "%s", strerror(errno));
    else if ((flags & SA_FILE_PRIVATE) == 0 || is_private(&load, &facts))
        load_text(&load, fd);
    if (fd >= 0)
        close(fd);

    if (load.rd.mistakes == 0)
        check_all(&load);
    if (load.rd.mistakes == 0)
        return load.file;
    sa_file_free(load.file);
    return NULL;
}

void sa_file_free(sa_file *file)
{
    if (file == NULL)
        return;
    if (file->entries != NULL)
        explicit_bzero(file->entries, file->count * sizeof *file->entries);
    free(file->entries);
    free(file);
}

const sa_file_entry *sa_file_find(const sa_file *file, const tunnelcap_addr *dst, uint32_t spi)
{
    for (size_t i = 0; i < file->count; i++) {
        const tunnelcap_esp_config *config = &file->entries[i].config;

        if (config->spi == spi &&
            (config->outer.remote.family == 0 || address_equal(&config->outer.remote, dst)))
            return &file->entries[i];
    }
    return NULL;
}

const char *sa_file_algorithms(const sa_file_entry *entry, char *text, size_t size)
{
    const sa_encr *encr = sa_encr_numbered(entry->transform.encr);
    const sa_integ *integ = sa_integ_numbered(entry->transform.integ);

    if (entry->unknown_icv_len != 0)
        snprintf(text, size, "%s, unknown-%u", encr->names[SA_FORM_JSON],
                 entry->unknown_icv_len * 8U);
    else if (integ->id == TUNNELCAP_INTEG_NONE)
        snprintf(text, size, "%s", encr->names[SA_FORM_JSON]);
    else
        snprintf(text, size, "%s, %s", encr->names[SA_FORM_JSON], integ->names[SA_FORM_JSON]);
    return text;
}
