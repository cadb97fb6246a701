/* SPDX-License-Identifier: MIT */
#include "edge/rest/chunks.h"

enum { DIGITS_MAX = 8 };

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void feed_digit(struct chunks *c, uint8_t byte)
{
    int digit = hex_digit(byte);

    if (digit >= 0 && c->digits < DIGITS_MAX) {
        c->left = c->left << 4 | (uint64_t)digit;
        c->digits++;
        c->state = CHUNKS_DIGITS;
    } else if (byte == '\r' && c->digits) {
        c->state = CHUNKS_SIZE_LF;
    } else {
        c->state = CHUNKS_BAD;
    }
}

static void feed_byte(struct chunks *c, uint8_t byte)
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

    switch (c->state) {
    case CHUNKS_SIZE:
    case CHUNKS_DIGITS:
        feed_digit(c, byte);
        break;
    case CHUNKS_SIZE_LF:
        c->body_n += c->left;
        c->digits = 0;
        c->state = byte != '\n' ? CHUNKS_BAD : c->left ? CHUNKS_DATA : CHUNKS_END_CR;
        break;
    case CHUNKS_DATA_CR:
    case CHUNKS_DATA_LF:
    case CHUNKS_END_CR:
    case CHUNKS_END_LF:
        c->state = byte == ends[c->state].want ? ends[c->state].next : CHUNKS_BAD;
        break;
    case CHUNKS_DATA:
    case CHUNKS_DONE:
    case CHUNKS_BAD:
        c->state = CHUNKS_BAD;
        break;
    }
}

size_t chunks_feed(struct chunks *c, struct cq_span raw)
{
    size_t at = 0;

    while (at < raw.n && c->state != CHUNKS_DONE && c->state != CHUNKS_BAD) {
        size_t n = raw.n - at;

        if (c->state != CHUNKS_DATA) {
            feed_byte(c, raw.p[at++]);
            continue;
        }
        if (n > c->left)
            n = (size_t)c->left;
        at += n;
        c->left -= n;
        if (!c->left)
            c->state = CHUNKS_DATA_CR;
    }
    return at;
}
