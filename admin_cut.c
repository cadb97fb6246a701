/* SPDX-License-Identifier: MIT */
#include "admin_cut.h"

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/partitions.h"
#include "lib/base/settings.h"
#include "lib/bus/bus.h"
#include "lib/bus/frontier.h"
#include "lib/bus/suspect.h"
#include "lib/pg/pg.h"
#include "schemas/codec.h"
#include "schemas/records.gen.h"
#include "schemas/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_BYTES = 8 * 1024 * 1024,
    PARAMS_BYTES = 64 * 1024,
    EARLIER_MS = 60 * 1000,      /* clocks of brokers and roles may differ by so much */
    MEMBERS_WAIT_MS = 20 * 1000, /* until the group has noticed that a killed process is gone */
    SERVE_MS = 100,
    WHY_MAX = 256,
    SHOWN_EVERY = 1000 * 1000,
    EXIT_CUT = 3,
};

/* Fillers in one partition. A million of them take some seconds. More than this means not a lost
 * tail, but a topic that was created anew. */
static const int64_t GAP_MAX = 100 * 1000 * 1000;

/* A topic as it is, and how far commits, sources and floors say that it reached. */
struct told {
    int32_t n;
    int64_t end[PARTITIONS_MAX];
    int64_t target[PARTITIONS_MAX];  /* one past the highest offset that anything names */
    int64_t last_ms[PARTITIONS_MAX]; /* time of its last record; 0: none */
    int64_t commit[PARTITIONS_MAX];  /* of its first group; -1: none */
    char *text[PARTITIONS_MAX];      /* owned; beside that commit, NULL for none */
};

struct plan {
    struct reader *reader;  /* owned */
    struct cq_arena *arena; /* owned; of a record */
    struct told told[TOPIC_N];
    enum topic now; /* whose records are scanned */
    int64_t fillers;
    char why[WHY_MAX];
};

static enum cq_status fail(struct plan *p, const char *what, const char *topic)
{
    snprintf(p->why, sizeof p->why, "%s %s cannot be read: is the broker there?", what, topic);
    return CQ_AGAIN;
}

static void speak(struct plan *p, enum topic t, int32_t partition, int64_t next)
{
    struct told *told = &p->told[t];

    if (partition >= 0 && partition < told->n && next > told->target[partition])
        told->target[partition] = next;
}

/* A source that a record claims. */
static void claim(struct plan *p, enum topic t, int32_t partition, int64_t offset)
{
    const struct told *told = &p->told[t];

    if (partition >= 0 && partition < told->n && offset < told->end[partition] + BUS_TAIL_MAX)
        speak(p, t, partition, offset + 1);
}

/* Positions are named by the topic's name. */
static bool topic_named(struct cq_span name, enum topic *ret)
{
    for (int t = 0; t < TOPIC_N; t++)
        if (span_eq_str(name, topic_name((enum topic)t))) {
            *ret = (enum topic)t;
            return true;
        }
    return false;
}

/* ---- who speaks of what ----------------------------------------------------------------- */

struct commits {
    struct plan *plan;
    enum topic topic;
    bool keep; /* as those of its first group */
};

static void on_commit(void *arg, int32_t partition, int64_t next, const char *meta)
{
    struct commits *c = arg;
    struct told *told = &c->plan->told[c->topic];

    speak(c->plan, c->topic, partition, next);
    if (!c->keep)
        return;
    told->commit[partition] = next;
    free(told->text[partition]);
    told->text[partition] = strdup(meta);
}

static enum cq_status ask_commits(struct plan *p, enum topic t)
{
    const struct topic_spec *spec = topic_spec(t);
    const char *const *groups = topic_groups(t);
    struct commits c = { p, t, false };
    enum cq_status st =
        reader_commits(p->reader, BUS_FLOOR_GROUP, spec->name, p->told[t].n, on_commit, &c);

    for (int g = 0; st == CQ_OK && g < TOPIC_GROUPS_MAX && groups[g]; g++) {
        c.keep = g == 0;
        st = reader_commits(p->reader, groups[g], spec->name, p->told[t].n, on_commit, &c);
    }
    return st == CQ_OK ? st : fail(p, "commits in", spec->name);
}

