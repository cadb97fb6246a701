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

static size_t below(struct world *world, size_t n)
{
    return (size_t)rand_r(&world->seed) % n;
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

static void append(struct world *world, struct log *log, const struct said *said)
{
    if (log->n == RECORDS_MAX)
        abort();
    log->v[log->n] = *said;
    log->v[log->n].key = arena_copy(world->arena, said->key);
    if (said->value.p)
        log->v[log->n].value = arena_copy(world->arena, said->value);
    log->n++;
}

static void publish(struct world *world, const struct said *said)
{
    if (said->topic == TOPIC_USER_INBOX)
        append(world, &world->inbox[said->partition], said);
    else if (said->topic == TOPIC_PUSH_TARGETS)
        append(world, &world->targets[said->partition], said);
    else if (said->topic == TOPIC_PUSH_CLAIMS)
        append(world, &world->claims[said->partition], said);
    else
        abort();
}

static void write_action(struct world *world, struct cq_id key, const struct user_action *action)
{
    struct user_inbox record = { .body = { USER_INBOX_USER_ACTION, .u.user_action = *action } };
    struct cq_id_text text = id_text(key);
    struct cq_buf value;

    buf_init(&value, TOPIC_RECORD_MAX);
    if (codec_encode(&user_inbox_codec, &record, &value) != CQ_OK)
        abort();
    publish(world, &(struct said){ TOPIC_USER_INBOX, topic_partition(key, PARTITIONS),
                                   span_str(text.s), buf_span(&value), false });
    buf_release(&value);
}

/* As an edge does it. */
static void claim(struct world *world, int device, int token)
{
    const struct push_address address = address_of(token);

    write_action(
        world, push_token_id(address.kind, address.token),
        &(struct user_action){ id_at("user", device),
                               id_at("device", device),
                               ++world->clock,
                               { USER_ACTION_PUSH_CLAIMED, .u.push_claimed.address = address } });
    world->last_of_token[token] = device;
    world->last_of_device[device] = token;
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
    struct world *world = arg;

    (void)at_ms;
    if (world->made_n == TURN_OUTPUTS_MAX)
        abort();
    world->made[world->made_n++] =
        (struct said){ topic, partition, arena_copy(world->arena, key),
                       value.p ? arena_copy(world->arena, value) : value, true };
    return CQ_OK;
}

static bool restore_device(struct user_state *state, int device)
{
    return user_restore(state, &(struct presence){ .user_id = id_at("user", device),
                                                   .entry = { PRESENCE_DEVICE_ENTRY,
                                                              .u.device_entry.device_id = id_at(
                                                                  "device", device) } }) == CQ_OK;
}

static bool restore_target(struct world *world, struct user_state *state, const struct said *said)
{
    struct push_target value;
    struct cq_id user, device;

    if (said->value.p)
        return codec_decode(&push_target_codec, said->value, world->arena, &value, NULL) == CQ_OK &&
               user_restore_push(state, &value) == CQ_OK;
    if (!id_parse(span_of(said->key.p, CQ_ID_TEXT_LEN), &user) ||
        !id_parse(span_of(said->key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), &device))
        return false;
    user_restore_push_gone(state, user, device);
    return true;
}

static bool restore_claim(struct world *world, struct user_state *state, const struct said *said,
                          size_t from)
{
    struct push_claim value;
    struct cq_id token;

    if (said->value.p)
        return codec_decode(&push_claim_codec, said->value, world->arena, &value, NULL) == CQ_OK &&
               claims_restore(&state->claims, &value, (int64_t)from) == CQ_OK;
    if (!id_parse(said->key, &token))
        return false;
    claims_remove(&state->claims, token);
    return true;
}

static bool start(struct world *world)
{
    world->turn = user_turn_new(4);
    for (int p = 0; p < PARTITIONS; p++) {
        struct user_state *state = &world->state[p];
        bool good = user_state_init(state, p, PARTITIONS, 4);

        for (int device = 0; good && device < DEVICES; device++)
            good = topic_partition(id_at("user", device), PARTITIONS) != p ||
                   restore_device(state, device);
        for (size_t i = 0; good && i < world->targets[p].n; i++)
            good = restore_target(world, state, &world->targets[p].v[i]);
        for (size_t i = 0; good && i < world->claims[p].n; i++)
            good = restore_claim(world, state, &world->claims[p].v[i], world->committed[p]);
        if (!good)
            return false;
        user_restore_end(state);
        world->next[p] = world->committed[p];
    }
    return world->turn != NULL;
}

static void stop(struct world *world)
{
    for (int p = 0; p < PARTITIONS; p++)
        user_state_release(&world->state[p]);
    user_turn_free(world->turn);
}

/* In each partition of each topic a beginning of what the turn made there is stored; a zombie may
 * still bring what it had for user.inbox. */
static void publish_some(struct world *world)
{
    for (size_t i = 0; i < world->made_n; i++) {
        struct said *said = &world->made[i];
        bool blocked = below(world, 3) == 0;

        for (size_t late = 0; late < i; late++)
            blocked |= world->made[late].left && world->made[late].topic == said->topic &&
                       world->made[late].partition == said->partition;
        said->left = blocked;
        if (!blocked)
            publish(world, said);
        else if (said->topic == TOPIC_USER_INBOX && world->late_n < RECORDS_MAX)
            world->late[world->late_n++] = *said;
    }
    if (below(world, 2))
        world->late_n = 0;
}

static void publish_late(struct world *world)
{
    for (size_t i = 0; i < world->late_n; i++)
        publish(world, &world->late[i]);
    world->late_n = 0;
}

static bool run_turn(struct world *world, int32_t p, bool killed)
{
    const struct output_port port = { world, port_room, port_emit };
    size_t n = 1 + below(world, 6);
    const char *why = "";

    world->made_n = 0;
    for (; n-- && world->next[p] < world->inbox[p].n; world->next[p]++) {
        struct user_input in = { &world->state[p], world->inbox[p].v[world->next[p]].value,
                                 (int64_t)world->next[p], ++world->clock };
        uint64_t place = 0;

        if (user_turn_step(world->turn, &in, &port, &place, &why) != CQ_OK)
            return false;
    }
    if (user_turn_end(world->turn, &port) != CQ_OK)
        return false;
    if (killed) {
        world->kills++;
        publish_some(world);
        stop(world);
        return start(world);
    }
    for (size_t i = 0; i < world->made_n; i++)
        publish(world, &world->made[i]);
    if (below(world, 2)) /* else the commit is lost, or later */
        world->committed[p] = world->next[p];
    return true;
}

static bool run_all(struct world *world)
{
    for (bool more = true; more;) {
        more = false;
        for (int p = 0; p < PARTITIONS; p++)
            while (world->next[p] < world->inbox[p].n) {
                more = true;
                if (!run_turn(world, p, false))
                    return false;
            }
    }
    return true;
}

/* ---- the end -------------------------------------------------------------------------- */

static bool has_token(const struct world *world, int device, int token)
{
    struct cq_id user = id_at("user", device);
    const struct user_entry *entry =
        sessions_user(&world->state[topic_partition(user, PARTITIONS)].sessions, user);
    const struct known_device *known_device =
        entry ? user_device(entry, id_at("device", device)) : NULL;

    return known_device && known_device->push &&
           span_eq(known_device->push->address.token, address_of(token).token);
}

/* NULL, or what is wrong. */
static const char *judge(const struct world *world)
{
    for (int t = 0; t < TOKENS; t++) {
        int last = world->last_of_token[t], holders = 0;

        for (int d = 0; d < DEVICES; d++)
            holders += has_token(world, d, t);
        if (holders > 1)
            return "a token wakes two devices";
        if (holders && !has_token(world, last, t))
            return "a token wakes a device that was not the last to claim it";
        if (!holders && last >= 0 && world->last_of_device[last] == t)
            return "a token that nobody took was lost";
    }
    return NULL;
}

static const char *run(unsigned seed, int *kills)
{
    static struct world world;
    const char *fault = NULL;

    memset(&world, 0, sizeof world);
    world.seed = seed;
    world.arena = arena_new(ARENA);
    for (int token = 0; token < TOKENS; token++)
        world.last_of_token[token] = -1;
    for (int device = 0; device < DEVICES; device++)
        world.last_of_device[device] = -1;
    if (!start(&world))
        return "no start";
    for (int claims = 0; !fault && claims < CLAIMS;) {
        size_t what = below(&world, 10);

        if (what < 4) {
            claim(&world, (int)below(&world, DEVICES), (int)below(&world, TOKENS));
            claims++;
        } else if (what == 4) {
            publish_late(&world);
        } else if (!run_turn(&world, (int32_t)below(&world, PARTITIONS), what < 7)) {
            fault = "a record is poison";
        }
    }
    publish_late(&world);
    if (!fault && !run_all(&world))
        fault = "a record is poison";
    if (!fault)
        fault = judge(&world);
    if (!fault && below(&world, 2)) { /* the same from what is stored */
        stop(&world);
        fault = start(&world) && run_all(&world) ? judge(&world) : "no restart";
    }
    *kills += world.kills;
    stop(&world);
    arena_free(world.arena);
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
    static struct world world;
    size_t n = 0;

    world.arena = arena_new(ARENA);
    world.seed = 7;
    CHECK(start(&world));
    for (int i = 0; i < 30; i++) {
        claim(&world, i % DEVICES, i % TOKENS);
        CHECK(run_all(&world));
    }
    for (int device = 0; device < DEVICES; device++)
        write_action(&world, id_at("user", device),
                     &(struct user_action){
                         id_at("user", device),
                         id_at("device", device),
                         0,
                         { USER_ACTION_PUSH_UNREGISTERED,
                           .u.push_unregistered = { span_str("asked"), span_str(""), -1 } } });
    CHECK(run_all(&world));
    for (int p = 0; p < PARTITIONS; p++)
        n += world.state[p].claims.tokens.n;
    CHECK_EQ(n, 0);
    for (int p = 0; p < PARTITIONS; p++)
        CHECK(!world.claims[p].n || !world.claims[p].v[world.claims[p].n - 1].value.p);
    stop(&world);
    arena_free(world.arena);
}
