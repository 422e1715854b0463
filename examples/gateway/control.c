/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "control.h"

#include "log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_S = 5, BACKLOG = 8 };

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

static void on_written(struct bufferevent *stream, void *arg)
{
    (void)arg;
    bufferevent_free(stream);
}

static void on_end(struct bufferevent *stream, short what, void *arg)
{
    (void)what;
    (void)arg;
    bufferevent_free(stream);
}

/* Write the whole answer and hang up; a client that does not read it is given up on. */
static void on_connect(struct evconnlistener *listener, evutil_socket_t fd,
                       struct sockaddr *address, int size, void *arg)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    control *c = arg;
    json_t *answer = c->answer(c->arg);
    char *text = answer == NULL ? NULL : json_dumps(answer, JSON_INDENT(2));
    struct bufferevent *stream =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);

    (void)address;
    (void)size;
    if (stream == NULL) {
        close(fd);
    } else if (text == NULL) {
        bufferevent_free(stream);
    } else {
        bufferevent_setcb(stream, NULL, on_written, on_end, NULL);
        bufferevent_set_timeouts(stream, NULL, &patience);
        evbuffer_add_printf(bufferevent_get_output(stream), "%s\n", text);
        bufferevent_enable(stream, EV_WRITE);
    }
    free(text);
    json_decref(answer);
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

bool control_open(control *c, struct event_base *base, const char *path,
                  json_t *(*answer)(void *arg), void *arg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *c = (control){.answer = answer, .arg = arg};
    if (!clear_the_way(path))
        return false;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    mode_t mask = umask(0077);
    c->listener =
        evconnlistener_new_bind(base, on_connect, c, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                BACKLOG, (struct sockaddr *)&address, sizeof address);
    int error = errno;
    umask(mask);
    if (c->listener == NULL) {
        log_line("%s: cannot make the control socket: %s", path, strerror(error));
        return false;
    }
    snprintf(c->path, sizeof c->path, "%s", path);
    return true;
}

void control_close(control *c)
{
    if (c->listener == NULL)
        return;
    unlink(c->path);
    evconnlistener_free(c->listener);
    c->listener = NULL;
}

json_t *control_ask(const char *path)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    json_error_t error;
    int fd = dial(path);

    if (fd < 0) {
        log_line("%s: no gateway answers there: %s", path, strerror(errno));
        return NULL;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    json_t *answer = json_loadfd(fd, 0, &error);
    close(fd);
    if (answer == NULL)
        log_line("%s: the answer is not understood: %s", path, error.text);
    return answer;
}
