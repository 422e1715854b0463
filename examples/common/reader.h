/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Strict reading of JSON: every value is known, of the right type and in range, or there is a
 * line that says which one is not. Reading goes on after a mistake, to report them all.
 */
#ifndef TUNNELCAP_EXAMPLES_READER_H
#define TUNNELCAP_EXAMPLES_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct reader {
    const char *file;
    FILE *errors;
    unsigned mistakes;
} reader;

/* A value and where it stands, such as "gre_tunnels[2].mtu". */
typedef struct reader_value {
    reader *reader;
    json_t *json;
    char path[128];
} reader_value;

/* What to do with the value of a field or an element. */
typedef void reader_handler(const reader_value *value, void *target);

/* A field of an object. A list of them ends with a name of NULL, and may go on elsewhere. */
typedef struct reader_field {
    const char *name;
    const char *alias;      /* another spelling of it, or NULL */
    reader_handler *handle; /* NULL accepts the field and ignores it */
    bool required;
    const struct reader_field *then; /* at the end of a list: where it goes on, or NULL */
} reader_field;

#define READER_PRINTF(text, args) __attribute__((format(printf, text, args)))

/* Write "file: path: ..." as one line, and count it. */
void reader_mistake(reader *rd, const char *path, const char *format, ...) READER_PRINTF(3, 4);
void reader_wrong(const reader_value *value, const char *format, ...) READER_PRINTF(2, 3);

/* Call the handlers of an object's fields, in the order of `fields`. null counts as absent. */
void reader_object(const reader_value *value, const reader_field *fields, void *target);

/* Call a handler for each element. */
void reader_array(const reader_value *value, reader_handler *each, void *target);

/* The value if it is of the type; otherwise that is a mistake, and NULL or false is returned. */
const char *reader_string(const reader_value *value);
bool reader_integer(const reader_value *value, uint32_t min, uint32_t max, uint32_t *number);
bool reader_boolean(const reader_value *value, bool *truth);

#endif
