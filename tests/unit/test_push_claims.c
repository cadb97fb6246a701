/* SPDX-License-Identifier: MIT */
/*
 * Whose a push token is: users claim the same tokens at once, processors are killed in the middle
 * of a turn, at any place of what it publishes, commits get lost, and a processor that had lost its
 * partition says late what it had to say. In the end each token wakes one device at most, that of
 * the last claim, and nobody lost a token that nobody took.
 */
#include "tests/unit/test.h"

#include "processors/user/turn.h"
#include "schemas/codec.h"
#include "schemas/names.h"

#include <stdlib.h>

enum {
    PARTITIONS = 3,
    DEVICES = 5, /* of as many users */
    TOKENS = 3,
    CLAIMS = 14,
    RECORDS_MAX = 4096,
    TURN_OUTPUTS_MAX = 256,
    SEEDS = 1500,
    ARENA = 16 << 20,
};

struct said {
    enum topic topic;
    int32_t partition;
    struct cq_span key, value;
    bool left; /* not published */
};

struct log {
    struct said v[RECORDS_MAX];
    size_t n;
};

struct world {
    struct cq_arena *arena;
    struct log inbox[PARTITIONS], targets[PARTITIONS], claims[PARTITIONS];
    struct user_state state[PARTITIONS]; /* of the processor that lives */
    struct user_turn *turn;
    size_t next[PARTITIONS], committed[PARTITIONS];
    struct said made[TURN_OUTPUTS_MAX], late[RECORDS_MAX];
    size_t made_n, late_n;
    unsigned seed;
    int last_of_token[TOKENS]; /* the device of the last claim in the log; -1: none */
    int last_of_device[DEVICES];
    int64_t clock;
    int kills;
};

static size_t below(struct world *w, size_t n)
{
    return (size_t)rand_r(&w->seed) % n;
}

static struct cq_id id_at(const char *domain, int n)
{
    const struct cq_span part = span_of(&n, sizeof n);

    return id_derive(domain, &part, 1);
}

static struct push_address address_of(int token)
{
    static const char *const tokens[TOKENS] = { "token-zero", "token-one", "token-two" };

    return (struct push_address){ .kind = PUSH_KIND_FCM_TOKEN, .token = span_str(tokens[token]) };
}

/* ---- a broker ------------------------------------------------------------------------- */

static void append(struct world *w, struct log *l, const struct said *s)
{
    if (l->n == RECORDS_MAX)
        abort();
    l->v[l->n] = *s;
    l->v[l->n].key = arena_copy(w->arena, s->key);
    if (s->value.p)
        l->v[l->n].value = arena_copy(w->arena, s->value);
    l->n++;
}

static void publish(struct world *w, const struct said *s)
{
    if (s->topic == TOPIC_USER_INBOX)
        append(w, &w->inbox[s->partition], s);
    else if (s->topic == TOPIC_PUSH_TARGETS)
        append(w, &w->targets[s->partition], s);
    else if (s->topic == TOPIC_PUSH_CLAIMS)
        append(w, &w->claims[s->partition], s);
    else
        abort();
}

static void write_action(struct world *w, struct cq_id key, const struct user_action *a)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION, .u.user_action = *a } };
    struct cq_id_text text = id_text(key);
    struct cq_buf value;

    buf_init(&value, TOPIC_RECORD_MAX);
    if (codec_encode(&user_inbox_codec, &record, &value) != CQ_OK)
        abort();
    publish(w, &(struct said){ TOPIC_USER_INBOX, topic_partition(key, PARTITIONS), span_str(text.s),
                               buf_span(&value), false });
    buf_release(&value);
}

/* As an edge does it. */
static void claim(struct world *w, int device, int token)
{
    const struct push_address address = address_of(token);

    write_action(
        w, push_token_id(address.kind, address.token),
        &(struct user_action){ id_at("user", device),
                               id_at("device", device),
                               ++w->clock,
                               { USER_ACTION_PUSH_CLAIMED, .u.push_claimed.address = address } });
    w->last_of_token[token] = device;
    w->last_of_device[device] = token;
}

/* ---- a processor ---------------------------------------------------------------------- */

static size_t port_room(void *arg)
{
    (void)arg;
    return 1 << 20;
}

static enum cq_status port_emit(void *arg, enum topic topic, int32_t partition, struct cq_span key,
                                struct cq_span value, int64_t at_ms)
{
    struct world *w = arg;

