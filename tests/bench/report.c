/* SPDX-License-Identifier: MIT */
#include "tests/bench/load.h"

#include <inttypes.h>
#include <sys/resource.h>

enum { UNACKED_LISTED = 1000 };

static double cpu_s(void)
{
    struct rusage rusage;

    getrusage(RUSAGE_SELF, &rusage);
    return (double)(rusage.ru_utime.tv_sec + rusage.ru_stime.tv_sec) +
           (double)(rusage.ru_utime.tv_usec + rusage.ru_stime.tv_usec) / 1e6;
}

static void number(FILE *out, const char *name, int64_t v)
{
    fprintf(out, "\"%s\":%" PRId64 ",", name, v);
}

static void checks_print(const struct load *load, FILE *out)
{
    const struct counts *counts = &load->w.all;
    int64_t lost, lost_gone;

    world_lost(&load->w, &lost, &lost_gone);
    number(out, "lost", lost);
    number(out, "lost_on_closed_sockets", lost_gone);
    number(out, "doubled", counts->doubled);
    number(out, "repeats", counts->repeats);
    number(out, "out_of_order", counts->out_of_order);
    number(out, "overtaken", counts->overtaken);
    number(out, "misdelivered", counts->misdelivered);
    number(out, "damaged", counts->damaged);
    number(out, "foreign", counts->foreign);
    number(out, "rejected", counts->rejected);
    number(out, "errors", load->errors);
    number(out, "table_full", load->table_full);
}

static void closed_print(const struct load *load, FILE *out)
{
    const char *comma = "";

    fprintf(out, "\"closed\":{");
    for (size_t i = 0; i < ARRAY_LEN(load->closed); i++) {
        if (load->closed[i]) {
            fprintf(out, "%s\"%zu\":%d", comma, i, load->closed[i]);
            comma = ",";
        }
    }
    fprintf(out, "},");
}

static void unacked_print(const struct load *load, FILE *out)
{
    int64_t listed = 0;

    fprintf(out, "\"unacked\":[");
    for (int64_t i = 0; i < load->w.messages_n && listed < UNACKED_LISTED; i++)
        if (!load->w.messages[i].acked)
            fprintf(out, "%s%" PRId64, listed++ ? "," : "", i);
    fprintf(out, "],");
}

void report_print(const struct load *load, double window_s, FILE *out)
{
    const struct counts *counts = &load->w.all, *in = &load->w.window;

    fprintf(out, "{\"event\":\"result\",\"run\":\"%s\",", load->w.run);
    number(out, "sockets", load->ready_n);
    number(out, "sent", load->sent);
    number(out, "acked", counts->acked);
    number(out, "deliveries", counts->deliveries);
    number(out, "echoes", counts->echoes);
    number(out, "statuses", counts->statuses);
    number(out, "nacked", load->nacked);
    number(out, "resent", load->resent);
    number(out, "refused", load->refused);
    number(out, "skipped", load->skipped);
    number(out, "drain_us", load->drain_us);
    checks_print(load, out);
    closed_print(load, out);
    unacked_print(load, out);
    fprintf(out, "\"window\":{\"seconds\":%.3f,", window_s);
    number(out, "acked", in->acked);
    number(out, "echoes", in->echoes);
    number(out, "statuses", in->statuses);
    fprintf(out, "\"deliveries\":%" PRId64 "},", in->deliveries);
    hist_print_json(&load->w.ack, "ack_us", out);
    fputc(',', out);
    hist_print_json(&load->w.delivery, "delivery_us", out);
    fputc(',', out);
    hist_print_json(&load->w.tick, "tick_us", out);
    fputc(',', out);
    hist_print_json(&load->send_lag, "send_lag_us", out);
    fprintf(out, ",\"generator_cpu_s\":%.3f}\n", cpu_s());
    fflush(out);
}
