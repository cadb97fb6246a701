/* SPDX-License-Identifier: MIT */
#include "schemas/names.h"

#include "lib/base/hash.h"

#include <string.h>

static struct cq_span id_span(const struct cq_id *id)
{
    return span_of(id->b, sizeof id->b);
}

struct cq_id chat_id_direct(struct cq_id a, struct cq_id b)
{
    bool ordered = id_cmp(a, b) <= 0;
    const struct cq_span parts[] = { id_span(ordered ? &a : &b), id_span(ordered ? &b : &a) };

    return id_derive("chat.direct", parts, ARRAY_LEN(parts));
}

struct cq_id chat_id_group(struct cq_id creator, struct cq_span client_id)
{
    const struct cq_span parts[] = { id_span(&creator), client_id };

    return id_derive("chat.group", parts, ARRAY_LEN(parts));
}

struct cq_id message_id(struct cq_id chat, struct cq_id sender, struct cq_span client_id)
{
    const struct cq_span parts[] = { id_span(&chat), id_span(&sender), client_id };

    return id_derive("message", parts, ARRAY_LEN(parts));
}

struct cq_id change_id(struct cq_id chat, struct cq_id user, struct cq_span client_id)
{
    const struct cq_span parts[] = { id_span(&chat), id_span(&user), client_id };

    return id_derive("message.change", parts, ARRAY_LEN(parts));
}

struct cq_id invite_hash(struct cq_id chat, struct cq_id secret)
{
    const struct cq_span parts[] = { span_str("invite\n"), id_span(&chat), id_span(&secret) };
    uint8_t hash[32];
    struct cq_id id;

    sha256(parts, ARRAY_LEN(parts), hash);
    memcpy(id.b, hash, sizeof id.b);
    return id;
}

static void put_be(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

struct cq_id event_id(const char *topic, int32_t generation, int32_t partition, int64_t offset,
                      int32_t index)
{
    uint8_t at[20];
    const struct cq_span parts[] = { span_str(topic), span_of(at, sizeof at) };

    put_be(at, (uint32_t)generation, 4);
    put_be(at + 4, (uint32_t)partition, 4);
    put_be(at + 8, (uint64_t)offset, 8);
    put_be(at + 16, (uint32_t)index, 4);
    return id_derive("event", parts, ARRAY_LEN(parts));
}

struct cq_id push_token_id(enum push_kind kind, struct cq_span token)
{
    const uint8_t byte = (uint8_t)kind;
    const struct cq_span parts[] = { span_of(&byte, 1), token };

    return id_derive("push.token", parts, ARRAY_LEN(parts));
}
