/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static void report(reader *rd, const char *path, const char *format, va_list args)
    READER_PRINTF(3, 0);

static void report(reader *rd, const char *path, const char *format, va_list args)
{
    rd->mistakes++;
    fprintf(rd->errors, "%s: ", rd->file);
    if (path[0] != '\0')
        fprintf(rd->errors, "%s: ", path);
    vfprintf(rd->errors, format, args);
    fputc('\n', rd->errors);
}

void reader_mistake(reader *rd, const char *path, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(rd, path, format, args);
    va_end(args);
}

void reader_wrong(const reader_value *value, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(value->reader, value->path, format, args);
    va_end(args);
}

/* The value of a field within an object. */
static reader_value member(const reader_value *object, const char *name)
{
    reader_value value = {.reader = object->reader, .json = json_object_get(object->json, name)};
    const char *dot = object->path[0] == '\0' ? "" : ".";

    if (json_is_null(value.json))
        value.json = NULL;
    snprintf(value.path, sizeof value.path, "%.60s%s%.60s", object->path, dot, name);
    return value;
}

/* The field at this place of a list, which may have come to the end of its first part. */
static const reader_field *resolve(const reader_field *place)
{
    while (place->name == NULL && place->then != NULL)
        place = place->then;
    return place;
}

static bool is_field(const reader_field *fields, const char *name)
{
    for (const reader_field *f = resolve(fields); f->name != NULL; f = resolve(f + 1)) {
        if (strcmp(f->name, name) == 0)
            return true;
        if (f->alias != NULL && strcmp(f->alias, name) == 0)
            return true;
    }
    return false;
}

static void read_field(const reader_value *object, const reader_field *field, void *target)
{
    reader_value value = member(object, field->name);

    if (field->alias != NULL) {
        reader_value other = member(object, field->alias);
        if (value.json != NULL && other.json != NULL)
            reader_wrong(&other, "is the same as %s, which is given too", field->name);
        if (value.json == NULL && other.json != NULL)
            value = other;
    }
    if (value.json == NULL && field->required)
        reader_wrong(&value, "is missing");
    if (value.json != NULL && field->handle != NULL)
        field->handle(&value, target);
}

void reader_object(const reader_value *value, const reader_field *fields, void *target)
{
    const char *key = NULL;
    json_t *json = NULL;

    if (!json_is_object(value->json)) {
        reader_wrong(value, "must be an object");
        return;
    }
    json_object_foreach(value->json, key, json)
    {
        if (!is_field(fields, key)) {
            reader_value unknown = member(value, key);
            reader_wrong(&unknown, "is not a field that is known here");
        }
    }
    for (const reader_field *f = resolve(fields); f->name != NULL; f = resolve(f + 1))
        read_field(value, f, target);
}

void reader_array(const reader_value *value, reader_handler *each, void *target)
{
    size_t index = 0;
    json_t *json = NULL;

    if (!json_is_array(value->json)) {
        reader_wrong(value, "must be an array");
        return;
    }
    json_array_foreach(value->json, index, json)
    {
        reader_value element = {.reader = value->reader, .json = json};
        snprintf(element.path, sizeof element.path, "%.100s[%zu]", value->path, index);
        each(&element, target);
    }
}

const char *reader_string(const reader_value *value)
{
    const char *text = json_string_value(value->json);

    if (text == NULL)
        reader_wrong(value, "must be a string");
    return text;
}

bool reader_integer(const reader_value *value, uint32_t min, uint32_t max, uint32_t *number)
{
    json_int_t found = json_integer_value(value->json);

    if (!json_is_integer(value->json)) {
        reader_wrong(value, "must be an integer");
        return false;
    }
    if (found < (json_int_t)min) {
        reader_wrong(value, "%" JSON_INTEGER_FORMAT " is below %" PRIu32, found, min);
        return false;
    }
    if (found > (json_int_t)max) {
        reader_wrong(value, "%" JSON_INTEGER_FORMAT " is above %" PRIu32, found, max);
        return false;
    }
    *number = (uint32_t)found;
    return true;
}

bool reader_boolean(const reader_value *value, bool *truth)
{
    if (!json_is_boolean(value->json)) {
        reader_wrong(value, "must be true or false");
        return false;
    }
    *truth = json_is_true(value->json);
    return true;
}
