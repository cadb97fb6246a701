/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/contacts.c - who of some numbers is here.
 */
#include "edge/auth/accounts.h"
#include "edge/auth/lookups.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/render/users.h"
#include "edge/rest/server/answer.h"
#include "lib/base/count.h"

struct lookup_ask {
    struct cq_span *numbers;              /* as they were written */
    struct cq_span plain[LOOKUP_IDS_MAX]; /* the same in the form that is stored */
    struct cq_id ids[LOOKUP_IDS_MAX];     /* whose they are; of nobody's an id that nobody has */
    size_t n;
};

_Static_assert(LOOKUP_IDS_MAX == 100, "the rule says so");
static const struct json_member lookup_rows[] = {
    JSON_MEMBER("phoneNumbers", JSON_TEXTS, struct lookup_ask, numbers,
                .n_off = offsetof(struct lookup_ask, n), .least = 1, .most = LOOKUP_IDS_MAX,
                .rule = "phoneNumbers: a list of 1 to 100 numbers, each as text"),
};
static const struct json_members lookup_body = JSON_MEMBERS(lookup_rows);

/* What is no phone number is left out of the answer, as is a number that nobody has. */
static enum call_next parse_lookup(struct call *call, void *asked)
{
    struct lookup_ask *ask = asked;
    size_t n = 0;

    for (size_t i = 0; i < ask->n; i++) {
        char number[PHONE_MAX + 1];

        if (!phone_normalize(ask->numbers[i], number))
            continue;
        ask->plain[n] = arena_copy(call->arena, span_str(number));
        if (!ask->plain[n].p)
            return call_internal(call);
        ask->numbers[n++] = ask->numbers[i];
    }
    ask->n = n;
    return CALL_GO_ON;
}

static void out_contacts(struct cq_buf *body, const struct lookup_ask *ask,
                         const struct pg_result *rows)
{
    bool is_first = true;

    buf_add_str(body, "{\"contacts\":[");
    for (size_t i = 0; i < ask->n; i++)
        for (int row = 0; row < pg_rows(rows); row++) {
            struct user_name found = user_name_at(rows, row);

            if (!id_eq(found.id, ask->ids[i]))
                continue;
            if (!is_first)
                buf_add_byte(body, ',');
            render_contact(body, &found, ask->numbers[i]);
            is_first = false;
        }
    buf_add_str(body, "]}");
}

static enum call_next begin_lookup(struct call *call, struct pg *db, void *asked)
{
    struct lookup_ask *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    const struct auth_limits *limits = &call->conf->limits;
    int64_t wait_ms = 0;
    enum cq_status st = account_holders(db, limits->pepper, ask->plain, ask->n, ask->ids);

    if (st == CQ_OK)
        st = lookup_charge(db, limits, call->request.who.user, call->request.address, ask->ids,
                           ask->n, call->request.at_ms, &wait_ms);
    if (st != CQ_OK)
        return call_database(call, st);
    if (wait_ms) {
        count_add(COUNT_LOOKUPS_REFUSED, (int64_t)ask->n);
        return call_limited(
            call, wait_ms,
            "phoneNumbers: too many of people you have no chat with; ask again after Retry-After seconds");
    }
    st = view_user_names(db, ask->ids, ask->n, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    out_contacts(&call->reply.body, ask, rows);
    return call_reply(call, 200);
}

/* A read: nothing enters the log. */
static const struct write lookup_write = {
    .asked_bytes = sizeof(struct lookup_ask),
    .body = &lookup_body,
    .parse = parse_lookup,
    .begin = begin_lookup,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/contacts/lookup", true, write_run, "who of these numbers is here", 0,
      &lookup_write },
};

const struct routes contacts_routes = { rows, ARRAY_LEN(rows) };
