/* SPDX-License-Identifier: MIT */
/*
 * tests/bench/load.c - load generator for docs/protocol.md. Prints one line of JSON an event
 * (ready, window_start, window_end, result); tests/bench/run reads them.
 */
#include "tests/bench/load.h"

#include "lib/base/clock.h"

#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OPEN_MS_MAX = 180 * 1000, TURN_MAX_US = 20 * 1000, LINGER_US = 500 * 1000 };

static void usage(void)
{
    fputs("usage: load --plan FILE (--rate N | --window N) [--senders N] [--bytes N]\n"
          "  [--receipts none|delivered|read] [--receipts-ms N] [--settle S] [--warmup S]\n"
          "  [--seconds S] [--drain S] [--messages-max N] [--seed N] [--impatient]\n"
          "  [--independent] [--go]\n",
          stderr);
    exit(2);
}

static enum receipts receipts_parse(const char *word)
{
    static const char *const words[] = { "none", "delivered", "read" };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(word, words[i]) == 0)
            return (enum receipts)i;
    usage();
    return RECEIPTS_NONE;
}

static int64_t seconds_us(const char *word)
{
    return (int64_t)(strtod(word, NULL) * 1e6);
}

static void options_parse(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        { "plan", 1, NULL, 'p' },
        { "rate", 1, NULL, 'r' },
        { "window", 1, NULL, 'w' },
        { "senders", 1, NULL, 'n' },
        { "bytes", 1, NULL, 'b' },
        { "receipts", 1, NULL, 'c' },
        { "receipts-ms", 1, NULL, 'C' },
        { "settle", 1, NULL, 's' },
        { "warmup", 1, NULL, 'u' },
        { "seconds", 1, NULL, 'm' },
        { "drain", 1, NULL, 'd' },
        { "messages-max", 1, NULL, 'M' },
        { "seed", 1, NULL, 'S' },
        { "impatient", 0, NULL, 'i' },
        { "independent", 0, NULL, 'I' },
        { "go", 0, NULL, 'g' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'p':
            o->plan = optarg;
            break;
        case 'r':
            o->rate = strtod(optarg, NULL);
            break;
        case 'w':
            o->window = (int)strtol(optarg, NULL, 10);
            break;
        case 'n':
            o->senders = (int)strtol(optarg, NULL, 10);
            break;
        case 'b':
            o->content_bytes = (int)strtol(optarg, NULL, 10);
            break;
        case 'c':
            o->receipts = receipts_parse(optarg);
            break;
        case 'C':
            o->receipts_us = strtol(optarg, NULL, 10) * 1000;
            break;
        case 's':
            o->settle_us = seconds_us(optarg);
            break;
        case 'u':
            o->warmup_us = seconds_us(optarg);
            break;
        case 'm':
            o->measure_us = seconds_us(optarg);
            break;
        case 'd':
            o->drain_us = seconds_us(optarg);
            break;
        case 'M':
            o->messages_max = strtol(optarg, NULL, 10);
            break;
        case 'S':
            o->seed = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'i':
            o->impatient = true;
            break;
        case 'I':
            o->independent = true;
            break;
        case 'g':
            o->waits = true;
            break;
        default:
            usage();
        }
    }
}

static bool options_fit(const struct options *o)
{
    return o->plan && (o->rate > 0) != (o->window > 0) && o->content_bytes >= 24 &&
           o->content_bytes <= CONTENT_MAX && o->messages_max > 0;
}

static void files_allow_many(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void event(const char *name, double value)
{
    printf("{\"event\":\"%s\",\"value\":%.3f}\n", name, value);
    fflush(stdout);
}

/* Every user connected, authenticated and `ready`. */
static bool open_all(struct load *l)
{
    int64_t began_ms = clock_mono_ms();

    while (l->ready_n < l->w.users_n) {
        if (!sockets_open_some(l) || l->ready_n + l->waiting_n < l->opened_n ||
            clock_mono_ms() - began_ms > OPEN_MS_MAX) {
            fprintf(stderr, "load: only %d of %d sockets became ready\n", l->ready_n, l->w.users_n);
            return false;
        }
        sockets_turn(l, TURN_MAX_US);
        sockets_flush(l, clock_mono_us());
    }
    event("ready", (double)(clock_mono_ms() - began_ms) / 1e3);
    return true;
}

/* Turns of the loop until `end_us`. */
static void run_until(struct load *l, int64_t end_us)
{
    int64_t now_us = clock_mono_us();

    while (now_us < end_us) {
        int64_t wait_us = sending_turn(l, now_us);

        sockets_flush(l, now_us);
        if (wait_us > TURN_MAX_US)
            wait_us = TURN_MAX_US;
        if (wait_us > end_us - now_us)
            wait_us = end_us - now_us;
        sockets_turn(l, wait_us);
        now_us = clock_mono_us();
    }
    sockets_flush(l, now_us);
}

/* Until every message is over or nothing has come for the drain time; then a little for late
 * ticks. */
static void drain(struct load *l)
{
    int64_t began_us = clock_mono_us();

    l->sending = false;
    l->last_news_us = began_us;
    while (l->complete + l->refused < l->sent && clock_mono_us() - l->last_news_us < l->o.drain_us)
        run_until(l, clock_mono_us() + TURN_MAX_US);
    l->drain_us = clock_mono_us() - began_us;
    run_until(l, clock_mono_us() + LINGER_US);
}

/* Serve the sockets until somebody writes to us: several generators begin together. */
static void wait_for_go(struct load *l)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

    while (l->o.waits && poll(&in, 1, 0) == 0)
        run_until(l, clock_mono_us() + TURN_MAX_US);
}

int main(int argc, char **argv)
{
    static struct load l; /* large histograms */
    int64_t start_us;
    double window_s;

    l.o = (struct options){
        .content_bytes = 100,
        .receipts = RECEIPTS_DELIVERED,
        .warmup_us = 3000000,
        .measure_us = 10000000,
        .drain_us = 15000000,
        .messages_max = 2000000,
        .seed = 1,
    };
    options_parse(&l.o, argc, argv);
    if (!options_fit(&l.o))
        usage();
    files_allow_many();
    prctl(PR_SET_TIMERSLACK, 1UL); /* wake on time: lateness would be charged to the server */
    world_load(&l.w, l.o.plan, l.o.messages_max);
    sending_prepare(&l);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.epoll < 0 || !open_all(&l))
        return 1;
    wait_for_go(&l);
    run_until(&l, clock_mono_us() + l.o.settle_us);

    start_us = clock_mono_us();
    sending_start(&l, start_us);
    run_until(&l, start_us + l.o.warmup_us);
    event("window_start", 0);
    start_us = clock_mono_us();
    l.w.measuring = true;
    run_until(&l, start_us + l.o.measure_us);
    l.w.measuring = false;
    window_s = (double)(clock_mono_us() - start_us) / 1e6;
    event("window_end", window_s);
    drain(&l);
    report_print(&l, window_s, stdout);
    world_release(&l.w);
    return 0;
}
