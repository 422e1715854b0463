/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "top.h"

#include "control.h"
#include "log.h"
#include "top_screen.h"

#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_MS = 1000, NOTE_SIZE = 200, ESCAPE_DELAY_MS = 25 };

static const char records_page[] = "/tunnels.json?interval=second&limit=60";
static const char help[] =
    "q quit, space pause, arrows; sort: n)ame s)tate i)n o)ut p)kts d)rops m)tu r)tt";

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

/* -------------------------------------------------------------------------------- once, as text */

/* Where text has got to. */
typedef struct page {
    chart_style style;
    unsigned line;
    unsigned column;
} page;

static void put_text(void *arg, unsigned line, unsigned column, top_look look, const char *text)
{
    page *p = arg;

    for (; p->line < line; p->line++, p->column = 0)
        putchar('\n');
    for (; p->column < column; p->column++)
        putchar(' ');
    if (look.colour != CHART_PLAIN)
        fputs(chart_colour(&p->style, look.colour), stdout);
    fputs(text, stdout);
    if (look.colour != CHART_PLAIN)
        fputs(chart_colour(&p->style, CHART_PLAIN), stdout);
    for (; *text != '\0'; text++)
        p->column += ((unsigned char)*text & 0xc0) != 0x80;
}

/* Ask for the statistics; false after a line that says what is wrong. */
static bool look(top_model *m, const char *control_path)
{
    json_t *stats = control_ask(control_path, "/stats.json");

    if (stats != NULL)
        top_model_look(m, stats);
    return m->stats != NULL && stats != NULL;
}

/* Rates take two looks. */
static int show_once(top_model *m, const char *control_path)
{
    const struct timespec period = {.tv_sec = PERIOD_MS / 1000};
    page p = {.style = chart_style_of(stdout)};
    top_screen s = {.width = p.style.width, .ascii = p.style.ascii, .put = put_text, .arg = &p};

    nanosleep(&period, NULL);
    if (!look(m, control_path))
        return EXIT_FAILURE;
    top_screen_draw(&s, m);
    putchar('\n');
    return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------------------- on a terminal */

static void put_screen(void *arg, unsigned line, unsigned column, top_look look, const char *text)
{
    static const attr_t attributes[] = {[CHART_FAINT] = A_DIM, [CHART_STRONG] = A_BOLD};
    attr_t attribute = look.colour <= CHART_STRONG ? attributes[look.colour] : A_NORMAL;
    short pair = look.colour > CHART_STRONG && has_colors() ? (short)look.colour : 0;

    (void)arg;
    attr_set(attribute | (look.reverse ? A_REVERSE : A_NORMAL), pair, NULL);
    mvaddstr((int)line, (int)column, text);
    attr_set(A_NORMAL, 0, NULL);
}

static void begin_colours(void)
{
    static const struct {
        enum chart_colour colour;
        short ink;
    } inks[] = {{CHART_BLUE, COLOR_BLUE},
                {CHART_GREEN, COLOR_GREEN},
                {CHART_AMBER, COLOR_YELLOW},
                {CHART_RED, COLOR_RED}};

    if (!has_colors() || start_color() == ERR)
        return;
    short paper = use_default_colors() == OK ? -1 : COLOR_BLACK;
    for (size_t i = 0; i < sizeof inks / sizeof inks[0]; i++)
        init_pair((short)inks[i].colour, inks[i].ink, paper);
}

static void draw(top_screen *s, const top_model *m, const char *note)
{
    s->width = COLS < CHART_WIDEST ? (unsigned)COLS : CHART_WIDEST;
    s->height = (unsigned)LINES;
    s->note = note;
    erase();
    if (s->width < TOP_NARROWEST || s->height < TOP_LOWEST)
        mvaddnstr(0, 0, "too small", COLS);
    else
        top_screen_draw(s, m);
    refresh();
}

/* The same key once more turns the order round. What is then first is selected. */
static bool order_by(top_screen *s, top_model *m, int key)
{
    static const struct {
        int key;
        enum top_order order;
    } orders[] = {{'n', TOP_BY_NAME},    {'s', TOP_BY_STATE}, {'i', TOP_BY_IN},  {'o', TOP_BY_OUT},
                  {'p', TOP_BY_PACKETS}, {'d', TOP_BY_DROPS}, {'m', TOP_BY_MTU}, {'r', TOP_BY_RTT}};

    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (orders[i].key != key)
            continue;
        m->reversed = m->order == orders[i].order && !m->reversed;
        m->order = orders[i].order;
        top_model_sort(m);
        s->selected = 0;
        return true;
    }
    return false;
}

