/* SPDX-License-Identifier: MIT */
#include "admin_cut.h"

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/durability.h"
#include "lib/base/partitions.h"
#include "lib/base/settings.h"
#include "lib/bus/bus.h"
#include "lib/bus/frontier.h"
#include "lib/bus/proof.h"
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
    int64_t target[PARTITIONS_MAX];     /* one past the highest offset that anything names */
    int64_t last_ms[PARTITIONS_MAX];    /* time of its last record; 0: none */
    int64_t commit[PARTITIONS_MAX];     /* of its first group; -1: none */
    char *text[PARTITIONS_MAX];         /* owned; beside that commit, NULL for none */
    struct proof proof[PARTITIONS_MAX]; /* in front of that text */
};

struct plan {
    struct reader *reader;  /* owned */
    struct cq_arena *arena; /* owned; of a record */
    struct told told[TOPIC_N];
    enum topic now; /* whose records are scanned */
    int64_t fillers;
    char why[WHY_MAX];
};

static enum cq_status fail(struct plan *plan, const char *what, const char *topic)
{
    snprintf(plan->why, sizeof plan->why, "%s %s cannot be read: is the broker there?", what,
             topic);
    return CQ_AGAIN;
}

static void speak(struct plan *plan, enum topic topic, int32_t partition, int64_t next)
{
    struct told *told = &plan->told[topic];

    if (partition >= 0 && partition < told->n && next > told->target[partition])
        told->target[partition] = next;
}

/* A source that a record claims. */
static void claim(struct plan *plan, enum topic topic, int32_t partition, int64_t offset)
{
    const struct told *told = &plan->told[topic];

    if (partition >= 0 && partition < told->n && offset < told->end[partition] + BUS_TAIL_MAX)
        speak(plan, topic, partition, offset + 1);
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
    struct commits *commits = arg;
    struct told *told = &commits->plan->told[commits->topic];

    speak(commits->plan, commits->topic, partition, next);
    if (!commits->keep)
        return;
    told->commit[partition] = next;
    free(told->text[partition]);
    told->text[partition] = strdup(meta);
}

static enum cq_status ask_commits(struct plan *plan, enum topic topic)
{
    const struct topic_spec *spec = topic_spec(topic);
    const char *const *groups = topic_groups(topic);
    struct commits commits = { plan, topic, false };
    enum cq_status st = reader_commits(plan->reader, BUS_FLOOR_GROUP, spec->name,
                                       plan->told[topic].n, on_commit, &commits);

    for (int g = 0; st == CQ_OK && g < TOPIC_GROUPS_MAX && groups[g]; g++) {
        commits.keep = g == 0;
        st = reader_commits(plan->reader, groups[g], spec->name, plan->told[topic].n, on_commit,
                            &commits);
    }
    return st == CQ_OK ? st : fail(plan, "commits in", spec->name);
}

/* ---- proofs: how far the outputs of a stage reached at its commit -------------------------- */

static size_t proven_of(enum topic input, struct topic_proven ret[TOPIC_PROVEN_MAX])
{
    return topic_proven(input, (int32_t)setting_int(SET_SLOTS), ret);
}

static int32_t proven_partition(const struct topic_proven *output, int32_t partition)
{
    return output->slot < 0 ? partition : output->slot;
}

static void ask_proofs(struct plan *plan, enum topic input)
{
    struct topic_proven proven[TOPIC_PROVEN_MAX];
    struct told *told = &plan->told[input];
    size_t n = proven_of(input, proven);

    for (int32_t i = 0; n && i < told->n; i++) {
        struct suspect front;
        struct proof *proof = &told->proof[i];

        *proof = PROOF_NONE;
        if (told->text[i])
            (void)proof_parse(suspect_parse(told->text[i], &front), (int)n, proof);
        for (int out = 0; out < proof->n; out++)
            speak(plan, proven[out].topic, proven_partition(&proven[out], i), proof->now[out]);
    }
}

/* Where the stage over partition `partition` of `input` begins again by its proof; -1: they do not
 * say. `*ret_cut`: one of its outputs ends too early. */
