/* SPDX-License-Identifier: MIT */
#include "edge/ws/attendance.h"

#include "lib/base/count.h"
#include "schemas/frame.h"

enum { FRAME_MAX = 512 };

void attendance_init(struct attendance *attendance, struct signals_out *out)
{
    *attendance = (struct attendance){ .out = out };
    looks_init(&attendance->looks);
    watches_init(&attendance->lookers);
    watches_init(&attendance->here);
    watches_init(&attendance->asked);
}

void attendance_release(struct attendance *attendance)
{
    looks_release(&attendance->looks);
    watches_release(&attendance->lookers);
    watches_release(&attendance->here);
    watches_release(&attendance->asked);
}

/* ---- what is known ------------------------------------------------------------------------ */

static bool here_with_us(const struct attendance *attendance, struct cq_id user)
{
    return attendance->out->port.here(attendance->out->port.arg, user);
}

static bool here_elsewhere(const struct attendance *attendance, struct cq_id user, int64_t now_ms)
{
    int32_t slots[WATCH_SLOTS_MAX];

    return watches_of(&attendance->here, user, now_ms, slots) > 0;
}

static bool is_ours(const struct attendance *attendance, struct cq_id user)
{
    return signals_is_ours(attendance->out, signals_owner(attendance->out, user));
}

/* Whether others were asked about him long enough ago to have answered. */
static bool is_settled(const struct attendance *attendance, struct cq_id user, int64_t now_ms)
{
    const struct looked *at = looks_at(&attendance->looks, user);
    int64_t since_ms = watches_since(&attendance->lookers, user, now_ms);

    if (at && at->since_ms < since_ms)
        since_ms = at->since_ms;
    return since_ms <= now_ms - ATTENDANCE_ASKED_MS;
}

/* As the owner. False: nobody can say yet. */
static bool find_state(const struct attendance *attendance, struct cq_id user, int64_t now_ms,
                       struct presence_signal *ret)
{
    bool here = here_with_us(attendance, user) || here_elsewhere(attendance, user, now_ms);

    *ret = (struct presence_signal){ user, here ? PRESENCE_STATE_HERE : PRESENCE_STATE_AWAY, 0 };
    return here || is_settled(attendance, user, now_ms);
}

/* ---- showing ------------------------------------------------------------------------------ */

static void render(struct cq_buf *frame, const struct presence_signal *signal)
{
    buf_init(frame, FRAME_MAX);
    buf_add_byte(frame, '{');
    frame_presence(frame, signal);
}

static void show_to(const struct attendance *attendance, const struct look *look,
                    const struct presence_signal *signal, struct cq_span frame)
{
    count_add(COUNT_SIGNALS_SHOWN,
              attendance->out->port.show(look->by->conn, signal->user_id, frame));
}

/* To our sockets, if it is news. */
static void show_here(struct attendance *attendance, const struct presence_signal *signal,
                      int64_t now_ms)
{
    struct looked *at = looks_at(&attendance->looks, signal->user_id);
    cq_auto(buf) struct cq_buf frame = { 0 };

    buf_init(&frame, FRAME_MAX);
    if (!at || at->state == signal->state)
        return;
    at->state = signal->state;
    at->at_ms = signal->at_ms;
    render(&frame, signal);
    for (const struct look *look = at->first; look && !frame.failed; look = look->next)
        if (look->until_ms > now_ms)
            show_to(attendance, look, signal, buf_span(&frame));
}

/* As the owner: to all who look. */
static void tell(struct attendance *attendance, const struct presence_signal *signal,
                 int64_t now_ms)
{
    int32_t slots[WATCH_SLOTS_MAX];
    size_t n = watches_of(&attendance->lookers, signal->user_id, now_ms, slots);

    show_here(attendance, signal, now_ms);
    for (size_t i = 0; i < n; i++)
        if (!signals_is_ours(attendance->out, slots[i]))
            signals_put(attendance->out, slots[i], SIGNALS_SEEN, signal);
}

/* ---- looking ------------------------------------------------------------------------------ */

/* As the owner, of somebody behind `slot`; -1: behind one of ours. */
static void owner_look(struct attendance *attendance, struct cq_id user, int32_t slot, bool first,
                       int64_t now_ms)
{
    struct presence_signal signal;

    if (slot >= 0 && !watches_renew(&attendance->lookers, user, slot, now_ms)) {
        count_add(COUNT_SIGNALS_DROPPED, 1);
        return;
    }
    if (first)
        signals_ask(attendance->out, user);
    if (!find_state(attendance, user, now_ms, &signal))
        return;
    if (slot < 0)
        show_here(attendance, &signal, now_ms);
    else
        signals_put(attendance->out, slot, SIGNALS_SEEN, &signal);
}

static bool is_looked_at(const struct attendance *attendance, struct cq_id user, int64_t now_ms)
{
    return looks_at(&attendance->looks, user) ||
           watches_since(&attendance->lookers, user, now_ms) != INT64_MAX;
}

/* To one socket that looks where another did before: what was shown to that one. */
static void show_again(struct attendance *attendance, const struct looker *by, struct looked *at)
{
    struct presence_signal signal = { at->subject, at->state, at->at_ms };
    cq_auto(buf) struct cq_buf frame = { 0 };

    buf_init(&frame, FRAME_MAX);
    if (at->state == PRESENCE_STATE_N)
        return;
    render(&frame, &signal);
    for (const struct look *look = at->first; look && !frame.failed; look = look->next)
        if (look->by == by)
            show_to(attendance, look, &signal, buf_span(&frame));
}