static void move_to(top_screen *s, const top_model *m, int key)
{
    size_t page_rows = s->height > TOP_LOWEST ? s->height - TOP_LOWEST : 1;
    size_t last = m->count == 0 ? 0 : m->count - 1;

    if (key == KEY_UP || key == 'k')
        s->selected -= s->selected > 0;
    else if (key == KEY_DOWN || key == 'j')
        s->selected += s->selected < last;
    else if (key == KEY_PPAGE)
        s->selected -= page_rows < s->selected ? page_rows : s->selected;
    else if (key == KEY_NPAGE)
        s->selected += page_rows < last - s->selected ? page_rows : last - s->selected;
    else if (key == KEY_HOME)
        s->selected = 0;
    else if (key == KEY_END)
        s->selected = last;
}

/* Draw, and wait for keys until it is time to look again. */
static void attend(top_screen *s, top_model *m, const char *note, bool *paused, int64_t until_ms)
{
    while (!ended) {
        int64_t left = until_ms - log_now_ms();
        draw(s, m, *paused ? "paused: space goes on" : note);
        if (left <= 0 && !*paused)
            return;
        timeout(*paused ? -1 : (int)left);
        int key = getch();
        if (key == 'q' || key == 'Q')
            ended = 1;
        else if (key == ' ')
            *paused = !*paused;
        else if (key != ERR && !order_by(s, m, key))
            move_to(s, m, key);
    }
}

/* Take statistics over; the tunnel that is selected stays so, wherever it goes. */
static void renew(top_screen *s, top_model *m, json_t *stats)
{
    char *name = s->selected < m->count ? strdup(m->rows[s->selected]->name) : NULL;

    top_model_look(m, stats);
    for (size_t i = 0; name != NULL && i < m->count; i++)
        if (strcmp(m->rows[i]->name, name) == 0)
            s->selected = i;
    free(name);
}

/* Look once a second. A gateway that does not answer may be back soon. */
static void follow(top_model *m, const char *control_path)
{
    char note[NOTE_SIZE];
    chart_style style = chart_style_of(stdout);
    top_screen s = {.ascii = style.ascii, .put = put_screen};
    bool paused = false;
    int64_t next_ms = log_now_ms() + PERIOD_MS;

    snprintf(note, sizeof note, "%s", help);
    while (!ended) {
        attend(&s, m, note, &paused, next_ms);
        next_ms = log_now_ms() + PERIOD_MS;
        json_t *stats = ended ? NULL : control_try(control_path, "/stats.json", note, sizeof note);
        if (stats == NULL)
            continue;
        renew(&s, m, stats);
        snprintf(note, sizeof note, "%s", help);
    }
}

/* Whether there is a terminal where text can be put anywhere. */
static bool can_draw(void)
{
    int found = 0;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return false;
    if (setupterm(NULL, STDOUT_FILENO, &found) != OK) {
        const char *term = getenv("TERM");
        log_line("TERM=%s: no such terminal is known", term == NULL ? "" : term);
        return false;
    }
    const char *move = tigetstr("cup");
    bool can = move != NULL && move != (const char *)-1;
    del_curterm(cur_term);
    return can;
}

static int show(top_model *m, const char *control_path)
{
    const struct sigaction ending = {.sa_handler = on_signal};
    SCREEN *screen = newterm(NULL, stdout, stdin);

    if (screen == NULL)
        return show_once(m, control_path);
    sigaction(SIGINT, &ending, NULL);
    sigaction(SIGTERM, &ending, NULL);
    sigaction(SIGHUP, &ending, NULL);
    begin_colours();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    set_escdelay(ESCAPE_DELAY_MS);
    curs_set(0);
    follow(m, control_path);
    endwin();
    delscreen(screen);
    return EXIT_SUCCESS;
}

int top_run(const char *control_path, bool once)
{
    top_model m = {.stats = NULL};
    char why[NOTE_SIZE];
    int status = EXIT_FAILURE;

    setlocale(LC_ALL, "");
    if (look(&m, control_path)) {
        json_t *records = control_try(control_path, records_page, why, sizeof why);
        top_model_recall(&m, records);
        json_decref(records);
        status = once || !can_draw() ? show_once(&m, control_path) : show(&m, control_path);
    }
    top_model_free(&m);
    return status;
}
