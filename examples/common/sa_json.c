/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Key files in our own JSON: the schema tunnelcap-sa/1. */
#include "address.h"
#include "sa_file_parts.h"

#include <stdlib.h>
#include <string.h>

static const char schema[] = "tunnelcap-sa/1";

/* -------------------------------------------------------- memory that is wiped when freed */

/* What jansson allocates may hold keys, also while it parses. */
typedef union block_head {
    size_t size;
    max_align_t align;
} block_head;

static void *wiping_malloc(size_t size)
{
    block_head *head = malloc(sizeof *head + size);

    if (head == NULL)
        return NULL;
    head->size = size;
    return head + 1;
}

static void wiping_free(void *memory)
{
    block_head *head = memory;

    if (head == NULL)
        return;
    head--;
    explicit_bzero(memory, head->size);
    free(head);
}

/* ---------------------------------------------------------------------------- the fields */

/* What the handlers of an SA's fields work on. */
typedef struct draft {
    sa_file_entry *sa;
    const char *encr;  /* names, or NULL */
    const char *integ; /* points into the JSON */
    sa_key encr_key;
    sa_key salt;
    sa_key integ_key;
    uint32_t icv_len; /* 0 if not given */
} draft;

static void read_address(const reader_value *value, tunnelcap_addr *address)
{
    const char *text = reader_string(value);

    if (text != NULL && !address_parse(text, address))
        reader_wrong(value, "\"%s\" is not an IP address", text);
}

static void read_src(const reader_value *value, void *target)
{
    read_address(value, &((draft *)target)->sa->config.outer.local);
}

static void read_dst(const reader_value *value, void *target)
{
    read_address(value, &((draft *)target)->sa->config.outer.remote);
}

static void read_spi(const reader_value *value, void *target)
{
    reader_integer(value, 0, UINT32_MAX, &((draft *)target)->sa->config.spi);
}

static void read_mode(const reader_value *value, void *target)
{
    tunnelcap_esp_config *config = &((draft *)target)->sa->config;
    const char *mode = reader_string(value);

    if (mode == NULL)
        return;
    if (strcmp(mode, "tunnel") == 0)
        config->mode = TUNNELCAP_ESP_TUNNEL;
    else if (strcmp(mode, "transport") == 0)
        config->mode = TUNNELCAP_ESP_TRANSPORT;
    else if (strcmp(mode, "auto") == 0)
        config->mode = SA_FILE_MODE_AUTO;
    else
        reader_wrong(value, "\"%s\" is not tunnel, transport or auto", mode);
}

static void read_encr(const reader_value *value, void *target)
{
    ((draft *)target)->encr = reader_string(value);
}

static void read_integ(const reader_value *value, void *target)
{
    ((draft *)target)->integ = reader_string(value);
}

static void read_hex(const reader_value *value, sa_key *key)
{
    const char *digits = reader_string(value);
    const char *wrong = digits == NULL ? NULL : sa_key_from_hex(digits, key);

    if (wrong != NULL)
        reader_wrong(value, "%s", wrong);
}

static void read_encr_key(const reader_value *value, void *target)
{
    read_hex(value, &((draft *)target)->encr_key);
}

static void read_salt(const reader_value *value, void *target)
{
    read_hex(value, &((draft *)target)->salt);
}

static void read_integ_key(const reader_value *value, void *target)
{
    read_hex(value, &((draft *)target)->integ_key);
}

static void read_icv_len(const reader_value *value, void *target)
{
    reader_integer(value, 1, UINT8_MAX, &((draft *)target)->icv_len);
}

static void read_esn(const reader_value *value, void *target)
{
    bool esn = false;

    if (reader_boolean(value, &esn) && esn)
        ((draft *)target)->sa->config.flags |= TUNNELCAP_ESP_ESN;
}

static void read_first_esn_hi(const reader_value *value, void *target)
{
    reader_integer(value, 0, UINT32_MAX, &((draft *)target)->sa->first_esn_hi);
}

static void read_replay_window(const reader_value *value, void *target)
{
    uint32_t packets = 0;

    if (reader_integer(value, 0, SA_WINDOW_MOST, &packets))
        sa_set_window(((draft *)target)->sa, packets);
}

static void read_udp_encap(const reader_value *value, void *target)
{
    uint32_t ports[2] = {0, 0};

    if (json_array_size(value->json) != 2) {
        reader_wrong(value, "must be an array of two ports");
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        reader_value port = *value;

        port.json = json_array_get(value->json, i);
        if (!reader_integer(&port, 1, UINT16_MAX, &ports[i]))
            return;
    }
    sa_set_udp(((draft *)target)->sa, ports[0], ports[1]);
}