static int64_t begin_by_proof(const struct plan *plan, enum topic input, int32_t partition,
                              bool *ret_cut)
{
    struct topic_proven proven[TOPIC_PROVEN_MAX];
    const struct told *told = &plan->told[input];
    size_t n = proven_of(input, proven);
    int64_t ends[TOPIC_PROVEN_MAX];

    *ret_cut = false;
    for (size_t out = 0; out < n; out++) {
        const struct told *output = &plan->told[proven[out].topic];
        int32_t at = proven_partition(&proven[out], partition);

        ends[out] = output->end[at];
        *ret_cut |= output->end[at] < output->target[at];
    }
    return told->proof[partition].n
               ? proof_begin(&told->proof[partition], ends, told->commit[partition])
               : -1;
}

/* The text beside a commit in user.inbox says how far chat.actions has been delivered. */
static void ask_frontiers(struct plan *plan)
{
    static struct frontier held, events;
    const struct told *inbox = &plan->told[TOPIC_USER_INBOX];

    for (int32_t i = 0; i < inbox->n; i++) {
        struct suspect front;
        struct proof proof;
        const char *text = inbox->text[i] ? suspect_parse(inbox->text[i], &front) : "";

        text = proof_parse(text, 0, &proof);
        if (!*text || !frontier_unpack(span_str(text), TOPIC_GENERATION,
                                       plan->told[TOPIC_CHAT_ACTIONS].n, &held, &events))
            continue;
        for (int32_t partition = 0; partition < held.n; partition++)
            speak(plan, TOPIC_CHAT_ACTIONS, partition, held.next[partition]);
    }
}

/* The source of a record of topic `topic`; false: it has none. */
static bool source_of(struct plan *plan, enum topic topic, struct cq_span value, struct source *ret)
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

    arena_reset(plan->arena);
#define DECODED(codec) (codec_decode(&codec, value, plan->arena, &u, NULL) == CQ_OK)
    switch (topic) {
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
    case TOPIC_SIGNALS:
    case TOPIC_N:
        return false;
    }
#undef DECODED
    return false;
}

static enum topic sources_of(enum topic topic)
{
    return topic == TOPIC_PUSH_OUTCOMES ? TOPIC_MOBILE_PUSH : topic_spec(topic)->made_from;
}

static enum cq_status on_last(void *arg, const struct bus_record *rec)
{
    struct plan *plan = arg;
    struct source source;

    plan->told[plan->now].last_ms[rec->partition] = rec->at_ms;
    if (rec->value.p && source_of(plan, plan->now, rec->value, &source) &&
        source.generation == TOPIC_GENERATION)
        claim(plan, sources_of(plan->now), source.partition, source.offset);
    return CQ_OK;
}

static enum cq_status on_inbox(void *arg, const struct bus_record *rec)
{
    struct plan *plan = arg;
    struct user_inbox record;
    const struct delivery_batch *batch = &record.body.u.delivery_batch;

    arena_reset(plan->arena);
    if (!rec->value.p ||
        codec_decode(&user_inbox_codec, rec->value, plan->arena, &record, NULL) != CQ_OK ||
        record.body.kind != USER_INBOX_DELIVERY_BATCH)
        return CQ_OK;
    for (size_t i = 0; i < batch->items_n; i++)
        claim(plan,
              batch->origin == DELIVERY_ORIGIN_CHAT_ACTIONS ? TOPIC_CHAT_ACTIONS
                                                            : TOPIC_DELIVERY_STATUS,
              batch->items[i].partition, batch->items[i].offset);
    return CQ_OK;
}

/* What `user` has not read yet. */
static enum cq_status ask_inbox(struct plan *plan)
{
    const struct told *inbox = &plan->told[TOPIC_USER_INBOX];
    const char *name = topic_name(TOPIC_USER_INBOX);

    for (int32_t i = 0; i < inbox->n; i++) {
        int64_t first, next, from;
        enum cq_status st = reader_watermarks(plan->reader, name, i, &first, &next);

        from = inbox->commit[i] > first ? inbox->commit[i] : first;
        if (st == CQ_OK && from < next)
            st = reader_scan(plan->reader, name, i, from, next, on_inbox, plan);
        if (st != CQ_OK)
            return fail(plan, "records of", name);
    }
    return CQ_OK;
}