    (void)at_ms;
    if (w->made_n == TURN_OUTPUTS_MAX)
        abort();
    w->made[w->made_n++] = (struct said){ topic, partition, arena_copy(w->arena, key),
                                          value.p ? arena_copy(w->arena, value) : value, true };
    return CQ_OK;
}

static bool restore_device(struct user_state *s, int device)
{
    return user_restore(s, &(struct presence){ .user_id = id_at("user", device),
                                               .entry = { PRESENCE_DEVICE_ENTRY,
                                                          .u.device_entry.device_id =
                                                              id_at("device", device) } }) == CQ_OK;
}

static bool restore_target(struct world *w, struct user_state *s, const struct said *r)
{
    struct push_target value;
    struct cq_id user, device;

    if (r->value.p)
        return codec_decode(&push_target_codec, r->value, w->arena, &value, NULL) == CQ_OK &&
               user_restore_push(s, &value) == CQ_OK;
    if (!id_parse(span_of(r->key.p, CQ_ID_TEXT_LEN), &user) ||
        !id_parse(span_of(r->key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), &device))
        return false;
    user_restore_push_gone(s, user, device);
    return true;
}

static bool restore_claim(struct world *w, struct user_state *s, const struct said *r, size_t from)
{
    struct push_claim value;
    struct cq_id token;

    if (r->value.p)
        return codec_decode(&push_claim_codec, r->value, w->arena, &value, NULL) == CQ_OK &&
               claims_restore(&s->claims, &value, (int64_t)from) == CQ_OK;
    if (!id_parse(r->key, &token))
        return false;
    claims_remove(&s->claims, token);
    return true;
}

static bool start(struct world *w)
{
    w->turn = user_turn_new(4);
    for (int p = 0; p < PARTITIONS; p++) {
        struct user_state *s = &w->state[p];
        bool good = user_state_init(s, p, PARTITIONS, 4);

        for (int d = 0; good && d < DEVICES; d++)
            good = topic_partition(id_at("user", d), PARTITIONS) != p || restore_device(s, d);
        for (size_t i = 0; good && i < w->targets[p].n; i++)
            good = restore_target(w, s, &w->targets[p].v[i]);
        for (size_t i = 0; good && i < w->claims[p].n; i++)
            good = restore_claim(w, s, &w->claims[p].v[i], w->committed[p]);
        if (!good)
            return false;
        user_restore_end(s);
        w->next[p] = w->committed[p];
    }
    return w->turn != NULL;
}

static void stop(struct world *w)
{
    for (int p = 0; p < PARTITIONS; p++)
        user_state_release(&w->state[p]);
    user_turn_free(w->turn);
}

/* In each partition of each topic a beginning of what the turn made there is stored; a zombie may
 * still bring what it had for user.inbox. */
static void publish_some(struct world *w)
{
    for (size_t i = 0; i < w->made_n; i++) {
        struct said *s = &w->made[i];
        bool blocked = below(w, 3) == 0;

        for (size_t k = 0; k < i; k++)
            blocked |= w->made[k].left && w->made[k].topic == s->topic &&
                       w->made[k].partition == s->partition;
        s->left = blocked;
        if (!blocked)
            publish(w, s);
        else if (s->topic == TOPIC_USER_INBOX && w->late_n < RECORDS_MAX)
            w->late[w->late_n++] = *s;
    }
    if (below(w, 2))
        w->late_n = 0;
}

static void publish_late(struct world *w)
{
    for (size_t i = 0; i < w->late_n; i++)
        publish(w, &w->late[i]);
    w->late_n = 0;
}

static bool run_turn(struct world *w, int32_t p, bool killed)
{
    const struct output_port port = { w, port_room, port_emit };
    size_t n = 1 + below(w, 6);
    const char *why = "";

    w->made_n = 0;
    for (; n-- && w->next[p] < w->inbox[p].n; w->next[p]++) {
        struct user_input in = { &w->state[p], w->inbox[p].v[w->next[p]].value, (int64_t)w->next[p],
                                 ++w->clock };
        uint64_t place = 0;

        if (user_turn_step(w->turn, &in, &port, &place, &why) != CQ_OK)
            return false;
    }
    if (user_turn_end(w->turn, &port) != CQ_OK)
        return false;
    if (killed) {
        w->kills++;
        publish_some(w);
        stop(w);
        return start(w);
    }
    for (size_t i = 0; i < w->made_n; i++)
        publish(w, &w->made[i]);
    if (below(w, 2)) /* else the commit is lost, or later */
        w->committed[p] = w->next[p];
    return true;
}

