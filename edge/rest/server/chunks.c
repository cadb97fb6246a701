/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/chunks.h"

#include "lib/base/hash.h"

enum { DIGITS_MAX = 8 };

static void feed_digit(struct chunks *chunks, uint8_t byte)
{
    int digit = hex_digit(byte);

    if (digit >= 0 && chunks->digits < DIGITS_MAX) {
        chunks->left = chunks->left << 4 | (uint64_t)digit;
        chunks->digits++;
        chunks->state = CHUNKS_DIGITS;
    } else if (byte == '\r' && chunks->digits) {
        chunks->state = CHUNKS_SIZE_LF;
    } else {
        chunks->state = CHUNKS_BAD;
    }
}

static void feed_byte(struct chunks *chunks, uint8_t byte)
{
    static const struct {
        uint8_t want;
        enum chunks_state next;
    } ends[] = {
        [CHUNKS_DATA_CR] = { '\r', CHUNKS_DATA_LF },
        [CHUNKS_DATA_LF] = { '\n', CHUNKS_SIZE },
        [CHUNKS_END_CR] = { '\r', CHUNKS_END_LF },
        [CHUNKS_END_LF] = { '\n', CHUNKS_DONE },
    };

    switch (chunks->state) {
    case CHUNKS_SIZE:
    case CHUNKS_DIGITS:
        feed_digit(chunks, byte);
        break;
    case CHUNKS_SIZE_LF:
        chunks->body_n += chunks->left;
        chunks->digits = 0;
        chunks->state = byte != '\n' ? CHUNKS_BAD : chunks->left ? CHUNKS_DATA : CHUNKS_END_CR;
        break;
    case CHUNKS_DATA_CR:
    case CHUNKS_DATA_LF:
    case CHUNKS_END_CR:
    case CHUNKS_END_LF:
        chunks->state = byte == ends[chunks->state].want ? ends[chunks->state].next : CHUNKS_BAD;
        break;
    case CHUNKS_DATA:
    case CHUNKS_DONE:
    case CHUNKS_BAD:
        chunks->state = CHUNKS_BAD;
        break;
    }
}

size_t chunks_feed(struct chunks *chunks, struct cq_span raw)
{
    size_t at = 0;

    while (at < raw.n && chunks->state != CHUNKS_DONE && chunks->state != CHUNKS_BAD) {
        size_t n = raw.n - at;

        if (chunks->state != CHUNKS_DATA) {
            feed_byte(chunks, raw.p[at++]);
            continue;
        }
        if (n > chunks->left)
            n = (size_t)chunks->left;
        at += n;
        chunks->left -= n;
        if (!chunks->left)
            chunks->state = CHUNKS_DATA_CR;
    }
    return at;
}
