/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Key files of Wireshark: the table "esp_sa", read and written. */
#include "address.h"
#include "sa_file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The last two columns came after Wireshark 4.0, and may be missing. */
enum { FAMILY, SRC, DST, SPI, ENCR, ENCR_KEY, INTEG, INTEG_KEY, SN_LENGTH, SN_HIGH, COLUMNS };

/* A row, and where it stands. */
typedef struct row {
    sa_load *load;
    sa_file_entry *sa;
    const char *fields[COLUMNS];
} row;

static void wrong(const row *r, const char *what, const char *why)
{
    reader_mistake(&r->load->rd, r->sa->place, "%s: %s", what, why);
}

/* Cut a line into quoted fields, in place. Returns how many there are, or 0 if it is no row. */
static size_t split(char *line, const char *fields[COLUMNS])
{
    size_t count = 0;

    while (count < COLUMNS && *line == '"') {
        fields[count++] = ++line;
        line += strcspn(line, "\"");
        if (*line != '"')
            return 0;
        *line++ = '\0';
        if (*line == '\0')
            return count;
        if (*line++ != ',')
            return 0;
    }
    return 0;
}

static void read_address(const row *r, const char *text, const char *what, tunnelcap_addr *address)
{
    uint8_t family = strcmp(r->fields[FAMILY], "IPv6") == 0 ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4;

    if (strcmp(text, "*") == 0)
        return;
    if (!address_parse(text, address))
        wrong(r, what, "not an IP address");
    else if (address->family != family)
        wrong(r, what, "of another family than the row");
}

static bool read_number(const char *text, int base, uint32_t *number)
{
    unsigned long long value;
    char *end = NULL;

    errno = 0;
    value = strtoull(text, &end, base);
    if (text[0] == '\0' || strchr("0123456789abcdefABCDEF", text[0]) == NULL || *end != '\0' ||
        errno != 0 || value > UINT32_MAX)
        return false;
    *number = (uint32_t)value;
    return true;
}

/* "ANY 96 bit authentication [no checking]": bits of an ICV that is not checked there. */
static uint8_t any_icv(const char *name)
{
    static const char behind[] = " bit authentication [no checking]";
    char bits[8];
    size_t digits;

    if (strncmp(name, "ANY ", 4) != 0)
        return 0;
    name += 4;
    digits = strspn(name, "0123456789");
    if (digits == 0 || digits >= sizeof bits || strcmp(name + digits, behind) != 0)
        return 0;
    snprintf(bits, sizeof bits, "%.*s", (int)digits, name);
    return sa_unknown_icv(bits);
}

/* The oldest name of GCM leaves the length of its ICV to the other column. */
static const sa_encr *find_encr(const row *r, bool *is_combined)
{
    const sa_encr *encr = NULL;

    if (strcmp(r->fields[ENCR], "AES-GCM [RFC4106]") == 0) {
        uint8_t icv_len = any_icv(r->fields[INTEG]);

        encr = icv_len == 0 ? NULL : sa_encr_named(SA_FORM_JSON, "aes-gcm", icv_len);
    } else {
        encr = sa_encr_named(SA_FORM_WIRESHARK, r->fields[ENCR], 0);
    }
    *is_combined = encr != NULL && encr->icv_len != 0;
    return encr;
}

/* How to call an algorithm in a message. Who has mixed up the columns may have put a key there. */
static const char *shown(const char *name, const char *otherwise)
{
    return strchr(name, '[') != NULL ? name : otherwise;
}

static void read_algorithms(const row *r)
{
    bool is_combined = false;
    const sa_encr *encr = find_encr(r, &is_combined);
    const sa_integ *integ = sa_integ_named(SA_FORM_WIRESHARK, r->fields[INTEG]);
    const char *flaw = "an algorithm that is not known here";
    sa_key key;

    if (encr != NULL)
        flaw = sa_key_from_text(r->fields[ENCR_KEY], &key);
    if (encr != NULL && flaw == NULL)
        flaw = sa_set_encr(r->sa, encr, &key);
    if (flaw != NULL)
        wrong(r, shown(r->fields[ENCR], "encryption"), flaw);
    if (is_combined && any_icv(r->fields[INTEG]) != 0)
        return; /* known after all */
    r->sa->unknown_icv_len = any_icv(r->fields[INTEG]);
    if (r->sa->unknown_icv_len != 0)
        return;
    flaw = "an algorithm that is not known here";
    if (integ != NULL)
        flaw = sa_key_from_text(r->fields[INTEG_KEY], &key);
    if (integ != NULL && flaw == NULL)
        flaw = sa_set_integ(r->sa, integ, &key);
    if (flaw != NULL)
        wrong(r, shown(r->fields[INTEG], "authentication"), flaw);
    explicit_bzero(&key, sizeof key);
}

static void read_sequence(const row *r)
{
    if (r->fields[SN_LENGTH] != NULL && strcmp(r->fields[SN_LENGTH], "64-bit") == 0)
        r->sa->config.flags |= TUNNELCAP_ESP_ESN;
    else if (r->fields[SN_LENGTH] != NULL && strcmp(r->fields[SN_LENGTH], "32-bit") != 0)
        wrong(r, "sequence numbers", "neither 32-bit nor 64-bit");
    if (r->fields[SN_HIGH] != NULL && !read_number(r->fields[SN_HIGH], 16, &r->sa->first_esn_hi))
        wrong(r, "sequence numbers", "the upper half is not a hexadecimal number");
}