/* The text beside a commit in user.inbox says how far chat.actions has been delivered. */
static void ask_frontiers(struct plan *p)
{
    static struct frontier held, events;
    const struct told *inbox = &p->told[TOPIC_USER_INBOX];

    for (int32_t i = 0; i < inbox->n; i++) {
        struct suspect front;
        const char *text = inbox->text[i] ? suspect_parse(inbox->text[i], &front) : "";

        if (!*text || !frontier_unpack(span_str(text), TOPIC_GENERATION,
                                       p->told[TOPIC_CHAT_ACTIONS].n, &held, &events))
            continue;
        for (int32_t k = 0; k < held.n; k++)
            speak(p, TOPIC_CHAT_ACTIONS, k, held.next[k]);
    }
}

/* The source of a record of topic `t`; false: it has none. */
static bool source_of(struct plan *p, enum topic t, struct cq_span value, struct source *ret)
{
    union {
        struct chat_event event;
        struct chat_members members;
        struct rejection rejection;
        struct delivery_status status;
        struct user_event user_event;
        struct presence presence;
        struct push_target target;
        struct push_outcome outcome;
    } u;

    arena_reset(p->arena);
#define DECODED(codec) (codec_decode(&codec, value, p->arena, &u, NULL) == CQ_OK)
    switch (t) {
    case TOPIC_CHAT_EVENTS:
        return DECODED(chat_event_codec) && (*ret = u.event.source, true);
    case TOPIC_MEMBERS:
        return DECODED(chat_members_codec) && (*ret = u.members.source, true);
    case TOPIC_REJECTIONS:
        return DECODED(rejection_codec) && (*ret = u.rejection.source, true);
    case TOPIC_DELIVERY_STATUS:
        return DECODED(delivery_status_codec) && (*ret = u.status.source, true);
    case TOPIC_USER_EVENTS:
        return DECODED(user_event_codec) && (*ret = u.user_event.source, true);
    case TOPIC_PUSH_TARGETS:
        return DECODED(push_target_codec) && (*ret = u.target.source, true);
    case TOPIC_PUSH_OUTCOMES:
        return DECODED(push_outcome_codec) && (*ret = u.outcome.source, true);
    case TOPIC_CHAT_ACTIONS:
    case TOPIC_USER_INBOX:
    case TOPIC_PRESENCE:
    case TOPIC_PUSH_CLAIMS:
    case TOPIC_PUSH_MUTES:
    case TOPIC_WS_PUSH:
    case TOPIC_MOBILE_PUSH:
    case TOPIC_N:
        return false;
    }
#undef DECODED
    return false;
}

static enum topic sources_of(enum topic t)
{
    return t == TOPIC_PUSH_OUTCOMES ? TOPIC_MOBILE_PUSH : topic_spec(t)->made_from;
}

static enum cq_status on_last(void *arg, const struct bus_record *rec)
{
    struct plan *p = arg;
    struct source s;

    p->told[p->now].last_ms[rec->partition] = rec->at_ms;
    if (rec->value.p && source_of(p, p->now, rec->value, &s) && s.generation == TOPIC_GENERATION)
        claim(p, sources_of(p->now), s.partition, s.offset);
    return CQ_OK;
}

static enum cq_status on_inbox(void *arg, const struct bus_record *rec)
{
    struct plan *p = arg;
    struct user_inbox record;
    const struct delivery_batch *batch = &record.body.u.delivery_batch;

    arena_reset(p->arena);
    if (!rec->value.p ||
        codec_decode(&user_inbox_codec, rec->value, p->arena, &record, NULL) != CQ_OK ||
        record.body.kind != USER_INBOX_DELIVERY_BATCH)
        return CQ_OK;
    for (size_t i = 0; i < batch->items_n; i++)
        claim(p,
              batch->origin == DELIVERY_ORIGIN_CHAT_ACTIONS ? TOPIC_CHAT_ACTIONS
                                                            : TOPIC_DELIVERY_STATUS,
              batch->items[i].partition, batch->items[i].offset);
    return CQ_OK;
}

/* What `user` has not read yet. */
static enum cq_status ask_inbox(struct plan *p)
{
    const struct told *inbox = &p->told[TOPIC_USER_INBOX];
    const char *name = topic_name(TOPIC_USER_INBOX);

    for (int32_t i = 0; i < inbox->n; i++) {
        int64_t first, next, from;
        enum cq_status st = reader_watermarks(p->reader, name, i, &first, &next);

        from = inbox->commit[i] > first ? inbox->commit[i] : first;
        if (st == CQ_OK && from < next)
            st = reader_scan(p->reader, name, i, from, next, on_inbox, p);
        if (st != CQ_OK)
            return fail(p, "records of", name);
    }
    return CQ_OK;
}