static const reader_field sa_fields[] = {
    {.name = "src", .handle = read_src, .required = true},
    {.name = "dst", .handle = read_dst, .required = true},
    {.name = "spi", .handle = read_spi, .required = true},
    {.name = "mode", .handle = read_mode, .required = true},
    {.name = "enc", .handle = read_encr, .required = true},
    {.name = "enc_key", .handle = read_encr_key},
    {.name = "salt", .handle = read_salt},
    {.name = "auth", .handle = read_integ},
    {.name = "auth_key", .handle = read_integ_key},
    {.name = "icv_len", .handle = read_icv_len},
    {.name = "esn", .handle = read_esn},
    {.name = "first_esn_hi", .handle = read_first_esn_hi},
    {.name = "replay_window", .handle = read_replay_window},
    {.name = "udp_encap", .handle = read_udp_encap},
    {.name = NULL},
};

/* ------------------------------------------------------------------------ the algorithms */

static void settle_encr(const reader_value *value, draft *d)
{
    const sa_encr *encr = sa_encr_named(SA_FORM_JSON, d->encr, 0);
    const char *wrong;

    if (encr == NULL) {
        reader_wrong(value, "enc \"%s\" is not known here", d->encr);
        return;
    }
    if (encr->icv_len != 0)
        encr = sa_encr_named(SA_FORM_JSON, d->encr, d->icv_len);
    if (encr == NULL || (encr->icv_len != 0 && d->icv_len == 0)) {
        reader_wrong(value, "icv_len %u is not one of %s", d->icv_len, d->encr);
        return;
    }
    if (d->salt.len != encr->salt_len) {
        reader_wrong(value, "salt has %zu bytes; %s takes %u", d->salt.len, d->encr,
                     encr->salt_len);
        return;
    }
    if (d->encr_key.len > sizeof d->encr_key.bytes - d->salt.len) {
        reader_wrong(value, "enc_key: the key is longer than any");
        return;
    }
    memcpy(d->encr_key.bytes + d->encr_key.len, d->salt.bytes, d->salt.len);
    d->encr_key.len += d->salt.len;
    wrong = sa_set_encr(d->sa, encr, &d->encr_key);
    if (wrong != NULL)
        reader_wrong(value, "enc_key: %s", wrong);
}

/* "unknown-96": an ICV of 96 bits, about which nothing else is known. */
static bool settle_unknown(draft *d)
{
    static const char prefix[] = "unknown-";
    size_t skip = sizeof prefix - 1;

    if (strncmp(d->integ, prefix, skip) != 0)
        return false;
    d->sa->unknown_icv_len = sa_unknown_icv(d->integ + skip);
    return d->sa->unknown_icv_len != 0;
}

static void settle_integ(const reader_value *value, draft *d)
{
    const sa_integ *integ = NULL;
    const char *wrong;

    if (d->integ == NULL || settle_unknown(d))
        return;
    integ = sa_integ_named(SA_FORM_JSON, d->integ);
    if (integ == NULL) {
        reader_wrong(value, "auth \"%s\" is not known here", d->integ);
        return;
    }
    if (integ->icv_len != 0 && d->icv_len != 0 && d->icv_len != integ->icv_len) {
        reader_wrong(value, "icv_len %u is not that of %s", d->icv_len, d->integ);
        return;
    }
    wrong = sa_set_integ(d->sa, integ, &d->integ_key);
    if (wrong != NULL)
        reader_wrong(value, "auth_key: %s", wrong);
}

/* ------------------------------------------------------------------------------- the file */

static void read_sa(const reader_value *value, void *target)
{
    draft d = {.sa = sa_load_add(target)};

    if (d.sa == NULL)
        return;
    snprintf(d.sa->place, sizeof d.sa->place, "%.*s", SA_FILE_PLACE_SIZE - 1, value->path);
    reader_object(value, sa_fields, &d);
    if (d.encr != NULL) {
        settle_encr(value, &d);
        settle_integ(value, &d);
    }
    explicit_bzero(&d, sizeof d);
}

static void read_schema(const reader_value *value, void *target)
{
    const char *name = reader_string(value);

    (void)target;
    if (name != NULL && strcmp(name, schema) != 0)
        reader_wrong(value, "\"%s\" is not %s", name, schema);
}

static void read_sas(const reader_value *value, void *target)
{
    reader_array(value, read_sa, target);
}

static const reader_field file_fields[] = {
    {.name = "schema", .handle = read_schema, .required = true},
    {.name = "sas", .handle = read_sas, .required = true},
    {.name = NULL},
};

void sa_json_read(sa_load *load, char *text, size_t size)
{
    json_malloc_t before_malloc = NULL;
    json_free_t before_free = NULL;
    json_error_t error;

    json_get_alloc_funcs(&before_malloc, &before_free);
    json_set_alloc_funcs(wiping_malloc, wiping_free);
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        /* What the error is near to may be a key. */
        char *near = strstr(error.text, " near ");

        fprintf(load->rd.errors, "%s:%d:%d: %.*s\n", load->rd.file, error.line, error.column,
                near == NULL ? (int)sizeof error.text : (int)(near - error.text), error.text);
        load->rd.mistakes++;
    }
    reader_value top = {.reader = &load->rd, .json = root};
    if (root != NULL)
        reader_object(&top, file_fields, load);
    json_decref(root);
    explicit_bzero(&error, sizeof error);
    json_set_alloc_funcs(before_malloc, before_free);
}