static enum cq_status ask_view(struct plan *plan)
{
    static const char sql_there[] = "SELECT to_regclass('view.positions') IS NOT NULL";
    static const char sql[] = "SELECT topic, partition, next, source_next FROM view.positions";
    cq_auto(pg) struct pg *db = pg_new(setting_text(SET_DATABASE_URL), "chasqui-admin");
    cq_auto(pgresult) struct pg_result *there = NULL;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_ready(db, NULL);

    if (st == CQ_OK)
        st = pg_run(db, sql_there, NULL, &there);
    if (st == CQ_OK && pg_bool(there, 0, 0))
        st = pg_run(db, sql, NULL, &rows);
    if (st != CQ_OK)
        snprintf(plan->why, sizeof plan->why, "the view's positions cannot be read: %s",
                 pg_error(db));
    for (int i = 0; st == CQ_OK && rows && i < pg_rows(rows); i++) {
        enum topic topic;
        int32_t partition = (int32_t)pg_i64(rows, i, 1);

        if (!topic_named(pg_bytes(rows, i, 0), &topic))
            continue;
        speak(plan, topic, partition, pg_i64(rows, i, 2));
        if (sources_of(topic) != TOPIC_N)
            speak(plan, sources_of(topic), partition, pg_i64(rows, i, 3));
    }
    return st;
}

static enum cq_status ask_ends(struct plan *plan)
{
    for (int topic = 0; topic < TOPIC_N; topic++) {
        struct told *told = &plan->told[topic];
        const char *name = topic_name((enum topic)topic);

        if (reader_ends(plan->reader, name, told->n, told->end) != CQ_OK)
            return fail(plan, "ends of", name);
    }
    return CQ_OK;
}

static enum cq_status ask_all(struct plan *plan)
{
    enum cq_status st;

    for (int topic = 0; topic < TOPIC_N; topic++) {
        struct told *told = &plan->told[topic];

        told->n = (int32_t)setting_int(
            topic_spec((enum topic)topic)->width == TOPIC_BY_SLOTS ? SET_SLOTS : SET_PARTITIONS);
        for (int32_t i = 0; i < told->n; i++)
            told->commit[i] = -1;
    }
    st = ask_ends(plan);
    for (int topic = 0; st == CQ_OK && topic < TOPIC_N; topic++) {
        plan->now = (enum topic)topic;
        st = ask_commits(plan, plan->now);
        if (st == CQ_OK && reader_lasts(plan->reader, topic_name(plan->now), plan->told[topic].n,
                                        plan->told[topic].end, on_last, plan) != CQ_OK)
            st = fail(plan, "the last records of", topic_name(plan->now));
    }
    for (int topic = 0; st == CQ_OK && topic < TOPIC_N; topic++)
        ask_proofs(plan, (enum topic)topic);
    if (st == CQ_OK)
        ask_frontiers(plan);
    if (st == CQ_OK)
        st = ask_inbox(plan);
    if (st == CQ_OK)
        st = ask_view(plan);
    /* Once more: what runs meanwhile may have spoken of records that are younger than the first ends. */
    return st == CQ_OK ? ask_ends(plan) : st;
}

/* ---- what is to be done ----------------------------------------------------------------- */

static bool is_cut(const struct told *told, int32_t partition)
{
    return told->end[partition] < told->target[partition];
}

