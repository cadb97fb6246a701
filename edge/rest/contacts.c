/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/contacts.c - who of some numbers is here.
 */
#include "edge/auth/lookups.h"
#include "edge/rest/rest.h"
#include "lib/base/count.h"

enum call_next handle_lookup(struct call *c, struct pg *db)
{
    const struct json *numbers = json_get(c->json, "phoneNumbers");
    size_t n = json_count(numbers), known = 0;
    struct cq_id *ids = ARENA_ARRAY(c->arena, struct cq_id, LOOKUP_IDS_MAX);
    struct cq_span *texts = ARENA_ARRAY(c->arena, struct cq_span, LOOKUP_IDS_MAX);
    cq_auto(pgresult) struct pg_result *rows = NULL;
    int64_t wait_ms = 0;
    struct pg_params p;
    enum cq_status st;

    if (!n || n > LOOKUP_IDS_MAX || !ids || !texts)
        return call_bad_request(c, "phoneNumbers: a list of 1 to 100 numbers");
    for (size_t i = 0; i < n; i++) {
        char number[PHONE_MAX + 1];
        struct cq_span text;

        if (!json_text(json_at(numbers, i), &text))
            return call_bad_request(c, "phoneNumbers: each must be text");
        if (!phone_normalize(text, number))
            continue;
        ids[known] = phone_user_id(c->conf->limits.pepper, number, 0);
        texts[known++] = text;
    }
    st = lookup_charge(db, &c->conf->limits, c->who.user, c->client, ids, known, c->now_ms,
                       &wait_ms);
    if (st != CQ_OK)
        return call_database(c, st);
    if (wait_ms) {
        count_add(COUNT_LOOKUPS_REFUSED, (int64_t)known);
        return call_limited(
            c, wait_ms,
            "phoneNumbers: too many of people you have no chat with; ask again after Retry-After seconds");
    }
    pg_params_init(&p, 8192);
    pg_add_uuid_array(&p, ids, NULL, known);
    st = pg_run(db, "SELECT user_id, name FROM view.users WHERE user_id = ANY($1)", &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return call_database(c, st);
    buf_add_str(&c->out, "{\"contacts\":[");
    for (size_t i = 0; i < known; i++)
        for (int r = 0; r < pg_rows(rows); r++) {
            if (!id_eq(pg_uuid(rows, r, 0), ids[i]))
                continue;
            buf_add_str(&c->out, c->out.p[c->out.n - 1] == '[' ? "{" : ",{");
            out_text(&c->out, "phoneNumber", texts[i]);
            out_id(&c->out, "userId", ids[i]);
            out_text(&c->out, "name", pg_bytes(rows, r, 1));
            buf_add_byte(&c->out, '}');
        }
    buf_add_str(&c->out, "]}");
    return call_reply(c, 200);
}
