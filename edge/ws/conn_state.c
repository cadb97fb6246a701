/* SPDX-License-Identifier: MIT */
#include "edge/ws/conn_state.h"

#include "lib/base/assert.h"

#define BIT(state) (1U << (state))

static const unsigned open_states =
    BIT(CONN_GUEST) | BIT(CONN_KNOWN) | BIT(CONN_DOOMED) | BIT(CONN_CLOSING) | BIT(CONN_CLOSED);

static const unsigned live_states = BIT(CONN_GUEST) | BIT(CONN_KNOWN) | BIT(CONN_DOOMED);

static const unsigned known_states = BIT(CONN_KNOWN) | BIT(CONN_DOOMED);

/* What each state may follow. */
static unsigned allowed_before(enum conn_state to)
{
    switch (to) {
    case CONN_VOUCHED:
        return BIT(CONN_HANDSHAKE);
    case CONN_MISPLACED:
        return BIT(CONN_HANDSHAKE) | BIT(CONN_VOUCHED);
    case CONN_GUEST:
        return BIT(CONN_HANDSHAKE) | BIT(CONN_VOUCHED) | BIT(CONN_MISPLACED);
    case CONN_KNOWN:
        return BIT(CONN_GUEST);
    case CONN_DOOMED:
        return BIT(CONN_KNOWN);
    case CONN_CLOSING:
        return live_states;
    case CONN_CLOSED:
        return live_states | BIT(CONN_CLOSING);
    case CONN_GONE:
        return open_states;
    case CONN_HANDSHAKE: /* only zeroed memory */
    case CONN_STATE_N:
        break;
    }
    return 0;
}

bool conn_state_may_follow(enum conn_state from, enum conn_state to)
{
    return (allowed_before(to) & BIT(from)) != 0;
}

void conn_state_move(enum conn_state *state, enum conn_state to)
{
    CQ_ASSERT(conn_state_may_follow(*state, to), *state, to);
    *state = to;
}

bool conn_state_is_open(enum conn_state state)
{
    return (open_states & BIT(state)) != 0;
}

bool conn_state_is_live(enum conn_state state)
{
    return (live_states & BIT(state)) != 0;
}

bool conn_state_is_known(enum conn_state state)
{
    return (known_states & BIT(state)) != 0;
}
