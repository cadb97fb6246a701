/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/media_store.h"

#include "edge/rest/api/conf.h"
#include "edge/rest/server/answer.h"

bool media_there(struct call *call)
{
    if (call->conf->media.store.where[0])
        return true;
    call_error(call, 404, "not_found", "this server keeps no files (MEDIA_STORE is not set)");
    return false;
}

enum call_next call_file_gone(struct call *call)
{
    return call_error(call, 410, "gone", "its owner took this file away");
}

enum call_next call_store(struct call *call, enum cq_status st)
{
    if (st == CQ_POISON && store_fault(call->worker.store) == STORE_MISSING)
        return call_not_found(call);
    if (store_fault(call->worker.store) == STORE_FULL) {
        call->reply.retry_after_s = 60;
        return call_error(call, 507, "store_full",
                          "the store of files is full: send it again after Retry-After seconds");
    }
    return call_unavailable(
        call, "the store of files does not answer now: ask again after Retry-After seconds");
}
