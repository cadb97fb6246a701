/* SPDX-License-Identifier: MIT */
#include "ingest/ingest.h"

#include "ingest/log_check.h"
#include "ingest/validate.h"
#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "schemas/codec.h"
#include "schemas/names.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum {
    QUEUE_RECORDS = 20000,
    QUEUE_KIB = 64 * 1024,
    ADMIT_BELOW = QUEUE_RECORDS / 2, /* after an overload, admission resumes here */
    REFUSE_ABOVE = QUEUE_RECORDS / 10 * 8,
    SILENCE_MS = 5000, /* without any report while records wait: the broker is away */
    MESSAGE_TIMEOUT_MS = 30000,
    FLUSH_EVERY_MS = 3,   /* most time that records are held while reports are awaited … */
    COMMIT_EVERY_MS = 25, /* … and with group commit: a sync takes as long as the disk needs */
    PACE_MS = 1,          /* least time between two sends */
    PACE_SLOWER = 4,      /* one millisecond more for each so many records that left together … */
    PACE_SLOWEST_MS = 3,  /* … up to this */
    HELD_MAX = 4096,
    FIRST_CHECK_MS = 3000,
    FIRST_LOOK_MS = 5,
    HELD_BYTES = 2 * 1024 * 1024,
};

/* An opaque for records whose report nobody awaits: it is dropped. */
static const uint64_t NOBODY = UINT64_MAX;

/* A record that waits for the report of one before it. */
struct held {
    const char *topic;
    int32_t partition;
    uint64_t opaque;
    size_t key_n, value_n; /* in `bytes`, one after the other */
};

struct bank {
    struct held held[HELD_MAX];
    size_t n;
    struct cq_buf bytes; /* keys and values of the held ones */
};

/* A report that waits for a check. */
struct waiting {
    uint64_t opaque;
    int64_t offset;
    int32_t partition;
    int topic; /* of struct trust */
    enum cq_status st;
};

struct ingest {
    struct ingest_conf conf;
    struct producer *producer; /* owned */
    struct log_check *check;   /* owned */
    struct trust trust;
    struct waiting *waiting; /* owned; QUEUE_RECORDS */
    size_t waiting_n;
    struct log_question question; /* too large for a stack, as is this */
    struct trust_found found;
    struct cq_buf encoded;
    int64_t heard_ms; /* last report, or the moment something was queued into an empty producer */
    bool refusing;
    struct bank banks[2]; /* one collects while the other is sent */
    int taking;
    int64_t sent_ms; /* when records last left … */
    int pace_ms;     /* … and how long after it more may */
    bool letting_out;
};

static void tell(struct ingest *in, const struct waiting *waiting, enum trust_verdict verdict)
{
    if (waiting->st == CQ_OK)
        in->heard_ms = clock_mono_ms();
    in->conf.ack(in->conf.arg, waiting->opaque, waiting->partition, waiting->offset,
                 verdict == TRUST_PASS ? waiting->st : CQ_AGAIN);
}

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    struct ingest *in = arg;
    struct waiting waiting = { opaque, offset, partition, 0, st };
    enum trust_verdict verdict;
    struct bus_cut cut;

    if (st != CQ_OK && producer_take_cut(in->producer, &cut))
        trust_fell(&in->trust, &cut);
    if (opaque == NOBODY)
        return;
    verdict = trust_judge(&in->trust, producer_connects(in->producer));
    if (verdict != TRUST_HOLD || in->waiting_n == QUEUE_RECORDS) {
        tell(in, &waiting, verdict);
        return;
    }
    waiting.topic = strcmp(producer_reporting(in->producer), log_check_topic(0)) == 0 ? 0 : 1;
    in->waiting[in->waiting_n++] = waiting;
}

/* In their order; an ack may submit again, but makes no report. */
static void tell_waiting(struct ingest *in)
{
    size_t n = in->waiting_n;

    if (in->trust.state == TRUST_CHECKING)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct waiting *waiting = &in->waiting[i];

        tell(in, waiting,
             trust_judge_held(&in->trust, waiting->topic, waiting->partition, waiting->offset));
    }
    in->waiting_n = 0;
}

/* Begin a check of the log when one is due, and take the answer of the last one. */
static void keep_trust(struct ingest *in)
{
    struct log_question *question = &in->question;
    int64_t now_ms = clock_mono_ms();

    if (in->trust.asking && log_check_take(in->check, &in->found))
        trust_take(&in->trust, &in->found, now_ms);
    tell_waiting(in);
    question->connects = producer_connects(in->producer);
    if (!trust_begin(&in->trust, question->connects, now_ms, &question->full))
        return;
    for (int t = 0; t < TRUST_TOPICS; t++)
        for (int32_t p = 0; p < in->conf.partitions && p < PARTITIONS_MAX; p++)
            question->reached[t][p] = producer_reached(in->producer, log_check_topic(t), p);
    log_check_ask(in->check, question);
}

/* An edge that says "ready" should take actions from then on. While the broker is away they are
 * refused. */
