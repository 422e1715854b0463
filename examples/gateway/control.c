/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "control.h"

#include "log.h"

#include <errno.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_S = 5, WORK_S = 60 /* for what is to be done */, BACKLOG = 8, REQUEST_SIZE = 256 };

/* Whether a directory serves for what is wanted of it; it is made if that is allowed. */
static bool usable(const char *directory, bool make)
{
    if (make && mkdir(directory, 0755) != 0 && errno != EEXIST)
        return false;
    return access(directory, make ? W_OK | X_OK : X_OK) == 0;
}

bool control_default_path(const char *tun, bool make, char path[CONFIG_CONTROL_SIZE])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *const parents[] = {"/run", runtime};
    char directory[CONFIG_CONTROL_SIZE - CONFIG_NAME_SIZE - sizeof "/.sock"];

    for (size_t i = 0; i < 2 && parents[i] != NULL; i++) {
        int len = snprintf(directory, sizeof directory, "%s/tunnelcap", parents[i]);
        if (len < 0 || (size_t)len >= sizeof directory || !usable(directory, make))
            continue;
        snprintf(path, CONFIG_CONTROL_SIZE, "%s/%s.sock", directory, tun);
        if (make || access(path, F_OK) == 0)
            return true;
    }
    if (make)
        log_line("no place for the control socket: make /run/tunnelcap, set XDG_RUNTIME_DIR, or "
                 "use --control");
    else
        log_line("no gateway with the TUN device %s has a control socket in /run/tunnelcap or "
                 "$XDG_RUNTIME_DIR/tunnelcap",
                 tun);
    return false;
}

/* Connect to a socket; returns a descriptor, or -1 with errno set. */
static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A socket that nobody answers at is a leftover, and in the way. */
static bool clear_the_way(const char *path)
{
    int fd = dial(path);

    if (fd >= 0) {
        close(fd);
        log_line("%s: another gateway answers there; use --control", path);
        return false;
    }
    if (errno == ECONNREFUSED)
        unlink(path);
    return true;
}

bool control_open(control *c, struct event_base *base, const char *path, const http_page *pages,
                  void *arg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *c = (control){.path = ""};
    if (!clear_the_way(path))
        return false;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    mode_t mask = umask(0077);
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                BACKLOG, (struct sockaddr *)&address, sizeof address);
    int error = errno;
    umask(mask);
    if (listener == NULL) {
        log_line("%s: cannot make the control socket: %s", path, strerror(error));
        return false;
    }
    snprintf(c->path, sizeof c->path, "%s", path);
    if (http_open(&c->http, base, listener, pages, arg))
        return true;
    evconnlistener_free(listener);
    control_close(c);
    return false;
}

void control_close(control *c)
{
    if (c->path[0] == '\0')
        return;
    unlink(c->path);
    http_close(&c->http);
    c->path[0] = '\0';
}

/* Read up to the end of the header; false if it is not that of a page. */
static bool skip_header(FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    bool found = getline(&line, &size, file) > 0 && strncmp(line, "HTTP/1.", 7) == 0 &&
                 strncmp(line + strcspn(line, " "), " 200", 4) == 0;

    while (found && getline(&line, &size, file) > 0)
        if (line[strspn(line, "\r\n")] == '\0')
            break;
    free(line);
    return found;
}

static json_t *talk(const char *path, const char *request, time_t patience_s, char *why,
                    size_t size)
{
    const struct timeval patience = {.tv_sec = patience_s};
    json_t *answer = NULL;
    json_error_t error = {.text = "no page"};
    int fd = dial(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r+");

    if (file == NULL) {
        snprintf(why, size, "%s: no gateway answers there: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    fprintf(file, "%s\r\n", request);
    if (fflush(file) == 0 && skip_header(file))
        answer = json_loadf(file, 0, &error);
    fclose(file);
    if (answer == NULL)
        snprintf(why, size, "%s: the answer is not understood: %s", path, error.text);
    return answer;
}

json_t *control_try(const char *path, const char *page, char *why, size_t size)
{
    char request[REQUEST_SIZE];

    snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n", page);
    return talk(path, request, PATIENCE_S, why, size);
}

json_t *control_ask(const char *path, const char *page)
{
    char why[CONFIG_CONTROL_SIZE + JSON_ERROR_TEXT_LENGTH];
    json_t *answer = control_try(path, page, why, sizeof why);

    if (answer == NULL)
        log_line("%s", why);
    return answer;
}

json_t *control_do(const char *path, const char *page)
{
    char why[CONFIG_CONTROL_SIZE + JSON_ERROR_TEXT_LENGTH];
    char request[REQUEST_SIZE];

    snprintf(request, sizeof request, "POST %s HTTP/1.0\r\nContent-Length: 0\r\n", page);
    json_t *answer = talk(path, request, WORK_S, why, sizeof why);
    if (answer == NULL)
        log_line("%s", why);
    return answer;
}
