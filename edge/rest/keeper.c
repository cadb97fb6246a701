/* SPDX-License-Identifier: MIT */
#include "edge/rest/keeper.h"

#include "edge/auth/sweep.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/ticker.h"

#include <stdlib.h>

enum { EVERY_MS = 10000, MORE_MS = 1000 };

struct keeper {
    struct ticker ticker;
    struct pg *db; /* owned; the thread's own */
};

/* True while there is more to do at once. */
static bool keep(struct keeper *keeper)
{
    static const struct cq_id all;
    int64_t now_ms = clock_wall_ms(), swept = 0, percent = 0;
    bool more = false;
    enum cq_status st = pg_ready(keeper->db, NULL);

    if (st == CQ_OK)
        st = auth_sweep(keeper->db, now_ms, &swept, &more);
    if (st == CQ_OK)
        st = budget_used(keeper->db, BUDGET_CODES_ALL, all, now_ms, &percent);
    if (st != CQ_OK) {
        log_debug("sweep_failed", LOG_S("why", pg_error(keeper->db)));
        return false;
    }
    count_add(COUNT_AUTH_SWEPT, swept);
    count_set(COUNT_CODES_USED, percent);
    return more;
}

static int tick(void *arg)
{
    return keep(arg) ? MORE_MS : EVERY_MS;
}

static void keeper_free(struct keeper *keeper)
{
    pg_free(keeper->db);
    free(keeper);
}

enum cq_status keeper_start(const char *database_url, struct keeper **ret)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);

    if (!keeper)
        return CQ_FATAL;
    keeper->db = pg_new(database_url, "chasqui-edge-rest-keeper");
    if (!keeper->db || ticker_start(&keeper->ticker, tick, keeper) != CQ_OK) {
        keeper_free(keeper);
        return CQ_FATAL;
    }
    *ret = keeper;
    return CQ_OK;
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper)
        return;
    ticker_end(&keeper->ticker);
    pg_cancel(keeper->db);
    ticker_join(&keeper->ticker, -1);
    keeper_free(keeper);
}
