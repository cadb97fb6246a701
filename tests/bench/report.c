/* SPDX-License-Identifier: MIT */
#include "tests/bench/load.h"

#include <inttypes.h>
#include <sys/resource.h>

enum { UNACKED_LISTED = 1000 };

static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void number(FILE *out, const char *name, int64_t v)
{
    fprintf(out, "\"%s\":%" PRId64 ",", name, v);
}

static void checks_print(const struct load *l, FILE *out)
{
    const struct counts *c = &l->w.all;
    int64_t lost, lost_gone;

    world_lost(&l->w, &lost, &lost_gone);
    number(out, "lost", lost);
    number(out, "lost_on_closed_sockets", lost_gone);
    number(out, "doubled", c->doubled);
    number(out, "repeats", c->repeats);
    number(out, "out_of_order", c->out_of_order);
    number(out, "overtaken", c->overtaken);
    number(out, "misdelivered", c->misdelivered);
    number(out, "damaged", c->damaged);
    number(out, "foreign", c->foreign);
    number(out, "rejected", c->rejected);
    number(out, "errors", l->errors);
    number(out, "table_full", l->table_full);
}

static void closed_print(const struct load *l, FILE *out)
{
    const char *comma = "";

    fprintf(out, "\"closed\":{");
    for (size_t i = 0; i < ARRAY_LEN(l->closed); i++) {
        if (l->closed[i]) {
            fprintf(out, "%s\"%zu\":%d", comma, i, l->closed[i]);
            comma = ",";
        }
    }
    fprintf(out, "},");
}

static void unacked_print(const struct load *l, FILE *out)
{
    int64_t listed = 0;

    fprintf(out, "\"unacked\":[");
    for (int64_t i = 0; i < l->w.messages_n && listed < UNACKED_LISTED; i++)
        if (!l->w.messages[i].acked)
            fprintf(out, "%s%" PRId64, listed++ ? "," : "", i);
    fprintf(out, "],");
}

void report_print(const struct load *l, double window_s, FILE *out)
{
    const struct counts *c = &l->w.all, *in = &l->w.window;

    fprintf(out, "{\"event\":\"result\",\"run\":\"%s\",", l->w.run);
    number(out, "sockets", l->ready_n);
    number(out, "sent", l->sent);
    number(out, "acked", c->acked);
    number(out, "deliveries", c->deliveries);
    number(out, "echoes", c->echoes);
    number(out, "statuses", c->statuses);
    number(out, "nacked", l->nacked);
    number(out, "resent", l->resent);
    number(out, "refused", l->refused);
    number(out, "skipped", l->skipped);
    number(out, "drain_us", l->drain_us);
    checks_print(l, out);
    closed_print(l, out);
    unacked_print(l, out);
    fprintf(out, "\"window\":{\"seconds\":%.3f,", window_s);
    number(out, "acked", in->acked);
    number(out, "echoes", in->echoes);
    number(out, "statuses", in->statuses);
    fprintf(out, "\"deliveries\":%" PRId64 "},", in->deliveries);
    hist_print_json(&l->w.ack, "ack_us", out);
    fputc(',', out);
    hist_print_json(&l->w.delivery, "delivery_us", out);
    fputc(',', out);
    hist_print_json(&l->w.tick, "tick_us", out);
    fputc(',', out);
    hist_print_json(&l->send_lag, "send_lag_us", out);
    fprintf(out, ",\"generator_cpu_s\":%.3f}\n", cpu_s());
    fflush(out);
}