static enum cq_status show_cuts(struct plan *plan)
{
    for (int topic = 0; topic < TOPIC_N; topic++) {
        const struct told *told = &plan->told[topic];
        const char *name = topic_name((enum topic)topic);

        for (int32_t i = 0; i < told->n; i++) {
            int64_t gap = told->target[i] - told->end[i];

            if (gap <= 0)
                continue;
            if (gap > GAP_MAX) {
                snprintf(
                    plan->why, sizeof plan->why,
                    "%s partition %d ends at %lld, but offsets up to %lld are named elsewhere: too "
                    "many for a lost tail, this is another log. Rebuild the view, or restore the "
                    "topic",
                    name, i, (long long)told->end[i], (long long)told->target[i]);
                return CQ_FATAL;
            }
            printf("%s partition %d ends at %lld, but offsets up to %lld are named elsewhere: %lld "
                   "to fill\n",
                   name, i, (long long)told->end[i], (long long)told->target[i], (long long)gap);
            plan->fillers += gap;
            if (reader_raise_floor(plan->reader, name, i, told->target[i]) != CQ_OK)
                return fail(plan, "the floor of", name);
        }
    }
    return CQ_OK;
}

/* Where the records that partition `partition` of `topic` was last made from begin, in partition `k` of
 * `input`, by the time of its last record. Lowers `*to`. */
static enum cq_status find_back(struct plan *plan, enum topic topic, int32_t partition,
                                enum topic input, int32_t k, int64_t *to)
{
    const char *name = topic_name(input);
    int64_t last_ms = plan->told[topic].last_ms[partition], at, next;

    if (reader_watermarks(plan->reader, name, k, &at, &next) != CQ_OK)
        return fail(plan, "ends of", name);
    if (last_ms > EARLIER_MS &&
        reader_offset_for_time(plan->reader, name, k, last_ms - EARLIER_MS, &at) != CQ_OK)
        return fail(plan, "times of", name);
    if (*to < 0 || at < *to)
        *to = at;
    return CQ_OK;
}

/* Where a group has to begin again. */
struct back {
    int64_t to;    /* -1: it stays where it is */
    bool again;    /* chat.events is one of the outputs that are made again */
    bool lost;     /* an output lost records that can be made again … */
    bool by_proof; /* … and the proof beside the commit says from where */
};

/* By the times of the last records of those outputs that lost some. */
static enum cq_status back_by_time(struct plan *plan, enum topic input, int32_t partition,
                                   int64_t *to)
{
    struct topic_proven proven[TOPIC_PROVEN_MAX];
    size_t n = proven_of(input, proven);
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < n; i++) {
        int32_t at = proven_partition(&proven[i], partition);

        if (is_cut(&plan->told[proven[i].topic], at))
            st = find_back(plan, proven[i].topic, at, input, partition, to);
    }
    return st;
}

/* What is delivered to users comes from every partition of chat.actions. */
static enum cq_status back_for_inbox(struct plan *plan, enum topic input, int32_t partition,
                                     int64_t *to)
{
    const struct told *inbox = &plan->told[TOPIC_USER_INBOX];
    enum cq_status st = CQ_OK;

    for (int32_t i = 0; st == CQ_OK && input == TOPIC_CHAT_ACTIONS && i < inbox->n; i++)
        if (is_cut(inbox, i))
            st = find_back(plan, TOPIC_USER_INBOX, i, input, partition, to);
    return st;
}

static enum cq_status find_begin(struct plan *plan, enum topic input, int32_t partition,
                                 struct back *ret)
{
    bool lost;
    int64_t begin = begin_by_proof(plan, input, partition, &lost);
    enum cq_status st = CQ_OK;

    *ret = (struct back){ .to = -1, .lost = lost, .by_proof = lost && begin >= 0 };
    ret->again = input == TOPIC_CHAT_ACTIONS && is_cut(&plan->told[TOPIC_CHAT_EVENTS], partition);
    if (ret->by_proof)
        ret->to = begin;
    else if (lost)
        st = back_by_time(plan, input, partition, &ret->to);
    return st == CQ_OK ? back_for_inbox(plan, input, partition, &ret->to) : st;
}

/* The text beside the commit from now on. What a text of `user` knows to be delivered is forgotten where
 * frames and pushes may be lost: they are made again, and clients drop what they have shown. */
static void text_of(const struct plan *plan, enum topic input, int32_t partition,
                    const struct back *back, char *buf, size_t cap)
{
    const struct told *told = &plan->told[input];
    char front[PROOF_TEXT_MAX];
    size_t n = proof_format(&told->proof[partition], front);

    if (back->again)
        snprintf(buf, cap, "%.*sa%lld", (int)n, front, (long long)told->target[partition]);
    else if (back->lost)
        snprintf(buf, cap, "%.*s", (int)n, front);
    else
        snprintf(buf, cap, "%s", told->text[partition] ? told->text[partition] : "");
}