static void await_first_check(struct ingest *in)
{
    int64_t until_ms = clock_mono_ms() + FIRST_CHECK_MS;

    keep_trust(in);
    while (!in->trust.known && clock_left_ms(until_ms)) {
        clock_sleep_ms(FIRST_LOOK_MS);
        keep_trust(in);
    }
}

static enum cq_status open_producer(struct ingest *in)
{
    return producer_new(&(struct producer_conf){ .brokers = in->conf.brokers,
                                                 .client_id = in->conf.client_id,
                                                 .linger_ms = in->conf.linger_ms,
                                                 .probe = in->conf.probe,
                                                 .message_timeout_ms = MESSAGE_TIMEOUT_MS,
                                                 .queue_max_records = QUEUE_RECORDS,
                                                 .queue_max_kib = QUEUE_KIB,
                                                 .report = on_report,
                                                 .arg = in },
                        &in->producer);
}

enum cq_status ingest_new(const struct ingest_conf *conf, struct ingest **ret)
{
    struct ingest *in = calloc(1, sizeof *in);

    if (!in)
        return CQ_FATAL;
    in->conf = *conf;
    in->heard_ms = clock_mono_ms();
    buf_init(&in->encoded, TOPIC_CUT_BYTES);
    for (int i = 0; i < 2; i++)
        buf_init(&in->banks[i].bytes, HELD_BYTES + TOPIC_CUT_BYTES);
    trust_init(&in->trust);
    in->waiting = calloc(QUEUE_RECORDS, sizeof *in->waiting);
    if (!in->waiting || open_producer(in) != CQ_OK ||
        !(in->check =
              log_check_start(conf->brokers, conf->partitions, producer_fd(in->producer)))) {
        ingest_free(in);
        return CQ_FATAL;
    }
    await_first_check(in);
    *ret = in;
    return CQ_OK;
}

void ingest_free(struct ingest *in)
{
    if (!in)
        return;
    log_check_stop(in->check);
    producer_free(in->producer);
    free(in->waiting);
    buf_release(&in->encoded);
    for (int i = 0; i < 2; i++)
        buf_release(&in->banks[i].bytes);
    free(in);
}

int ingest_fd(struct ingest *in)
{
    return producer_fd(in->producer);
}

/* ---- few requests under load, none waited for when idle ------------------------------- */

/* As Nagle's algorithm does for TCP: while nothing is in flight a record is sent at once; records
 * that come while reports are awaited are sent together when the next report arrives. A request
 * costs as much as a hundred records in it, for this process, for the broker and for the consumer:
 * the more were sent together, the longer the next records are held. */

static void note_sent(struct ingest *in, size_t records)
{
    in->sent_ms = clock_mono_ms();
    in->pace_ms = pace_ms(records, PACE_MS, PACE_SLOWER, PACE_SLOWEST_MS);
}

static void flush_held(struct ingest *in)
{
    struct bank *bank = &in->banks[in->taking];
    const uint8_t *at = bank->bytes.p;

    if (!bank->n || in->letting_out)
        return;
    note_sent(in, bank->n);
    in->letting_out = true; /* an ack may submit again: into the other bank */
    in->taking ^= 1;
    for (size_t i = 0; i < bank->n; i++) {
        const struct held *held = &bank->held[i];
        const struct bus_send send = { .topic = held->topic,
                                       .partition = held->partition,
                                       .key = span_of(at, held->key_n),
                                       .value = span_of(at + held->key_n, held->value_n),
                                       .opaque = held->opaque };

        at += held->key_n + held->value_n;
        if (producer_send(in->producer, &send) != CQ_OK && held->opaque != NOBODY)
            in->conf.ack(in->conf.arg, held->opaque, held->partition, -1,
                         CQ_AGAIN); /* it was accepted before: its outcome is unknown */
    }
    CQ_ASSERT(at == bank->bytes.p + bank->bytes.n, at - bank->bytes.p,
              bank->bytes.n); /* all of it left */
    bank->n = 0;
    buf_clear(&bank->bytes);
    in->letting_out = false;
}

static enum cq_status send_or_hold(struct ingest *in, const struct bus_send *send)
{
    struct bank *bank = &in->banks[in->taking];

    if (!producer_pending(in->producer) && !bank->n && !clock_left_ms(in->sent_ms + in->pace_ms)) {
        note_sent(in, 1);
        return producer_send(in->producer, send);
    }
    if (bank->n == HELD_MAX || bank->bytes.n > HELD_BYTES) {
        flush_held(in);
        bank = &in->banks[in->taking];
    }
    if (bank->n == HELD_MAX || bank->bytes.n > HELD_BYTES)
        return CQ_AGAIN;
    if (!buf_reserve(&bank->bytes, send->key.n + send->value.n)) {
        bank->bytes.failed = false; /* what is held is whole */
        return CQ_AGAIN;
    }
    buf_add_span(&bank->bytes, send->key);
    buf_add_span(&bank->bytes, send->value);
    bank->held[bank->n++] =
        (struct held){ send->topic, send->partition, send->opaque, send->key.n, send->value.n };
    return CQ_OK;
}

