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

static void options_parse(struct options *options, int argc, char **argv)
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
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'p':
            options->plan = optarg;
            break;
        case 'r':
            options->rate = strtod(optarg, NULL);
            break;
        case 'w':
            options->window = (int)strtol(optarg, NULL, 10);
            break;
        case 'n':
            options->senders = (int)strtol(optarg, NULL, 10);
            break;
        case 'b':
            options->content_bytes = (int)strtol(optarg, NULL, 10);
            break;
        case 'c':
            options->receipts = receipts_parse(optarg);
            break;
        case 'C':
            options->receipts_us = strtol(optarg, NULL, 10) * 1000;
            break;
        case 's':
            options->settle_us = seconds_us(optarg);
            break;
        case 'u':
            options->warmup_us = seconds_us(optarg);
            break;
        case 'm':
            options->measure_us = seconds_us(optarg);
            break;
        case 'd':
            options->drain_us = seconds_us(optarg);
            break;
        case 'M':
            options->messages_max = strtol(optarg, NULL, 10);
            break;
        case 'S':
            options->seed = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'i':
            options->impatient = true;
            break;
        case 'I':
            options->independent = true;
            break;
        case 'g':
            options->waits = true;
            break;
        default:
            usage();
        }
    }
}

static bool options_fit(const struct options *options)
{
    return options->plan && (options->rate > 0) != (options->window > 0) &&
           options->content_bytes >= 24 && options->content_bytes <= CONTENT_MAX &&
           options->messages_max > 0;
}

static void files_allow_many(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void event(const char *name, double value)
{
    printf("{\"event\":\"%s\",\"value\":%.3f}\n", name, value);
    fflush(stdout);
}

/* Every user connected, authenticated and `ready`. */
static bool open_all(struct load *load)
{
    int64_t began_ms = clock_mono_ms();

    while (load->ready_n < load->w.users_n) {
        if (!sockets_open_some(load) || load->ready_n + load->waiting_n < load->opened_n ||
            clock_mono_ms() - began_ms > OPEN_MS_MAX) {
            fprintf(stderr, "load: only %d of %d sockets became ready\n", load->ready_n,
                    load->w.users_n);
            return false;
        }
        sockets_turn(load, TURN_MAX_US);
        sockets_flush(load, clock_mono_us());
    }
    event("ready", (double)(clock_mono_ms() - began_ms) / 1e3);
    return true;
}

/* Turns of the loop until `end_us`. */
static void run_until(struct load *load, int64_t end_us)
{
    int64_t now_us = clock_mono_us();

    while (now_us < end_us) {
        int64_t wait_us = sending_turn(load, now_us);

        sockets_flush(load, now_us);
        if (wait_us > TURN_MAX_US)
            wait_us = TURN_MAX_US;
        if (wait_us > end_us - now_us)
            wait_us = end_us - now_us;
        sockets_turn(load, wait_us);
        now_us = clock_mono_us();
    }
    sockets_flush(load, now_us);
}

/* Until every message is over or nothing has come for the drain time; then a little for late
 * ticks. */
static void drain(struct load *load)
{
    int64_t began_us = clock_mono_us();

    load->sending = false;
    load->last_news_us = began_us;
    while (load->complete + load->refused < load->sent &&
           clock_mono_us() - load->last_news_us < load->o.drain_us)
        run_until(load, clock_mono_us() + TURN_MAX_US);
    load->drain_us = clock_mono_us() - began_us;
    run_until(load, clock_mono_us() + LINGER_US);
}

/* Serve the sockets until somebody writes to us: several generators begin together. */
static void wait_for_go(struct load *load)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

    while (load->o.waits && poll(&in, 1, 0) == 0)
        run_until(load, clock_mono_us() + TURN_MAX_US);
}

int main(int argc, char **argv)
{
    static struct load load; /* large histograms */
    int64_t start_us;
    double window_s;

    load.o = (struct options){
        .content_bytes = 100,
        .receipts = RECEIPTS_DELIVERED,
        .warmup_us = 3000000,
        .measure_us = 10000000,
        .drain_us = 15000000,
        .messages_max = 2000000,
        .seed = 1,
    };
    options_parse(&load.o, argc, argv);
    if (!options_fit(&load.o))
        usage();
    files_allow_many();
    prctl(PR_SET_TIMERSLACK, 1UL); /* wake on time: lateness would be charged to the server */
    world_load(&load.w, load.o.plan, load.o.messages_max);
    sending_prepare(&load);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0 || !open_all(&load))
        return 1;
    wait_for_go(&load);
    run_until(&load, clock_mono_us() + load.o.settle_us);

    start_us = clock_mono_us();
    sending_start(&load, start_us);
    run_until(&load, start_us + load.o.warmup_us);
    event("window_start", 0);
    start_us = clock_mono_us();
    load.w.measuring = true;
    run_until(&load, start_us + load.o.measure_us);
    load.w.measuring = false;
    window_s = (double)(clock_mono_us() - start_us) / 1e6;
    event("window_end", window_s);
    drain(&load);
    report_print(&load, window_s, stdout);
    world_release(&load.w);
    return 0;
}
