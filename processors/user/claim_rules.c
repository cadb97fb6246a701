/* SPDX-License-Identifier: MIT */
/*
 * processors/user/claim_rules.c - one token wakes one device. Whoever registers a token claims it
 * in the partition of the token; there the claims have one order. The claim then goes to the
 * partition of its user as PushRegistered, and PushMoved goes to the partition of the previous
 * owner. Both leave through one producer, so that each user's partition has them in the order of
 * the claims. PushSettled tells the token's partition whether the device kept the claim: this frees
 * tokens that no device uses any more, and finds a registration that came too late (of a processor
 * that had lost its partition).
 */
#include "processors/user/rules.h"

#include "schemas/names.h"

/* A record for user.inbox: in the partition of `key`. */
static struct user_action *emit_inbox(struct user_step *step, struct cq_id key, struct cq_id user,
                                      struct cq_id device, int64_t at_ms)
{
    struct user_output *output = user_emit(step, TOPIC_USER_INBOX);

    if (!output)
        return NULL;
    output->u.inbox.key = key;
    output->u.inbox.partition = topic_partition(key, step->state->held.n);
    output->u.inbox.action =
        (struct user_action){ .user_id = user, .device_id = device, .at_ms = at_ms };
    return &output->u.inbox.action;
}

enum cq_status user_emit_settled(struct user_step *step, struct cq_id user, struct cq_id device,
                                 const struct push_address *address, int64_t claim, bool kept)
{
    struct cq_id token = push_token_id(address->kind, address->token);
    struct user_action *action;

    if (claim < 0)
        return CQ_OK; /* of an edge that claimed nothing */
    action = emit_inbox(step, token, user, device, step->log_ms);
    if (!action)
        return CQ_FATAL;
    action->action.kind = USER_ACTION_PUSH_SETTLED;
    action->action.u.push_settled = (struct push_settled){ token, claim, kept };
    return CQ_OK;
}

static enum cq_status emit_moved(struct user_step *step, struct cq_id token, struct cq_id user,
                                 struct cq_id device, int64_t below)
{
    struct user_action *action = emit_inbox(step, user, user, device, step->log_ms);

    if (!action)
        return CQ_FATAL;
    action->action.kind = USER_ACTION_PUSH_MOVED;
    action->action.u.push_moved = (struct push_moved){ token, below };
    return CQ_OK;
}

/* The token as it is now. A token without an owner is a tombstone, unless a replay of this turn
 * will need the value to tell the previous owner. */
static enum cq_status emit_claim(struct user_step *step, struct cq_id token,
                                 const struct token_claim *claim)
{
    struct user_output *output = user_emit(step, TOPIC_PUSH_CLAIMS);

    if (!output)
        return CQ_FATAL;
    output->u.claim.gone = !claim_owned(&claim->now) && !claim_owned(&claim->before);
    output->u.claim.value = (struct push_claim){
        .token = token,
        .source = { TOPIC_GENERATION, step->state->partition, claim->now.claim },
        .user_id = claim->now.user_id,
        .device_id = claim->now.device_id,
        .has_before = claim_owned(&claim->before),
        .before = claim->before,
    };
    return CQ_OK;
}

static enum cq_status rule_push_claimed(struct user_step *step, const struct user_action *action)
{
    const struct push_address *address = &action->action.u.push_claimed.address;
    struct cq_id token = push_token_id(address->kind, address->token);
    struct token_claim *claim = claims_make(&step->state->claims, token);
    struct push_owner old;
    struct user_action *to;
    enum cq_status st;

    if (!claim)
        return CQ_POISON; /* CLAIMS_MAX */
    old = claim->now;
    if (old.claim > step->offset)
        return CQ_OK; /* a replay from long before: its outputs are published */
    claim_begin(claim, step->turn);
    claim->now = (struct push_owner){ action->user_id, action->device_id, step->offset };
    st = emit_claim(step, token, claim);
    if (st == CQ_OK && claim_owned(&old) && !claim_is_of(&old, action->user_id, action->device_id))
        st = emit_moved(step, token, old.user_id, old.device_id, step->offset);
    if (st != CQ_OK)
        return st;
    to = emit_inbox(step, action->user_id, action->user_id, action->device_id, action->at_ms);
    if (!to)
        return CQ_FATAL;
    to->action.kind = USER_ACTION_PUSH_REGISTERED;
    to->action.u.push_registered = (struct push_registered){ *address, step->offset };
    return CQ_OK;
}
const struct user_rule user_rule_push_claimed = {
    rule_push_claimed, TOPIC_BIT(TOPIC_PUSH_CLAIMS) | TOPIC_BIT(TOPIC_USER_INBOX)
};

static enum cq_status rule_push_settled(struct user_step *step, const struct user_action *action)
{
    const struct push_settled *settled = &action->action.u.push_settled;
    struct token_claim *claim = claims_get(&step->state->claims, settled->token);
    bool owns = claim && claim_is_of(&claim->now, action->user_id, action->device_id) &&
                claim->now.claim == settled->claim;
    bool same_turn = claim && claim->turn == step->turn;
    enum cq_status st;

    if (settled->kept)
        return owns ? CQ_OK
                    : emit_moved(step, settled->token, action->user_id, action->device_id,
                                 settled->claim + 1);
    if (!owns)
        return CQ_OK;
    if (!same_turn)
        claim->before = (struct push_owner){ 0 }; /* all outputs of that turn are published */
    claim->now = (struct push_owner){ .claim = settled->claim };
    st = emit_claim(step, settled->token, claim);
    if (!claim_owned(&claim->before))
        claims_remove(&step->state->claims, settled->token);
    return st;
}
const struct user_rule user_rule_push_settled = {
    rule_push_settled, TOPIC_BIT(TOPIC_PUSH_CLAIMS) | TOPIC_BIT(TOPIC_USER_INBOX)
};
