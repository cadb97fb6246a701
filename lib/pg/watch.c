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
    struct pg_watch *w = arg;
    bool heard = pg_ready(w->db, NULL) == CQ_OK && pg_script(w->db, "SELECT 1") == CQ_OK;

    if (heard)
        contact_heard(CONTACT_DATABASE, clock_mono_ms());
    contact_tell(CONTACT_DATABASE, clock_mono_ms(), heard ? "a statement waits" : pg_error(w->db));
    return EVERY_MS;
}

enum cq_status pg_watch_start(const char *url, struct pg_watch **ret)
{
    struct pg_watch *w = calloc(1, sizeof *w);

    contact_expect(CONTACT_DATABASE, clock_mono_ms());
    if (!w)
        return CQ_FATAL;
    w->db = pg_new(url, "chasqui-watch");
    pg_limit(w->db, ANSWER_MS);
    pg_uncounted(w->db);
    if (ticker_start(&w->ticker, ask, w) != CQ_OK) {
        pg_watch_stop(w);
        return CQ_FATAL;
    }
    *ret = w;
    return CQ_OK;
}

void pg_watch_stop(struct pg_watch *w)
{
    if (!w)
        return;
    ticker_end(&w->ticker);
    if (!ticker_join(&w->ticker, END_MS))
        return; /* leaked on purpose: it waits for a server, and the process is ending */
    pg_free(w->db);
    free(w);
}
