/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What the sources of the key file reader share with one another.
 */
#ifndef TUNNELCAP_EXAMPLES_SA_FILE_PARTS_H
#define TUNNELCAP_EXAMPLES_SA_FILE_PARTS_H

#include "reader.h"
#include "sa_file.h"

/* A file on its way in. */
typedef struct sa_load {
    reader rd;
    sa_file *file;
    size_t room; /* entries that there is memory for */
} sa_load;

/* Begin an entry with defaults. NULL if memory is short, which is a mistake then. */
sa_file_entry *sa_load_add(sa_load *load);

/* Take back the last entry. */
void sa_load_drop(sa_load *load);

/* The forms. They change `text`, which ends in a zero byte, as they like. */
void sa_json_read(sa_load *load, char *text, size_t size);
void sa_xfrm_read(sa_load *load, char *text);
void sa_wireshark_read(sa_load *load, char *text);

/* ------------------------------------------------------------------------- algorithms */

enum sa_form { SA_FORM_JSON, SA_FORM_XFRM, SA_FORM_WIRESHARK, SA_FORMS };

typedef struct sa_encr {
    const char *names[SA_FORMS]; /* NULL where a form has none */
    uint16_t id;                 /* TUNNELCAP_ENCR_ */
    uint8_t icv_len;             /* of a combined algorithm, else 0 */
    uint8_t salt_len;            /* that ends the key where a form does not part them */
    bool in_wireshark4;          /* Wireshark 4.0 knows its name */
} sa_encr;

typedef struct sa_integ {
    const char *names[SA_FORMS];
    uint16_t id; /* TUNNELCAP_INTEG_ */
    uint8_t icv_len;
} sa_integ;

/* The algorithm of that name with an ICV of that many bytes (0: of any); NULL if there is none. */
const sa_encr *sa_encr_named(enum sa_form form, const char *name, uint32_t icv_len);
const sa_integ *sa_integ_named(enum sa_form form, const char *name);

/* The algorithm of that number; NULL if there is none. */
const sa_encr *sa_encr_numbered(uint16_t id);
const sa_integ *sa_integ_numbered(uint16_t id);

/* ------------------------------------------------------------------------------- keys */

/* Bytes of a key, as a file writes it. */
typedef struct sa_key {
    uint8_t bytes[68]; /* the longest one, and a salt */
    size_t len;
} sa_key;

/* Read hexadecimal digits. Returns NULL, or what is wrong with them. */
const char *sa_key_from_hex(const char *digits, sa_key *key);

/* Read "0x" and digits; what does not begin so is the key itself. */
const char *sa_key_from_text(const char *text, sa_key *key);

/* Set the algorithm and its key; the salt is the end of the key. Returns NULL, or what is wrong.
 * The key is wiped. */
const char *sa_set_encr(sa_file_entry *sa, const sa_encr *encr, sa_key *key);
const char *sa_set_integ(sa_file_entry *sa, const sa_integ *integ, sa_key *key);

/* ----------------------------------------------------------------------------- the rest */

enum { SA_WINDOW_MOST = 65536 }; /* packets of a replay window */

/* Set the packets of a replay window; 0 switches replay checking off. */
void sa_set_window(sa_file_entry *sa, uint32_t packets);

/* Set the ports of ESP in UDP. */
void sa_set_udp(sa_file_entry *sa, uint32_t src_port, uint32_t dst_port);

/* Bytes of an ICV about which only the number of bits is known; 0 if it is none that ESP has. */
uint8_t sa_unknown_icv(const char *bits);

#endif
