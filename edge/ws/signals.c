/* SPDX-License-Identifier: MIT */
#include "edge/ws/signals.h"

#include "lib/base/count.h"
#include "schemas/codec.h"
#include "schemas/frame.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { ARENA_MAX = 4 * 1024 * 1024, FRAME_MAX = 512 };

enum cq_status signals_init(struct signals *signals, struct signals_port port, int32_t slots)
{
    *signals = (struct signals){ .arena = arena_new(ARENA_MAX) };
    looks_init(&signals->looks);
    watches_init(&signals->watches);
    attendance_init(&signals->attendance, &signals->out);
    return signals->arena ? signals_out_init(&signals->out, port, slots) : CQ_FATAL;
}

void signals_release(struct signals *signals)
{
    looks_release(&signals->looks);
    watches_release(&signals->watches);
    attendance_release(&signals->attendance);
    arena_free(signals->arena);
    signals_out_release(&signals->out);
}

/* ---- showing ---------------------------------------------------------------------------- */

static void show_here(struct signals *signals, const struct signal *signal, int64_t now_ms)
{
    const struct looked *at = looks_at(&signals->looks, signal->chat_id);
    cq_auto(buf) struct cq_buf frame = { 0 };

    buf_init(&frame, FRAME_MAX);
    if (!at)
        return;
    buf_add_byte(&frame, '{');
    frame_typing(&frame, signal);
    for (const struct look *look = at->first; look && !frame.failed; look = look->next)
        if (look->until_ms > now_ms)
            count_add(COUNT_SIGNALS_SHOWN,
                      signals->out.port.show(look->by->conn, signal->user_id, buf_span(&frame)));
}

/* As the owner: to the slots behind which somebody looks, but for our own and the writer's. */
static void show_there(struct signals *signals, const struct signal *signal, int32_t from_slot,
                       int64_t now_ms)
{
    int32_t slots[WATCH_SLOTS_MAX];
    size_t n = watches_of(&signals->watches, signal->chat_id, now_ms, slots);

    for (size_t i = 0; i < n; i++)
        if (slots[i] != from_slot && !signals_is_ours(&signals->out, slots[i]))
            signals_put(&signals->out, slots[i], SIGNALS_SHOWN, signal);
}

enum cq_status signals_look(struct signals *signals, struct looker *by, struct cq_id chat,
                            int64_t until_ms)
{
    int32_t owner = signals_owner(&signals->out, chat);
    bool first;
    enum cq_status st = looks_add(&signals->looks, by, chat, until_ms, &first);

    if (st == CQ_OK && first && !signals_is_ours(&signals->out, owner))
        signals_put(&signals->out, owner, SIGNALS_LOOK, &chat);
    return st;
}

void signals_say(struct signals *signals, const struct signal *signal, int64_t now_ms)
{
    int32_t owner = signals_owner(&signals->out, signal->chat_id);

    count_add(COUNT_SIGNALS_SAID, 1);
    show_here(signals, signal, now_ms);
    if (signals_is_ours(&signals->out, owner))
        show_there(signals, signal, -1, now_ms);
    else
        signals_put(&signals->out, owner, SIGNALS_SAID, signal);
}

enum cq_status signals_take(struct signals *signals, struct cq_span value, int64_t now_ms)
{
    struct signal_batch record;
    const char *why;

    arena_reset(signals->arena);
    if (codec_decode(&signal_batch_codec, value, signals->arena, &record, &why) != CQ_OK)
        return CQ_POISON;
    for (size_t i = 0; i < record.looks_n; i++)
        if (!watches_renew(&signals->watches, record.looks[i], record.from_slot, now_ms))
            count_add(COUNT_SIGNALS_DROPPED, 1);
    for (size_t i = 0; i < record.said_n; i++) {
        show_here(signals, &record.said[i], now_ms);
        show_there(signals, &record.said[i], record.from_slot, now_ms);
    }
    for (size_t i = 0; i < record.shown_n; i++)
        show_here(signals, &record.shown[i], now_ms);
    attendance_take(&signals->attendance, &record, now_ms);
    return CQ_OK;
}

/* ---- time ------------------------------------------------------------------------------- */

static void renew(struct signals *signals)
{
    size_t at = 0;
    struct cq_id chat;
    uint64_t value;

    while (idmap_next(&signals->looks.by_subject, &at, &chat, &value)) {
        int32_t owner = signals_owner(&signals->out, chat);

        if (!signals_is_ours(&signals->out, owner))
            signals_put(&signals->out, owner, SIGNALS_LOOK, &chat);
    }
}

void signals_tick(struct signals *signals, int64_t now_ms, int64_t wall_ms)
{
    if (signals_reply_slot_moved(&signals->out) ||
        now_ms - signals->renewed_ms >= SIGNALS_RENEW_MS) {
        signals->renewed_ms = now_ms;
        renew(signals);
        attendance_renew(&signals->attendance, now_ms);
    }
    signals_flush(&signals->out);
    watches_sweep(&signals->watches, now_ms, NULL, NULL);
    attendance_sweep(&signals->attendance, now_ms, wall_ms);
}