void ingest_serve(struct ingest *in)
{
    producer_serve(in->producer, 0);
    keep_trust(in);
    if (!ingest_wait_ms(in))
        flush_held(in);
}

int ingest_wait_ms(const struct ingest *in)
{
    if (!in->banks[in->taking].n)
        return -1;
    if (producer_pending(in->producer) && in->conf.group_commit)
        return clock_left_ms(in->sent_ms + COMMIT_EVERY_MS);
    if (producer_pending(in->producer) && in->pace_ms < FLUSH_EVERY_MS)
        return clock_left_ms(in->sent_ms + FLUSH_EVERY_MS);
    return clock_left_ms(in->sent_ms + in->pace_ms);
}

bool ingest_is_dead(const struct ingest *in)
{
    return producer_is_fatal(in->producer);
}

bool ingest_answers(const struct ingest *in)
{
    return producer_answers(in->producer);
}

const char *ingest_error(const struct ingest *in)
{
    return producer_error(in->producer);
}

bool ingest_log_is_cut(const struct ingest *in, struct bus_cut *ret)
{
    if (in->trust.state != TRUST_CUT)
        return false;
    *ret = in->trust.cut;
    return true;
}

bool ingest_overloaded(struct ingest *in)
{
    int pending =
        producer_pending(in->producer) + (int)in->banks[in->taking].n + (int)in->waiting_n;
    bool silent = pending && clock_mono_ms() - in->heard_ms > SILENCE_MS;

    if (!pending)
        in->heard_ms = clock_mono_ms();
    if (pending > REFUSE_ABOVE || silent || producer_is_fatal(in->producer) ||
        !trust_takes(&in->trust))
        in->refusing = true;
    else if (pending < ADMIT_BELOW)
        in->refusing = false;
    return in->refusing;
}

static enum cq_status send_record(struct ingest *in, enum topic topic, struct cq_id key,
                                  const struct codec_record *codec, const void *record,
                                  uint64_t opaque)
{
    char text[CQ_ID_TEXT_LEN + 1];

    if (!trust_takes(&in->trust))
        return CQ_AGAIN;
    buf_clear(&in->encoded);
    if (codec_encode(codec, record, &in->encoded) != CQ_OK)
        return CQ_POISON;
    if (!producer_pending(in->producer))
        in->heard_ms = clock_mono_ms();
    id_format(key, text);
    return send_or_hold(in, &(struct bus_send){
                                .topic = topic_name(topic),
                                .partition = topic_partition(key, in->conf.partitions),
                                .key = span_of(text, CQ_ID_TEXT_LEN),
                                .value = buf_span(&in->encoded),
                                .opaque = opaque,
                            });
}

enum cq_status ingest_chat(struct ingest *in, const struct chat_action *action, uint64_t opaque,
                           const char **reterr_why)
{
    const char *why = validate_chat(action);
    enum cq_status st;

    if (why) {
        *reterr_why = why;
        return CQ_POISON;
    }
    st = send_record(in, TOPIC_CHAT_ACTIONS, action->chat_id, &chat_action_codec, action, opaque);
    if (st == CQ_POISON)
        *reterr_why = "action: too large for a record";
    /* the edge restarts when its producer is dead: refused until then */
    return st == CQ_FATAL ? CQ_AGAIN : st;
}

enum cq_status ingest_user(struct ingest *in, const struct user_action *action, uint64_t opaque,
                           const char **reterr_why)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION, .u.user_action = *action } };
    const char *why = validate_user(action);
    struct cq_id key = action->user_id;
    enum cq_status st;

    if (why) {
        *reterr_why = why;
        return CQ_POISON;
    }
    if (action->action.kind == USER_ACTION_PUSH_CLAIMED) {
        const struct push_address *to = &action->action.u.push_claimed.address;

        key = push_token_id(to->kind, to->token);
    }
    st = send_record(in, TOPIC_USER_INBOX, key, &user_inbox_codec, &record, opaque);
    if (st == CQ_POISON)
        *reterr_why = "action: too large for a record";
    return st == CQ_FATAL ? CQ_AGAIN : st;
}

enum cq_status ingest_alive(struct ingest *in, struct cq_id incarnation, int32_t slots,
                            int64_t at_ms)
{
    struct user_inbox record = {
        .body = { USER_INBOX_USER_ACTION,
                  .u.user_action = { .at_ms = at_ms,
                                     .action = { USER_ACTION_GATEWAY_ALIVE,
                                                 .u.gateway_alive = { incarnation, slots } } } },
    };
    enum cq_status st = CQ_OK;

    if (!trust_takes(&in->trust))
        return CQ_AGAIN;
    buf_clear(&in->encoded);
    if (codec_encode(&user_inbox_codec, &record, &in->encoded) != CQ_OK)
        return CQ_FATAL;
    for (int32_t p = 0; st == CQ_OK && p < in->conf.partitions; p++)
        st = producer_send(in->producer, &(struct bus_send){ .topic = topic_name(TOPIC_USER_INBOX),
                                                             .partition = p,
                                                             .value = buf_span(&in->encoded),
                                                             .opaque = NOBODY });
    return st == CQ_FATAL ? CQ_AGAIN : st;
}
