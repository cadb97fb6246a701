/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/submits.h"

#include "edge/rest/server/answer.h"
#include "lib/base/assert.h"
#include "lib/base/count.h"

#include <stdlib.h>

/* A call whose submits are on their way. The slot outlives the call when the deadline comes
 * first. */
struct pending {
    struct call *call; /* NULL: answered already */
    uint32_t generation;
    int left; /* reports to come */
};

struct submits {
    struct ingest *ingest;
    struct log_disk *log_disk;
    struct pending pending[CALLS_MAX];
    uint32_t free[CALLS_MAX];
    uint32_t free_n;
};

/* ---- what a report is about: generation, slot, submit --------------------------------- */

enum { SUBMIT_BITS = 4, SLOT_BITS = 20 };

_Static_assert(CALL_SUBMITS_MAX <= 1 << SUBMIT_BITS, "a number for each submit of a call");
_Static_assert(CALLS_MAX <= 1 << SLOT_BITS, "a number for each slot");

static uint64_t opaque_of(uint32_t index, uint32_t generation, int submit)
{
    return (uint64_t)generation << (SLOT_BITS + SUBMIT_BITS) | (uint64_t)index << SUBMIT_BITS |
           (uint64_t)submit;
}

/* ---- producing ------------------------------------------------------------------------ */

static enum cq_status submit_one(struct submits *submits, struct call_submit *submit,
                                 uint64_t opaque)
{
    const char *field = NULL;

    return submit->is_user ? ingest_user(submits->ingest, &submit->u.user, opaque, &field)
                           : ingest_chat(submits->ingest, &submit->u.chat, opaque, &field);
}

static enum log_use use_of(const struct call_submit *submit)
{
    if (submit->is_user)
        return submit->u.user.action.kind == USER_ACTION_DEVICE_UNLINKED ? LOG_USE_NEEDED
                                                                         : LOG_USE_SMALL;
    return submit->u.chat.action.kind == CHAT_ACTION_RECEIPTS_ADVANCED ? LOG_USE_SMALL
                                                                       : LOG_USE_FANOUT;
}

/* Kafka's disk has room for all that the call wants to write. */
static bool has_room(const struct submits *submits, const struct call *call)
{
    for (int i = 0; i < call->log.submits_n; i++)
        if (!log_disk_takes(submits->log_disk, use_of(&call->log.submits[i])))
            return false;
    return true;
}

/* Whether nothing of the call may enter the log now. It then has its reply. */
static bool is_turned_away(struct submits *submits, struct call *call)
{
    struct bus_cut cut;

    if (!has_room(submits, call)) {
        count_add(COUNT_LOG_REFUSED, 1);
        call->reply.retry_after_s = LOG_DISK_RETRY_MS / 1000;
        call_error(
            call, 503, "log_full",
            "not stored: the disk of the log is nearly full; send it again after Retry-After seconds");
        return true;
    }
    if (ingest_log_is_cut(submits->ingest, &cut)) {
        count_add(COUNT_LOG_CUT_REFUSED, 1);
        call->reply.retry_after_s = INGEST_CUT_RETRY_MS / 1000;
        call_error(
            call, 503, "log_cut",
            "not stored: the log lost records, and an operator has to act; send it again later");
        return true;
    }
    if (!submits->free_n || ingest_overloaded(submits->ingest)) {
        count_add(COUNT_INGEST_REFUSED, 1);
        call_unavailable(
            call,
            "not stored: the log cannot be written to now; send it again after Retry-After seconds");
        return true;
    }
    return false;
}

static void free_slot(struct submits *submits, uint32_t index)
{
    CQ_ASSERT(submits->free_n < CALLS_MAX, submits->free_n);
    submits->pending[index].call = NULL;
    submits->pending[index].generation++;
    submits->free[submits->free_n++] = index;
}

/* When one submit is refused after another was accepted, the outcome of the call is unknown: the
 * client sends all of it again. */
bool submits_produce(struct submits *submits, struct call *call, int64_t now_ms)
{
    struct pending *slot;
    uint32_t index;
    bool is_refused = false; /* and the call has its reply */

    if (is_turned_away(submits, call))
        return false;
    index = submits->free[--submits->free_n];
    slot = &submits->pending[index];
    slot->call = call;
    slot->left = 0;
    call->loop.deadline_ms = now_ms + CALL_DEADLINE_MS;
    for (int i = 0; i < call->log.submits_n && !call->log.unknown; i++) {
        enum cq_status st =
            submit_one(submits, &call->log.submits[i], opaque_of(index, slot->generation, i));

        if (st == CQ_OK) {
            slot->left++;
            continue;
        }
        call->log.unknown = true;
        if (st == CQ_POISON) { /* it passed the handler's checks, and not those of ingest */
            call_bad_request(
                call, "a value in the request is beyond its limit: /api/config has the limits");
            is_refused = true;
        }
    }
    if (!call->log.unknown)
        return true;
    slot->call = NULL;
    if (!slot->left)
        free_slot(submits, index);
    if (!is_refused)
        call_unknown(call);
    return false;
}

/* ---- reported, or not ----------------------------------------------------------------- */

struct call *submits_report(struct submits *submits, uint64_t opaque, int32_t partition,
                            int64_t offset, enum cq_status st)
{
    uint32_t index = (uint32_t)(opaque >> SUBMIT_BITS) & ((1U << SLOT_BITS) - 1);
    struct pending *slot = &submits->pending[index];
    struct call *call = slot->call;
    struct call_submit *submit;

    if (slot->generation != (uint32_t)(opaque >> (SLOT_BITS + SUBMIT_BITS)) || !slot->left)
        return NULL;
    slot->left--;
    if (call) {
        submit = &call->log.submits[opaque & ((1U << SUBMIT_BITS) - 1)];
        submit->partition = partition;
        submit->offset = offset;
        call->log.unknown |= st != CQ_OK;
    }
    if (slot->left)
        return NULL;
    free_slot(submits, index);
    if (call)
        call->loop.deadline_ms = 0; /* the view has its own */
    return call;
}

void submits_expire(struct submits *submits, int64_t now_ms,
                    void (*expired)(void *arg, struct call *call), void *arg)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        struct call *call = submits->pending[i].call;

        if (!call || now_ms < call->loop.deadline_ms)
            continue;
        submits->pending[i].call = NULL;
        call_unknown(call);
        expired(arg, call);
    }
}

/* ---- life ----------------------------------------------------------------------------- */

struct submits *submits_new(struct ingest *ingest, struct log_disk *log_disk)
{
    struct submits *submits = calloc(1, sizeof *submits);

    if (!submits)
        return NULL;
    submits->ingest = ingest;
    submits->log_disk = log_disk;
    for (uint32_t i = 0; i < CALLS_MAX; i++)
        submits->free[submits->free_n++] = CALLS_MAX - 1 - i;
    return submits;
}

void submits_free(struct submits *submits)
{
    free(submits);
}
