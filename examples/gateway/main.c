/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* tunnelcap-gateway: GRE, IP in IP and IPsec between a TUN device and the network. */
#include "control.h"
#include "gateway.h"
#include "plot.h"
#include "report.h"
#include "top.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_USAGE = 2,
    OPTION_JSON = 'j',
    OPTION_CONTROL = 'c',
    OPTION_ONCE = 'o',
    OPTION_INTERVAL = 'i',
    OPTION_DIRECTION = 'd'
};

static const char usage_text[] =
    "usage: tunnelcap-gateway run [--control PATH] CONFIG\n"
    "       tunnelcap-gateway check CONFIG\n"
    "       tunnelcap-gateway reload [--control PATH | CONFIG]\n"
    "       tunnelcap-gateway stats [--json] [--control PATH | CONFIG]\n"
    "       tunnelcap-gateway top [--once] [--control PATH | CONFIG]\n"
    "       tunnelcap-gateway history [--interval SPAN] [--direction ingress | egress]\n"
    "                                 [--control PATH | CONFIG]\n"
    "       tunnelcap-gateway --help | --version\n"
    "\n"
    "run     carry packets between a TUN device and the tunnels of a configuration\n"
    "check   tell whether a configuration is right\n"
    "reload  have a running gateway read its configuration anew\n"
    "stats   show what a running gateway has counted\n"
    "top     watch its tunnels\n"
    "history draw what its tunnels have carried, by second, minute, fiveMinutes or hour\n";

/* What the command line says. */
typedef struct arguments {
    const char *file;
    const char *control;
    const char *interval;
    const char *direction;
    bool json;
    bool once;
} arguments;

static int usage(void)
{
    fputs(usage_text, stderr);
    return EXIT_USAGE;
}

/* The control socket: of the command line, of the configuration, or the usual one. */
static bool find_control(const arguments *args, const config *conf, bool make,
                         char path[CONFIG_CONTROL_SIZE])
{
    const char *given = args->control;

    if (given == NULL && conf != NULL && conf->control[0] != '\0')
        given = conf->control;
    if (given == NULL)
        return control_default_path(conf == NULL ? CONFIG_DEFAULT_TUN : conf->tun, make, path);
    if (strlen(given) >= CONFIG_CONTROL_SIZE) {
        log_line("%s: longer than the path of a socket may be", given);
        return false;
    }
    strcpy(path, given);
    return true;
}

/* Whether there are options that no other command has. */
static bool is_of_history(const arguments *args)
{
    return args->interval != NULL || args->direction != NULL;
}

static int run(const arguments *args)
{
    char path[CONFIG_CONTROL_SIZE];
    config *conf = NULL;
    int status = EXIT_FAILURE;

    if (args->file == NULL || args->json || args->once || is_of_history(args))
        return usage();
    conf = config_load(args->file, stderr);
    if (conf != NULL && find_control(args, conf, true, path))
        status = gateway_run(conf, args->file, path);
    else
        config_free(conf);
    return status;
}

/* The keys are part of what can be wrong. */
static bool check_keys(const config *conf)
{
    ipsec keys;
    bool right = ipsec_open(&keys, conf, conf->tunnel_count) && ipsec_check(&keys);

    ipsec_close(&keys);
    return right;
}

static int check(const arguments *args)
{
    config *conf = NULL;

    if (args->file == NULL || args->json || args->once || is_of_history(args) ||
        args->control != NULL)
        return usage();
    conf = config_load(args->file, stderr);
    if (conf == NULL || !check_keys(conf)) {
        config_free(conf);
        return EXIT_FAILURE;
    }
    size_t routes = 0;
    for (size_t i = 0; i < conf->route_count; i++)
        routes += !conf->routes[i].connected;
    printf("%s: right: %zu tunnels, %zu routes\n", args->file, conf->tunnel_count, routes);
    config_free(conf);
    return EXIT_SUCCESS;
}

/* The control socket of a running gateway. */
static bool find_running(const arguments *args, char path[CONFIG_CONTROL_SIZE])
{
    config *conf = NULL;

    if (args->file != NULL && (conf = config_load(args->file, stderr)) == NULL)
        return false;
    bool found = find_control(args, conf, false, path);
    config_free(conf);
    return found;
}