static enum cq_status ask_view(struct plan *p)
{
    static const char sql_there[] = "SELECT to_regclass('view.positions') IS NOT NULL";
    static const char sql[] = "SELECT topic, partition, next, source_next FROM view.positions";
    cq_auto(pg) struct pg *c = pg_new(setting_text(SET_DATABASE_URL), "chasqui-admin");
    cq_auto(pgresult) struct pg_result *there = NULL;
    cq_auto(pgresult) struct pg_result *res = NULL;
    enum cq_status st = pg_ready(c, NULL);

    if (st == CQ_OK)
        st = pg_run(c, sql_there, NULL, &there);
    if (st == CQ_OK && pg_bool(there, 0, 0))
        st = pg_run(c, sql, NULL, &res);
    if (st != CQ_OK)
        snprintf(p->why, sizeof p->why, "the view's positions cannot be read: %s", pg_error(c));
    for (int i = 0; st == CQ_OK && res && i < pg_rows(res); i++) {
        enum topic t;
        int32_t partition = (int32_t)pg_i64(res, i, 1);

        if (!topic_named(pg_bytes(res, i, 0), &t))
            continue;
        speak(p, t, partition, pg_i64(res, i, 2));
        if (sources_of(t) != TOPIC_N)
            speak(p, sources_of(t), partition, pg_i64(res, i, 3));
    }
    return st;
}

static enum cq_status ask_all(struct plan *p)
{
    enum cq_status st = CQ_OK;

    for (int t = 0; st == CQ_OK && t < TOPIC_N; t++) {
        struct told *told = &p->told[t];
        const char *name = topic_name((enum topic)t);

        told->n = (int32_t)setting_int(
            topic_spec((enum topic)t)->width == TOPIC_BY_SLOTS ? SET_SLOTS : SET_PARTITIONS);
        for (int32_t i = 0; i < told->n; i++)
            told->commit[i] = -1;
        if (reader_ends(p->reader, name, told->n, told->end) != CQ_OK)
            st = fail(p, "ends of", name);
    }
    for (int t = 0; st == CQ_OK && t < TOPIC_N; t++) {
        p->now = (enum topic)t;
        st = ask_commits(p, p->now);
        if (st == CQ_OK && reader_lasts(p->reader, topic_name(p->now), p->told[t].n, p->told[t].end,
                                        on_last, p) != CQ_OK)
            st = fail(p, "the last records of", topic_name(p->now));
    }
    if (st == CQ_OK)
        ask_frontiers(p);
    if (st == CQ_OK)
        st = ask_inbox(p);
    return st == CQ_OK ? ask_view(p) : st;
}

/* ---- what is to be done ----------------------------------------------------------------- */

static bool is_cut(const struct told *told, int32_t partition)
{
    return told->end[partition] < told->target[partition];
}

static enum cq_status show_cuts(struct plan *p)
{
    for (int t = 0; t < TOPIC_N; t++) {
        const struct told *told = &p->told[t];
        const char *name = topic_name((enum topic)t);

        for (int32_t i = 0; i < told->n; i++) {
            int64_t gap = told->target[i] - told->end[i];

            if (gap <= 0)
                continue;
            if (gap > GAP_MAX) {
                snprintf(
                    p->why, sizeof p->why,
                    "%s partition %d ends at %lld, but offsets up to %lld are named elsewhere: too "
                    "many for a lost tail, this is another log. Rebuild the view, or restore the "
                    "topic",
                    name, i, (long long)told->end[i], (long long)told->target[i]);
                return CQ_FATAL;
            }
            printf("%s partition %d ends at %lld, but offsets up to %lld are named elsewhere: %lld "
                   "to fill\n",
                   name, i, (long long)told->end[i], (long long)told->target[i], (long long)gap);
            p->fillers += gap;
            if (reader_raise_floor(p->reader, name, i, told->target[i]) != CQ_OK)
                return fail(p, "the floor of", name);
        }
    }
    return CQ_OK;
}

/* Where the records that partition `partition` of `t` was last made from begin, in partition `k` of
 * its input; no later than the group is now. */
static enum cq_status find_back(struct plan *p, enum topic t, int32_t partition, int32_t k,
                                int64_t *ret)
{
    const char *input = topic_name(topic_spec(t)->made_from);
    int64_t last_ms = p->told[t].last_ms[partition], first, next;

    if (reader_watermarks(p->reader, input, k, &first, &next) != CQ_OK)
        return fail(p, "ends of", input);
    *ret = first;
    if (last_ms > EARLIER_MS &&
        reader_offset_for_time(p->reader, input, k, last_ms - EARLIER_MS, ret) != CQ_OK)
        return fail(p, "times of", input);
    return CQ_OK;
}

