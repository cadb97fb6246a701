/* SPDX-License-Identifier: MIT */
/*
 * Calls on their way into the log (edge/rest/server/submits.h), with a log that the test plays.
 */
#include "tests/unit/test.h"

#include "ingest/ingest.h"
#include "ingest/log_disk.h"

enum { SENT_MAX = 8192 };

static enum cq_status says[4]; /* what the log says to each submit of a call, in order */
static int asked;
static uint64_t sent[SENT_MAX]; /* opaque of each that it took */
static int sent_n;
static bool is_full, is_cut, is_overloaded;

static enum cq_status take(uint64_t opaque)
{
    enum cq_status st = says[asked++ % 4];

    if (st == CQ_OK)
        sent[sent_n++ % SENT_MAX] = opaque;
    return st;
}

#define ingest_user(i, action, opaque, field) ((void)(i), (void)(field), take(opaque))
#define ingest_chat(i, action, opaque, field) ((void)(i), (void)(field), take(opaque))
#define ingest_log_is_cut(i, cut) ((void)(i), (void)(cut), is_cut)
#define ingest_overloaded(i) ((void)(i), is_overloaded)
#define log_disk_takes(disk, use) ((void)(disk), (void)(use), !is_full)
#include "edge/rest/server/submits.c"

static struct call *call_with(int submits_n)
{
    struct call *call = call_new(NULL);

    for (int i = 0; i < submits_n; i++)
        call_submit_user(call, id_random(), id_random())->action.kind = USER_ACTION_PROFILE_EDITED;
    asked = sent_n = 0;
    is_full = is_cut = is_overloaded = false;
    for (int i = 0; i < 4; i++)
        says[i] = CQ_OK;
    return call;
}

TEST(a_call_goes_on_when_all_its_reports_are_there)
{
    struct submits *submits = submits_new(NULL, NULL);
    struct call *call = call_with(2);

    CHECK(submits_produce(submits, call, 100));
    CHECK_EQ(sent_n, 2);
    CHECK(submits_report(submits, sent[1], 5, 51, CQ_OK) == NULL);
    CHECK(submits_report(submits, sent[0], 4, 40, CQ_OK) == call);
    CHECK_EQ(call->log.submits[0].partition, 4);
    CHECK_EQ(call->log.submits[1].offset, 51);
    CHECK(!call->log.unknown);
    CHECK(submits_report(submits, sent[0], 4, 40, CQ_OK) ==
          NULL); /* the slot is another's by then */
    call_free(call);
    submits_free(submits);
}

TEST(a_failed_report_leaves_the_outcome_unknown)
{
    struct submits *submits = submits_new(NULL, NULL);
    struct call *call = call_with(2);

    CHECK(submits_produce(submits, call, 100));
    CHECK(submits_report(submits, sent[0], -1, -1, CQ_AGAIN) == NULL);
    CHECK(submits_report(submits, sent[1], 5, 51, CQ_OK) == call);
    CHECK(call->log.unknown);
    call_free(call);
    submits_free(submits);
}

static struct call *expired_call;

static void on_expired(void *arg, struct call *call)
{
    (void)arg;
    expired_call = call;
}

TEST(a_report_after_the_deadline_finds_no_call_and_frees_the_slot)
{
    struct submits *submits = submits_new(NULL, NULL);
    struct call *call = call_with(1);
    uint32_t free_n = submits->free_n;

    expired_call = NULL;
    CHECK(submits_produce(submits, call, 100));
    submits_expire(submits, 100 + CALL_DEADLINE_MS - 1, on_expired, NULL);
    CHECK(expired_call == NULL);
    submits_expire(submits, 100 + CALL_DEADLINE_MS, on_expired, NULL);
    CHECK(expired_call == call);
    CHECK_EQ(call->reply.status, 503);
    CHECK_EQ(submits->free_n, free_n - 1); /* the report may come still */
    CHECK(submits_report(submits, sent[0], 1, 1, CQ_OK) == NULL);
    CHECK_EQ(submits->free_n, free_n);
    call_free(call);
    submits_free(submits);
}

TEST(a_refusal_is_unknown_only_behind_an_accepted_submit)
{
    struct submits *submits = submits_new(NULL, NULL);
    struct call *call = call_with(2);
    uint32_t free_n = submits->free_n;

    says[0] = CQ_POISON;
    CHECK(!submits_produce(submits, call, 100));
    CHECK_EQ(call->reply.status, 400);
    CHECK_EQ(submits->free_n, free_n);
    call_free(call);
    call = call_with(2);
    says[1] = CQ_AGAIN;
    CHECK(!submits_produce(submits, call, 100));
    CHECK_EQ(call->reply.status, 503);
    CHECK_STR(call->reply.error, "unavailable");
    CHECK_EQ(submits->free_n, free_n - 1);
    CHECK(submits_report(submits, sent[0], 1, 1, CQ_OK) == NULL);
    CHECK_EQ(submits->free_n, free_n);
    call_free(call);
    submits_free(submits);
}

TEST(nothing_is_produced_when_the_log_takes_nothing)
{
    static const struct {
        bool full, cut, overloaded;
        const char *code;
    } rows[] = { { true, true, true, "log_full" },
                 { false, true, true, "log_cut" },
                 { false, false, true, "unavailable" } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct submits *submits = submits_new(NULL, NULL);
        struct call *call = call_with(1);

        is_full = rows[i].full;
        is_cut = rows[i].cut;
        is_overloaded = rows[i].overloaded;
        CHECK(!submits_produce(submits, call, 100));
        CHECK_EQ(call->reply.status, 503);
        CHECK_STR(call->reply.error, rows[i].code);
        CHECK(call->reply.retry_after_s > 0);
        CHECK_EQ(asked, 0);
        call_free(call);
        submits_free(submits);
    }
}

TEST(there_is_a_slot_for_each_call_and_no_more)
{
    struct submits *submits = submits_new(NULL, NULL);
    struct call *call = call_with(1);

    for (int i = 0; i < CALLS_MAX; i++)
        CHECK(submits_produce(submits, call, 100));
    CHECK(!submits_produce(submits, call, 100));
    CHECK_EQ(call->reply.status, 503);
    call_free(call);
    submits_free(submits);
}
