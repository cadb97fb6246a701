/* SPDX-License-Identifier: MIT */
/* Nanoseconds a message for what every message pays: encode, decode, render. Prints, asserts
 * nothing. */
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "schemas/codec.h"
#include "schemas/frame.h"
#include "schemas/names.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 1000 * 1000, RECORD_MAX = 1024 * 1024 };

static volatile size_t sink; /* keeps the work from being optimized away */

#define BENCH(what, size, body)                                                       \
    do {                                                                              \
        int64_t start_us = clock_mono_us();                                           \
        for (int i_ = 0; i_ < ROUNDS; i_++) {                                         \
            body;                                                                     \
        }                                                                             \
        printf("%-28s %6.0f ns  %5zu bytes\n", what,                                  \
               (double)(clock_mono_us() - start_us) * 1000 / ROUNDS, (size_t)(size)); \
    } while (0)

static void bench_chat_event(const char *content)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(RECORD_MAX);
    cq_auto(buf) struct cq_buf bytes = { 0 };
    cq_auto(buf) struct cq_buf frame = { 0 };
    struct chat_event back, event = {
        .event_id = id_random(),
        .chat_id = id_random(),
        .seq = ((int64_t)1 << 48) + 123456789,
        .at_ms = 1764000000000,
        .source = { 1, 7, 123456789 },
        .user_id = id_random(),
        .device_id = id_random(),
        .client_id = span_str("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"),
        .event = { .kind = CHAT_EVENT_MESSAGE_ACCEPTED,
                   .u.message_accepted = { .id = id_random(),
                                           .has_peer = true,
                                           .peer = id_random(),
                                           .content_type = span_str("text/plain; charset=utf-8"),
                                           .content = span_str(content) } },
    };

    buf_init(&bytes, RECORD_MAX);
    buf_init(&frame, RECORD_MAX);
    BENCH("chat_event encode", bytes.n, {
        buf_clear(&bytes);
        if (codec_encode(&chat_event_codec, &event, &bytes) != CQ_OK)
            abort();
    });
    BENCH("chat_event decode", bytes.n, {
        if (codec_decode(&chat_event_codec, buf_span(&bytes), arena, &back, NULL) != CQ_OK)
            abort();
        sink += back.event.u.message_accepted.content.n;
    });
    BENCH("frame_event", frame.n, {
        buf_clear(&frame);
        frame_event(&frame, &event);
        sink += frame.n;
    });
}

static void bench_ws_push(size_t sessions)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(RECORD_MAX);
    cq_auto(buf) struct cq_buf bytes = { 0 };
    struct ws_target *to = calloc(sessions, sizeof *to);
    struct ws_entry entry = { .chat_id = id_random(),
                              .seq = 99,
                              .frame = span_str("\"t\":\"message\",\"content\":\"a frame\"}"),
                              .to = to,
                              .to_n = sessions };
    struct ws_push back, push = { .entries = &entry, .entries_n = 1 };

    buf_init(&bytes, RECORD_MAX);
    BENCH("ws_push encode", bytes.n, {
        buf_clear(&bytes);
        if (codec_encode(&ws_push_codec, &push, &bytes) != CQ_OK)
            abort();
    });
    BENCH("ws_push decode", bytes.n, {
        arena_reset(arena);
        if (codec_decode(&ws_push_codec, buf_span(&bytes), arena, &back, NULL) != CQ_OK)
            abort();
        sink += back.entries_n;
    });
    free(to);
}

int main(void)
{
    struct cq_id chat = id_random(), peer = id_random();

    puts("20 characters of content:");
    bench_chat_event("nos vemos a las ocho");
    puts("200 characters, with accents:");
    bench_chat_event(
        "Mañana salgo temprano y llego antes de las ocho; si quieres nos vemos en la estación y "
        "desayunamos allí. Avísame cuando salgas, por favor: así no espero en el frío como la "
        "última vez, ¿de acuerdo? Sí.");
    puts("one entry for 8 sessions:");
    bench_ws_push(8);
    puts("ids:");
    BENCH("message_id", 16, sink += message_id(chat, peer, span_str("client-1")).b[0]);
    BENCH("event_id", 16, sink += event_id("chat.actions", 1, 2, i_, 0).b[0]);
    return 0;
}