/* The lowest place to which the cut outputs made from partition `k` of `input` send its group.
 * `*ret_again`: chat.events is one of them. -1: none does. */
static enum cq_status lowest_back(struct plan *p, enum topic input, int32_t k, int64_t *ret,
                                  bool *ret_again)
{
    *ret = -1;
    *ret_again = false;
    for (int t = 0; t < TOPIC_N; t++) {
        const struct told *told = &p->told[t];

        if (topic_spec((enum topic)t)->made_from != input)
            continue;
        for (int32_t i = 0; i < told->n; i++) {
            int64_t at;

            /* What is delivered to users comes from every partition, all else from its own. */
            if (!is_cut(told, i) || (t != TOPIC_USER_INBOX && i != k))
                continue;
            if (find_back(p, (enum topic)t, i, k, &at) != CQ_OK)
                return CQ_AGAIN;
            if (*ret < 0 || at < *ret)
                *ret = at;
            *ret_again |= t == TOPIC_CHAT_EVENTS;
        }
    }
    return CQ_OK;
}

static enum cq_status move_back(struct plan *p, enum topic input, int32_t k, bool doing)
{
    const struct told *told = &p->told[input];
    const char *group = topic_groups(input)[0], *name = topic_name(input);
    char again[32];
    int64_t to;
    bool is_again;
    enum cq_status st = lowest_back(p, input, k, &to, &is_again);

    if (st != CQ_OK || to < 0 || told->commit[k] < 0)
        return st;
    if (to > told->commit[k])
        to = told->commit[k];
    printf("group %s in %s partition %d: from %lld back to %lld, to make again what was lost\n",
           group, name, k, (long long)told->commit[k], (long long)to);
    if (!doing)
        return CQ_OK;
    snprintf(again, sizeof again, "a%lld", (long long)told->target[k]);
    return reader_move_group(p->reader, group, name, k, to, is_again ? again : told->text[k],
                             p->why, sizeof p->why);
}

static enum cq_status move_all_back(struct plan *p, bool doing)
{
    static const enum topic inputs[] = { TOPIC_CHAT_ACTIONS, TOPIC_USER_INBOX };
    enum cq_status st = CQ_OK;

    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        for (int32_t k = 0; st == CQ_OK && k < p->told[inputs[i]].n; k++)
            st = move_back(p, inputs[i], k, doing);
    return st;
}

/* ---- doing it --------------------------------------------------------------------------- */

static enum cq_status await_no_members(struct plan *p, const char *group)
{
    int64_t until_ms = clock_mono_ms() + MEMBERS_WAIT_MS;
    int members = 0;

    do {
        if (reader_group_members(p->reader, group, &members) != CQ_OK)
            return fail(p, "members of group", group);
        if (members)
            clock_sleep_ms(500);
    } while (members && clock_mono_ms() < until_ms);
    if (!members)
        return CQ_OK;
    snprintf(p->why, sizeof p->why,
             "group %s has %d members: stop every role first (Kafka and PostgreSQL stay up)", group,
             members);
    return CQ_FATAL;
}

static enum cq_status await_nobody(struct plan *p)
{
    enum cq_status st = CQ_OK;

    for (int t = 0; t < TOPIC_N; t++) {
        const char *const *groups = topic_groups((enum topic)t);

        for (int g = 0; st == CQ_OK && g < TOPIC_GROUPS_MAX && groups[g]; g++)
            st = await_no_members(p, groups[g]);
    }
    return st;
}

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    (void)opaque;
    (void)partition;
    (void)offset;
    if (st != CQ_OK)
        *(bool *)arg = true;
}

/* Fillers carry the time of the record before them, so that searches by time find the same records
 * as before. (Not where the broker sets the times.) */
static enum cq_status fill(struct producer *producer, enum topic t, int32_t partition, int64_t n,
                           int64_t at_ms)
{
    const struct bus_send filler = { .topic = topic_name(t),
                                     .partition = partition,
                                     .key = span_str(BUS_FILLER_KEY),
                                     .at_ms = at_ms };
    enum cq_status st = CQ_OK;

    for (int64_t i = 0; st == CQ_OK && i < n; i++) {
        while ((st = producer_send(producer, &filler)) == CQ_AGAIN)
            producer_flush(producer, SERVE_MS);
        if ((i + 1) % SHOWN_EVERY == 0)
            printf("  %s partition %d: %lld of %lld\n", filler.topic, partition, (long long)(i + 1),
                   (long long)n);
    }
    return st;
}