static enum cq_status move_back(struct plan *plan, enum topic input, int32_t partition, bool doing)
{
    const struct told *told = &plan->told[input];
    const char *group = topic_groups(input)[0], *name = topic_name(input);
    char text[BUS_META_MAX + 1];
    struct back back;
    enum cq_status st = find_begin(plan, input, partition, &back);

    if (st != CQ_OK || back.to < 0 || told->commit[partition] < 0)
        return st;
    if (back.to > told->commit[partition])
        back.to = told->commit[partition];
    printf("group %s in %s partition %d: from %lld back to %lld, to make again what was lost%s\n",
           group, name, partition, (long long)told->commit[partition], (long long)back.to,
           back.by_proof ? " (by its proof)" : "");
    if (!doing)
        return CQ_OK;
    text_of(plan, input, partition, &back, text, sizeof text);
    return reader_move_group(plan->reader, group, name, partition, back.to, text, plan->why,
                             sizeof plan->why);
}

static enum cq_status move_all_back(struct plan *plan, bool doing)
{
    static const enum topic inputs[] = { TOPIC_CHAT_ACTIONS, TOPIC_USER_INBOX };
    enum cq_status st = CQ_OK;

    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        for (int32_t k = 0; st == CQ_OK && k < plan->told[inputs[i]].n; k++)
            st = move_back(plan, inputs[i], k, doing);
    return st;
}

/* ---- doing it --------------------------------------------------------------------------- */

static enum cq_status await_no_members(struct plan *plan, const char *group)
{
    int64_t until_ms = clock_mono_ms() + MEMBERS_WAIT_MS;
    int members = 0;

    do {
        if (reader_group_members(plan->reader, group, &members) != CQ_OK)
            return fail(plan, "members of group", group);
        if (members)
            clock_sleep_ms(500);
    } while (members && clock_mono_ms() < until_ms);
    if (!members)
        return CQ_OK;
    snprintf(plan->why, sizeof plan->why,
             "group %s has %d members: stop every role first (Kafka and PostgreSQL stay up)", group,
             members);
    return CQ_FATAL;
}

static enum cq_status await_nobody(struct plan *plan)
{
    enum cq_status st = CQ_OK;