static void print_names(const json_t *tunnels, const char *fate)
{
    size_t i = 0;
    json_t *name = NULL;

    json_array_foreach(json_object_get(tunnels, fate), i, name)
    {
        printf("%s%s", i == 0 ? "" : ", ", json_string_value(name));
    }
    printf("%s %s\n", i == 0 ? "no tunnel" : "", fate);
}

static void print_errors(const json_t *errors)
{
    size_t i = 0;
    json_t *line = NULL;

    json_array_foreach(errors, i, line)
    {
        fprintf(stderr, "%s\n", json_string_value(line));
    }
}

/* The configuration only tells where the gateway is; that reads the file that it was started
 * with. */
static int reload_running(const arguments *args)
{
    char path[CONFIG_CONTROL_SIZE];

    if (args->json || args->once || is_of_history(args) ||
        (args->file != NULL && args->control != NULL))
        return usage();
    json_t *answer = find_running(args, path) ? control_do(path, "/reload") : NULL;
    bool done = json_is_true(json_object_get(answer, "reloaded"));
    if (done) {
        const json_t *tunnels = json_object_get(answer, "tunnels");
        print_names(tunnels, "added");
        print_names(tunnels, "changed");
        print_names(tunnels, "removed");
    } else {
        print_errors(json_object_get(answer, "errors"));
    }
    json_decref(answer);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int stats(const arguments *args)
{
    char path[CONFIG_CONTROL_SIZE];
    json_t *answer = NULL;

    if (args->once || is_of_history(args) || (args->file != NULL && args->control != NULL))
        return usage();
    if (find_running(args, path))
        answer = control_ask(path, "/stats.json");
    if (answer == NULL)
        return EXIT_FAILURE;
    if (args->json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        report_print(answer);
    }
    json_decref(answer);
    return EXIT_SUCCESS;
}

static int top(const arguments *args)
{
    char path[CONFIG_CONTROL_SIZE];

    if (args->json || is_of_history(args) || (args->file != NULL && args->control != NULL))
        return usage();
    return find_running(args, path) ? top_run(path, args->once) : EXIT_FAILURE;
}

static int history(const arguments *args)
{
    static const char all[] = "";
    const char *interval = args->interval == NULL ? "second" : args->interval;
    const char *direction = args->direction == NULL ? all : args->direction;
    char path[CONFIG_CONTROL_SIZE];
    char page[sizeof "/tunnels.json?limit=1600&interval=fiveMinutes&direction=ingress"];
    json_t *answer = NULL;

    if (args->json || args->once || !plot_knows(interval) ||
        (direction != all && strcmp(direction, "ingress") != 0 &&
         strcmp(direction, "egress") != 0) ||
        (args->file != NULL && args->control != NULL))
        return usage();
    snprintf(page, sizeof page, "/tunnels.json?limit=%d&interval=%s%s%s", PLOT_STEPS, interval,
             direction == all ? "" : "&direction=", direction);
    if (find_running(args, path))
        answer = control_ask(path, page);
    if (answer == NULL)
        return EXIT_FAILURE;
    plot_print(answer, interval);
    json_decref(answer);
    return EXIT_SUCCESS;
}

/* Options may stand before or behind the file. */
static bool parse(int argc, char *argv[], arguments *args)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, OPTION_JSON},
        {"once", no_argument, NULL, OPTION_ONCE},
        {"interval", required_argument, NULL, OPTION_INTERVAL},
        {"direction", required_argument, NULL, OPTION_DIRECTION},
        {"control", required_argument, NULL, OPTION_CONTROL},
        {NULL, 0, NULL, 0}};
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPTION_JSON)
            args->json = true;
        else if (option == OPTION_ONCE)
            args->once = true;
        else if (option == OPTION_INTERVAL)
            args->interval = optarg;
        else if (option == OPTION_DIRECTION)
            args->direction = optarg;
        else if (option == OPTION_CONTROL)
            args->control = optarg;
        else
            return false;
    }
    if (optind < argc)
        args->file = argv[optind++];
    return optind == argc;
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        int (*run)(const arguments *args);
    } commands[] = {{"run", run},     {"check", check}, {"reload", reload_running},
                    {"stats", stats}, {"top", top},     {"history", history}};
    arguments args = {.file = NULL};

    if (argc < 2)
        return usage();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage_text, stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tunnelcap-gateway %s\n", tunnelcap_version_text());
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return parse(argc - 1, argv + 1, &args) ? commands[i].run(&args) : usage();
    return usage();
}
