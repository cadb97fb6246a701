/* SPDX-License-Identifier: MIT */
#include "lib/pg/pg.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/ticker.h"

#include <stdlib.h>

enum { EVERY_MS = 1000, ANSWER_MS = 3000, END_MS = 1000 };

struct pg_watch {
    struct pg *db; /* owned */
    struct ticker ticker;
};

static int ask(void *arg)
{
    struct pg_watch *watch = arg;
    bool heard = pg_ready(watch->db, NULL) == CQ_OK && pg_script(watch->db, "SELECT 1") == CQ_OK;

    if (heard)
        contact_heard(CONTACT_DATABASE, clock_mono_ms());
    contact_tell(CONTACT_DATABASE, clock_mono_ms(),
                 heard ? "a statement waits" : pg_error(watch->db));
    return EVERY_MS;
}

enum cq_status pg_watch_start(const char *url, struct pg_watch **ret)
{
    struct pg_watch *watch = calloc(1, sizeof *watch);

    contact_expect(CONTACT_DATABASE, clock_mono_ms());
    if (!watch)
        return CQ_FATAL;
    watch->db = pg_new(url, "chasqui-watch");
    pg_limit(watch->db, ANSWER_MS);
    pg_uncounted(watch->db);
    if (ticker_start(&watch->ticker, ask, watch) != CQ_OK) {
        pg_watch_stop(watch);
        return CQ_FATAL;
    }
    *ret = watch;
    return CQ_OK;
}

void pg_watch_stop(struct pg_watch *watch)
{
    if (!watch)
        return;
    ticker_end(&watch->ticker);
    if (!ticker_join(&watch->ticker, END_MS))
        return; /* leaked on purpose: it waits for a server, and the process is ending */
    pg_free(watch->db);
    free(watch);
}