static enum cq_status fill_all(struct plan *p)
{
    bool failed = false;
    struct producer *producer = NULL;
    int64_t began_ms = clock_mono_ms();
    enum cq_status st =
        producer_new(&(struct producer_conf){ .brokers = setting_text(SET_KAFKA_BROKER),
                                              .client_id = "chasqui-admin",
                                              .linger_ms = SERVE_MS,
                                              .report = on_report,
                                              .arg = &failed },
                     &producer);

    for (int t = 0; t < TOPIC_N; t++)
        for (int32_t i = 0; st == CQ_OK && i < p->told[t].n; i++)
            if (is_cut(&p->told[t], i))
                st = fill(producer, (enum topic)t, i, p->told[t].target[i] - p->told[t].end[i],
                          p->told[t].last_ms[i]);
    while (st == CQ_OK && producer_pending(producer) && !failed && !producer_is_fatal(producer))
        producer_flush(producer, SERVE_MS);
    if (st == CQ_OK && (failed || producer_pending(producer)))
        st = CQ_AGAIN;
    if (st != CQ_OK)
        snprintf(p->why, sizeof p->why, "fillers cannot be written: %s",
                 producer ? producer_error(producer) : "no client");
    producer_free(producer);
    if (st == CQ_OK)
        printf("%lld fillers written in %.1f s\n", (long long)p->fillers,
               (double)(clock_mono_ms() - began_ms) / 1000);
    return st;
}

static enum cq_status verify(struct plan *p)
{
    for (int t = 0; t < TOPIC_N; t++) {
        struct told *told = &p->told[t];

        if (reader_ends(p->reader, topic_name((enum topic)t), told->n, told->end) != CQ_OK)
            return fail(p, "ends of", topic_name((enum topic)t));
        for (int32_t i = 0; i < told->n; i++)
            if (is_cut(told, i)) {
                snprintf(p->why, sizeof p->why,
                         "%s partition %d still ends too early: run it again",
                         topic_name((enum topic)t), i);
                return CQ_AGAIN;
            }
    }
    return CQ_OK;
}

/* In this order the command may be interrupted anywhere and run again: floors are recorded before a
 * commit is moved back, and a gap is filled last of all that depends on it. */
static enum cq_status run(struct plan *p, bool doing, int *ret_code)
{
    enum cq_status st = ask_all(p);

    if (st == CQ_OK)
        st = show_cuts(p);
    if (st != CQ_OK || !p->fillers) {
        if (st == CQ_OK)
            puts("no partition ends before an offset that is named elsewhere: nothing to do");
        return st;
    }
    if (doing)
        st = await_nobody(p);
    if (st == CQ_OK)
        st = move_all_back(p, doing);
    if (st == CQ_OK && !doing) {
        puts("nothing was changed; stop every role and run it again with --yes");
        *ret_code = EXIT_CUT;
        return CQ_OK;
    }
    if (st == CQ_OK)
        st = fill_all(p);
    if (st == CQ_OK)
        st = verify(p);
    if (st == CQ_OK)
        puts("done: start the roles");
    return st;
}

static void plan_free(struct plan *p)
{
    for (int t = 0; t < TOPIC_N; t++)
        for (int32_t i = 0; i < PARTITIONS_MAX; i++)
            free(p->told[t].text[i]);
    reader_free(p->reader);
    arena_free(p->arena);
    free(p);
}

int admin_log_was_cut(int argc, char **argv)
{
    bool doing = argc == 1 && strcmp(argv[0], "--yes") == 0;
    struct plan *p;
    int code = 0;
    enum cq_status st;

    if (argc > 1 || (argc && !doing)) {
        fputs("chasqui: admin log-was-cut [--yes]\n", stderr);
        return 2;
    }
    p = calloc(1, sizeof *p);
    if (!p)
        return 1;
    p->arena = arena_new(ARENA_BYTES);
    snprintf(p->why, sizeof p->why, "no memory, or bad settings");
    st = reader_new(setting_text(SET_KAFKA_BROKER), &p->reader);
    if (st == CQ_OK)
        st = run(p, doing, &code);
    if (st != CQ_OK) {
        fprintf(stderr, "chasqui: %s\n", p->why);
        code = 1;
    }
    plan_free(p);
    return code;
}