enum cq_status attendance_look(struct attendance *attendance, struct looker *by, struct cq_id user,
                               int64_t until_ms, int64_t now_ms)
{
    int32_t owner = signals_owner(attendance->out, user);
    bool was_looked_at = is_looked_at(attendance, user, now_ms), first;
    enum cq_status st = looks_add(&attendance->looks, by, user, until_ms, &first);

    if (st != CQ_OK)
        return st;
    if (!first) {
        show_again(attendance, by, looks_at(&attendance->looks, user));
        return CQ_OK;
    }
    looks_at(&attendance->looks, user)->since_ms = now_ms;
    if (signals_is_ours(attendance->out, owner))
        owner_look(attendance, user, -1, !was_looked_at, now_ms);
    else
        signals_put(attendance->out, owner, SIGNALS_PEOPLE, &user);
    return CQ_OK;
}

/* ---- coming and going --------------------------------------------------------------------- */

void attendance_changed(struct attendance *attendance, struct cq_id user, int64_t now_ms,
                        int64_t wall_ms)
{
    struct presence_signal signal = { user, PRESENCE_STATE_AWAY, wall_ms };
    int32_t slots[WATCH_SLOTS_MAX];
    size_t n;

    if (!attendance->asked.n && !attendance->lookers.n && !attendance->looks.n)
        return; /* nobody looks at anybody */
    if (here_with_us(attendance, user))
        signal.state = PRESENCE_STATE_HERE;
    n = watches_of(&attendance->asked, user, now_ms, slots);
    for (size_t i = 0; i < n; i++)
        if (!signals_is_ours(attendance->out, slots[i]))
            signals_put(attendance->out, slots[i], SIGNALS_CAME, &signal);
    if (is_ours(attendance, user) && is_looked_at(attendance, user, now_ms) &&
        !here_elsewhere(attendance, user, now_ms))
        tell(attendance, &signal, now_ms);
}

/* As the owner: a gateway says that a user came, or went. */
static void owner_hears(struct attendance *attendance, const struct presence_signal *signal,
                        int32_t slot, int64_t now_ms)
{
    struct presence_signal before, after;
    bool known = find_state(attendance, signal->user_id, now_ms, &before);

    if (signal->state == PRESENCE_STATE_AWAY)
        watches_drop(&attendance->here, signal->user_id, slot);
    else if (!watches_renew(&attendance->here, signal->user_id, slot, now_ms))
        count_add(COUNT_SIGNALS_DROPPED, 1);
    if (!find_state(attendance, signal->user_id, now_ms, &after) && before.state == after.state)
        return;
    if (known && before.state == after.state)
        return;
    after.at_ms = signal->at_ms;
    tell(attendance, &after, now_ms);
}

static void on_asked(struct attendance *attendance, struct cq_id user, int32_t slot, int64_t now_ms)
{
    struct presence_signal signal = { user, PRESENCE_STATE_HERE, 0 };

    if (!watches_renew(&attendance->asked, user, slot, now_ms))
        count_add(COUNT_SIGNALS_DROPPED, 1);
    if (here_with_us(attendance, user))
        signals_put(attendance->out, slot, SIGNALS_CAME, &signal);
}

void attendance_take(struct attendance *attendance, const struct signal_batch *batch,
                     int64_t now_ms)
{
    for (size_t i = 0; i < batch->people_n; i++)
        owner_look(attendance, batch->people[i], batch->from_slot,
                   !is_looked_at(attendance, batch->people[i], now_ms), now_ms);
    for (size_t i = 0; i < batch->asked_n; i++)
        on_asked(attendance, batch->asked[i], batch->from_slot, now_ms);
    for (size_t i = 0; i < batch->came_n; i++)
        owner_hears(attendance, &batch->came[i], batch->from_slot, now_ms);
    for (size_t i = 0; i < batch->seen_n; i++)
        show_here(attendance, &batch->seen[i], now_ms);
}

/* ---- time --------------------------------------------------------------------------------- */

void attendance_renew(struct attendance *attendance, int64_t now_ms)
{
    struct cq_id user;
    uint64_t value;

    for (size_t at = 0; idmap_next(&attendance->looks.by_subject, &at, &user, &value);) {
        int32_t owner = signals_owner(attendance->out, user);

        if (!signals_is_ours(attendance->out, owner))
            signals_put(attendance->out, owner, SIGNALS_PEOPLE, &user);
        else
            owner_look(attendance, user, -1, true, now_ms);
    }
    for (size_t at = 0; idmap_next(&attendance->lookers.by_subject, &at, &user, &value);)
        if (is_ours(attendance, user) && !looks_at(&attendance->looks, user))
            signals_ask(attendance->out, user);
}

/* The last gateway that had a user has not said so for half a minute. */
static void on_gone(void *arg, struct cq_id user)
{
    struct attendance *attendance = arg;
    struct presence_signal signal = { user, PRESENCE_STATE_AWAY, attendance->wall_ms };

    if (!here_with_us(attendance, user) && is_ours(attendance, user))
        tell(attendance, &signal, attendance->now_ms);
}

void attendance_sweep(struct attendance *attendance, int64_t now_ms, int64_t wall_ms)
{
    attendance->now_ms = now_ms;
    attendance->wall_ms = wall_ms;
    watches_sweep(&attendance->lookers, now_ms, NULL, NULL);
    watches_sweep(&attendance->asked, now_ms, NULL, NULL);
    watches_sweep(&attendance->here, now_ms, on_gone, attendance);
}