static bool run_all(struct world *w)
{
    for (bool more = true; more;) {
        more = false;
        for (int p = 0; p < PARTITIONS; p++)
            while (w->next[p] < w->inbox[p].n) {
                more = true;
                if (!run_turn(w, p, false))
                    return false;
            }
    }
    return true;
}

/* ---- the end -------------------------------------------------------------------------- */

static bool has_token(const struct world *w, int device, int token)
{
    struct cq_id user = id_at("user", device);
    const struct user_entry *u =
        sessions_user(&w->state[topic_partition(user, PARTITIONS)].sessions, user);
    const struct known_device *d = u ? user_device(u, id_at("device", device)) : NULL;

    return d && d->push && span_eq(d->push->address.token, address_of(token).token);
}

/* NULL, or what is wrong. */
static const char *judge(const struct world *w)
{
    for (int t = 0; t < TOKENS; t++) {
        int last = w->last_of_token[t], holders = 0;

        for (int d = 0; d < DEVICES; d++)
            holders += has_token(w, d, t);
        if (holders > 1)
            return "a token wakes two devices";
        if (holders && !has_token(w, last, t))
            return "a token wakes a device that was not the last to claim it";
        if (!holders && last >= 0 && w->last_of_device[last] == t)
            return "a token that nobody took was lost";
    }
    return NULL;
}

static const char *run(unsigned seed, int *kills)
{
    static struct world w;
    const char *fault = NULL;

    memset(&w, 0, sizeof w);
    w.seed = seed;
    w.arena = arena_new(ARENA);
    for (int t = 0; t < TOKENS; t++)
        w.last_of_token[t] = -1;
    for (int d = 0; d < DEVICES; d++)
        w.last_of_device[d] = -1;
    if (!start(&w))
        return "no start";
    for (int claims = 0; !fault && claims < CLAIMS;) {
        size_t what = below(&w, 10);

        if (what < 4) {
            claim(&w, (int)below(&w, DEVICES), (int)below(&w, TOKENS));
            claims++;
        } else if (what == 4) {
            publish_late(&w);
        } else if (!run_turn(&w, (int32_t)below(&w, PARTITIONS), what < 7)) {
            fault = "a record is poison";
        }
    }
    publish_late(&w);
    if (!fault && !run_all(&w))
        fault = "a record is poison";
    if (!fault)
        fault = judge(&w);
    if (!fault && below(&w, 2)) { /* the same from what is stored */
        stop(&w);
        fault = start(&w) && run_all(&w) ? judge(&w) : "no restart";
    }
    *kills += w.kills;
    stop(&w);
    arena_free(w.arena);
    return fault;
}

TEST(a_token_wakes_the_device_of_its_last_claim_whatever_is_killed)
{
    int kills = 0;

    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        const char *fault = run(seed, &kills);

        if (fault) {
            fprintf(stderr, "seed %u\n", seed);
            CHECK_STR(fault, "");
        }
    }
    CHECK(kills > SEEDS);
}

/* The table has what is held, and nothing of what is not. */
TEST(a_token_that_nobody_uses_is_forgotten)
{
    static struct world w;
    size_t n = 0;

    w.arena = arena_new(ARENA);
    w.seed = 7;
    CHECK(start(&w));
    for (int i = 0; i < 30; i++) {
        claim(&w, i % DEVICES, i % TOKENS);
        CHECK(run_all(&w));
    }
    for (int d = 0; d < DEVICES; d++)
        write_action(&w, id_at("user", d),
                     &(struct user_action){
                         id_at("user", d),
                         id_at("device", d),
                         0,
                         { USER_ACTION_PUSH_UNREGISTERED,
                           .u.push_unregistered = { span_str("asked"), span_str(""), -1 } } });
    CHECK(run_all(&w));
    for (int p = 0; p < PARTITIONS; p++)
        n += w.state[p].claims.tokens.n;
    CHECK_EQ(n, 0);
    for (int p = 0; p < PARTITIONS; p++)
        CHECK(!w.claims[p].n || !w.claims[p].v[w.claims[p].n - 1].value.p);
    stop(&w);
    arena_free(w.arena);
}
