/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Where the gateway can be watched over HTTP. */
#include "address.h"
#include "config_parts.h"

static void read_address(const reader_value *value, void *target)
{
    const char *text = reader_string(value);

    if (text != NULL && !address_parse(text, &((config_http *)target)->address))
        reader_wrong(value, "\"%s\" is not an IP address", text);
}

static void read_port(const reader_value *value, void *target)
{
    uint32_t port = 0;

    if (reader_integer(value, 1, UINT16_MAX, &port))
        ((config_http *)target)->port = (uint16_t)port;
}

static const reader_field fields[] = {
    {.name = "address", .handle = read_address},
    {.name = "port", .handle = read_port, .required = true},
    {.name = NULL},
};

/* Only this host, unless the file says more. */
void config_read_http(const reader_value *value, void *target)
{
    config_http *http = &((config *)target)->http;

    address_parse("127.0.0.1", &http->address);
    reader_object(value, fields, http);
}

void config_read_history(const reader_value *value, void *target)
{
    reader_integer(value, 0, CONFIG_MOST_HISTORIES, &((config *)target)->history_tunnels);
}