    for (int t = 0; t < TOPIC_N; t++) {
        const char *const *groups = topic_groups((enum topic)t);

        for (int g = 0; st == CQ_OK && g < TOPIC_GROUPS_MAX && groups[g]; g++)
            st = await_no_members(plan, groups[g]);
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
static enum cq_status fill(struct producer *producer, enum topic topic, int32_t partition,
                           int64_t n, int64_t at_ms)
{
    const struct bus_send filler = { .topic = topic_name(topic),
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

static enum cq_status fill_all(struct plan *plan)
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

    for (int topic = 0; topic < TOPIC_N; topic++)
        for (int32_t i = 0; st == CQ_OK && i < plan->told[topic].n; i++)
            if (is_cut(&plan->told[topic], i))
                st = fill(producer, (enum topic)topic, i,
                          plan->told[topic].target[i] - plan->told[topic].end[i],
                          plan->told[topic].last_ms[i]);
    while (st == CQ_OK && producer_pending(producer) && !failed && !producer_is_fatal(producer))
        producer_flush(producer, SERVE_MS);
    if (st == CQ_OK && (failed || producer_pending(producer)))
        st = CQ_AGAIN;
    if (st != CQ_OK)
        snprintf(plan->why, sizeof plan->why, "fillers cannot be written: %s",
                 producer ? producer_error(producer) : "no client");
    producer_free(producer);
    if (st == CQ_OK)
        printf("%lld fillers written in %.1f s\n", (long long)plan->fillers,
               (double)(clock_mono_ms() - began_ms) / 1000);
    return st;
}

static enum cq_status verify(struct plan *plan)
{
    for (int topic = 0; topic < TOPIC_N; topic++) {
        struct told *told = &plan->told[topic];

        if (reader_ends(plan->reader, topic_name((enum topic)topic), told->n, told->end) != CQ_OK)
            return fail(plan, "ends of", topic_name((enum topic)topic));
        for (int32_t i = 0; i < told->n; i++)
            if (is_cut(told, i)) {
                snprintf(plan->why, sizeof plan->why,
                         "%s partition %d still ends too early: run it again",
                         topic_name((enum topic)topic), i);
                return CQ_AGAIN;
            }
    }
    return CQ_OK;
}

enum mode {
    LOOK,       /* change nothing */
    DO_DERIVED, /* go on if all that was lost can be made again, and is expected to be lost */
    DO_ALL,
};

/* With DURABILITY=synced a loss of power takes nothing else. Then nobody has to decide anything. */
static bool only_derived(const struct plan *plan)
{
    if (durability_parse(setting_text(SET_DURABILITY)) != DURABILITY_SYNCED)
        return false;
    for (int topic = 0; topic < TOPIC_N; topic++)
        for (int32_t i = 0; i < plan->told[topic].n; i++)
            if (topic_spec((enum topic)topic)->is_truth && is_cut(&plan->told[topic], i)) {
                printf("%s partition %d was synced, and lost records all the same: nothing is done "
                       "without an operator\n",
                       topic_name((enum topic)topic), i);
                return false;
            }
    puts("all of it is made again from what was synced");
    return true;
}

/* In this order the command may be interrupted anywhere and run again: floors are recorded before a
 * commit is moved back, and a gap is filled last of all that depends on it. */
static enum cq_status run(struct plan *plan, enum mode mode, int *ret_code)
{
    enum cq_status st = ask_all(plan);
    bool doing = mode == DO_ALL;

    if (st == CQ_OK)
        st = show_cuts(plan);
    if (st != CQ_OK || !plan->fillers) {
        if (st == CQ_OK)
            puts("no partition ends before an offset that is named elsewhere: nothing to do");
        return st;
    }
    if (mode == DO_DERIVED)
        doing = only_derived(plan);
    if (doing)
        st = await_nobody(plan);
    if (st == CQ_OK)
        st = move_all_back(plan, doing);
    if (st == CQ_OK && !doing) {
        puts("nothing was changed; stop every role and run it again with --yes");
        *ret_code = EXIT_CUT;
        return CQ_OK;
    }
    if (st == CQ_OK)
        st = fill_all(plan);
    if (st == CQ_OK)
        st = verify(plan);
    if (st == CQ_OK)
        puts("done: start the roles");
    return st;
}

static void plan_free(struct plan *plan)
{
    for (int t = 0; t < TOPIC_N; t++)
        for (int32_t i = 0; i < PARTITIONS_MAX; i++)
            free(plan->told[t].text[i]);
    reader_free(plan->reader);
    arena_free(plan->arena);
    free(plan);
}

int admin_log_was_cut(int argc, char **argv)
{
    const char *word = argc == 1 ? argv[0] : "";
    enum mode mode = strcmp(word, "--yes") == 0     ? DO_ALL
                     : strcmp(word, "--start") == 0 ? DO_DERIVED
                                                    : LOOK;
    struct plan *plan;
    int code = 0;
    enum cq_status st;

    if (argc > 1 || (argc && mode == LOOK)) {
        fputs("chasqui: admin log-was-cut [--start | --yes]\n", stderr);
        return 2;
    }
    plan = calloc(1, sizeof *plan);
    if (!plan)
        return 1;
    plan->arena = arena_new(ARENA_BYTES);
    snprintf(plan->why, sizeof plan->why, "no memory, or bad settings");
    st = reader_new(setting_text(SET_KAFKA_BROKER), &plan->reader);
    if (st == CQ_OK)
        st = run(plan, mode, &code);
    if (st != CQ_OK) {
        fprintf(stderr, "chasqui: %s\n", plan->why);
        code = 1;
    }
    plan_free(plan);
    return code;
}