static void read_row(sa_load *load, unsigned line, char *text)
{
    row r = {.load = load, .sa = sa_load_add(load)};

    if (r.sa == NULL)
        return;
    snprintf(r.sa->place, sizeof r.sa->place, "line %u", line);
    if (split(text, r.fields) < SN_LENGTH) {
        wrong(&r, "row", "not 8 to 10 columns, each in quotes");
        return;
    }
    r.sa->config.mode = SA_FILE_MODE_AUTO;
    if (strcmp(r.fields[FAMILY], "IPv4") != 0 && strcmp(r.fields[FAMILY], "IPv6") != 0)
        wrong(&r, "protocol", "neither IPv4 nor IPv6");
    read_address(&r, r.fields[SRC], "source", &r.sa->config.outer.local);
    read_address(&r, r.fields[DST], "destination", &r.sa->config.outer.remote);
    if (!read_number(r.fields[SPI], 0, &r.sa->config.spi))
        wrong(&r, "SPI", "not a number; wildcards are not supported");
    read_algorithms(&r);
    read_sequence(&r);
}

void sa_wireshark_read(sa_load *load, char *text)
{
    for (unsigned line = 1; text != NULL; line++) {
        char *one = strsep(&text, "\n");
        size_t len = strlen(one);

        if (len > 0 && one[len - 1] == '\r')
            one[len - 1] = '\0';
        one += strspn(one, " \t");
        if (*one != '\0' && *one != '#')
            read_row(load, line, one);
    }
}

/* ------------------------------------------------------------------------------- writing */

enum { LINE_SIZE = 640 };

static void append_hex(char *line, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *end = line + strlen(line);

    for (size_t i = 0; i < len; i++) {
        *end++ = digits[bytes[i] >> 4];
        *end++ = digits[bytes[i] & 15];
    }
    *end = '\0';
}

static void append_key(char *line, const uint8_t *key, size_t len, const uint8_t *salt,
                       size_t salt_len)
{
    strcat(line, len == 0 ? ",\"" : ",\"0x");
    append_hex(line, key, len);
    append_hex(line, salt, salt_len);
    strcat(line, "\"");
}

static const char *address_or_any(const tunnelcap_addr *address, char text[ADDRESS_TEXT_SIZE])
{
    return address->family == 0 ? "*" : address_text(address, text);
}

/* Whether Wireshark 4.0 has names for the algorithms of an SA. */
static bool can_write(const sa_file_entry *sa)
{
    return sa_encr_numbered(sa->transform.encr)->in_wireshark4 &&
           sa_integ_numbered(sa->transform.integ)->names[SA_FORM_WIRESHARK] != NULL;
}

static void write_note(const sa_file_entry *sa, char *line)
{
    char dst[ADDRESS_TEXT_SIZE];
    char names[64];

    snprintf(line, LINE_SIZE, "# SPI 0x%08" PRIx32 " to %s, %s: not in Wireshark 4.0\n",
             sa->config.spi, address_or_any(&sa->config.outer.remote, dst),
             sa_file_algorithms(sa, names, sizeof names));
}

static void write_row(const sa_file_entry *sa, char *line)
{
    const tunnelcap_transform *t = &sa->transform;
    const tunnelcap_outer *ends = &sa->config.outer;
    const sa_encr *encr = sa_encr_numbered(t->encr);
    bool is_ipv6 = (ends->local.family | ends->remote.family) == TUNNELCAP_IPV6;
    char src[ADDRESS_TEXT_SIZE];
    char dst[ADDRESS_TEXT_SIZE];
    char integ[48];

    if (sa->unknown_icv_len != 0)
        snprintf(integ, sizeof integ, "ANY %u bit authentication [no checking]",
                 sa->unknown_icv_len * 8U);
    else
        snprintf(integ, sizeof integ, "%s", sa_integ_numbered(t->integ)->names[SA_FORM_WIRESHARK]);
    snprintf(line, LINE_SIZE, "\"%s\",\"%s\",\"%s\",\"0x%08" PRIx32 "\",\"%s\"",
             is_ipv6 ? "IPv6" : "IPv4", address_or_any(&ends->local, src),
             address_or_any(&ends->remote, dst), sa->config.spi, encr->names[SA_FORM_WIRESHARK]);
    append_key(line, t->encr_key, t->encr_key_len, t->salt, encr->salt_len);
    snprintf(line + strlen(line), LINE_SIZE - strlen(line), ",\"%s\"", integ);
    append_key(line, t->integ_key, t->integ_key_len, NULL, 0);
    strcat(line, "\n");
}

/* A stream for keys: nobody else may read the file, and no buffer keeps them. */
static FILE *open_private(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct stat facts;
    FILE *out = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &facts) == 0 && (!S_ISREG(facts.st_mode) || fchmod(fd, 0600) == 0))
        out = fdopen(fd, "w");
    if (out == NULL)
        close(fd);
    else
        setvbuf(out, NULL, _IONBF, 0);
    return out;
}

long sa_file_write_esp_sa(const sa_file *file, const char *path)
{
    FILE *out = open_private(path);
    char line[LINE_SIZE];
    bool written = true;
    long left_out = 0;

    if (out == NULL)
        return -1;
    for (size_t i = 0; written && i < file->count; i++) {
        const sa_file_entry *sa = &file->entries[i];

        if (can_write(sa)) {
            write_row(sa, line);
        } else {
            write_note(sa, line);
            left_out++;
        }
        written = fputs(line, out) >= 0;
    }
    explicit_bzero(line, sizeof line);
    if (fclose(out) != 0)
        written = false;
    return written ? left_out : -1;
}
