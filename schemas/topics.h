/* SPDX-License-Identifier: MIT */
/*
 * schemas/topics.h - the one table of topics: creation, docs and lints derive from it.
 */
#pragma once

#include "lib/base/id.h"

#include <stdint.h>
#include <stdio.h>

enum topic {
    TOPIC_CHAT_ACTIONS,
    TOPIC_CHAT_EVENTS,
    TOPIC_MEMBERS,
    TOPIC_REJECTIONS,
    TOPIC_DELIVERY_STATUS,
    TOPIC_USER_INBOX,
    TOPIC_USER_EVENTS,
    TOPIC_PRESENCE,
    TOPIC_WS_PUSH,
    TOPIC_PUSH_TARGETS,
    TOPIC_PUSH_CLAIMS,
    TOPIC_PUSH_MUTES,
    TOPIC_MOBILE_PUSH,
    TOPIC_PUSH_OUTCOMES,
    TOPIC_N
};

/** Generation of the topics on the message road: rises when a topic is replaced, at most 31. It
 * starts at 1, so that no seq is 0, which everywhere means "none". */
enum {
    TOPIC_GENERATION = 1,
    TOPIC_GENERATION_MAX = 31,
    TOPIC_RECORD_MAX = 1024 * 1024,
    TOPIC_CUT_BYTES = 512 * 1024
};

enum topic_width { TOPIC_BY_PARTITIONS, TOPIC_BY_SLOTS };

enum { TOPIC_GROUPS_MAX = 4 };

/* What a role does with a topic: lib/base/roles.h. */
enum topic_use { TOPIC_FOLLOWED, TOPIC_READ, TOPIC_WRITTEN };

struct topic_spec {
    const char *name;
    const char *schema; /* record name in schemas/, "" for none */
    enum topic_width width;
    const char *cleanup;  /* cleanup.policy */
    int64_t retention_ms; /* -1: for ever */
    int64_t compaction_lag_ms;
    bool public_log; /* a contract with other teams: evolves FULL_TRANSITIVE */
    bool may_lose;   /* what is oldest may go for want of room: retention.bytes is the operator's */
    bool append_time; /* record times are the broker's, not the writer's */
    bool has_dlq;     /* somebody consumes it, so what can never succeed goes to <name>.dlq */
    /* Whose turn writes it, so that what it lost can be made once more; TOPIC_N: nobody's. */
    enum topic made_from;
    const char *key;    /* for the docs */
    const char *others; /* who reads it besides the roles, for the docs; NULL: nobody */
};

/** The row of `t`; never NULL for t < TOPIC_N. */
const struct topic_spec *topic_spec(enum topic t);
static inline const char *topic_name(enum topic t)
{
    return topic_spec(t)->name;
}

/** Who keeps a place in `t`: Kafka groups of the roles that follow it, TOPIC_GROUPS_MAX at most and
 * NULL after the last of fewer. Static. */
const char *const *topic_groups(enum topic t);

/** The i-th role that uses `t` so, by its word; NULL: there are only i. Static. */
const char *topic_user(enum topic t, enum topic_use how, size_t i);

/** Partition of an id among n: murmur2 of its 36-character text, as Kafka's default partitioner
 * does. */
int32_t topic_partition(struct cq_id id, int32_t n);

/** seq = generation * 2^48 + offset: exact in a double up to generation 31. */
static inline int64_t seq_make(int32_t generation, int64_t offset)
{
    return ((int64_t)generation << 48) | offset;
}
static inline int64_t seq_offset(int64_t seq)
{
    return seq & (((int64_t)1 << 48) - 1);
}

enum { TOPIC_NAME_MAX = 64, TOPIC_CONFIG_MAX = 12 };

/** A topic as the broker should have it. Its config points into itself: do not copy it. */
struct topic_wanted {
    char name[TOPIC_NAME_MAX];
    int32_t partitions;
    const char *config[2 * TOPIC_CONFIG_MAX + 1]; /* name, value, …, NULL */
    size_t config_n;
    char numbers[TOPIC_CONFIG_MAX][24]; /* values that are numbers */
    size_t numbers_n;
};

/** The i-th topic there should be, dead-letter topics after all others; false: there are only i. */
bool topic_wanted(size_t i, int32_t partitions, int32_t slots, struct topic_wanted *ret);

/** The table as Markdown, for docs/topics.md. */
void topics_print_markdown(FILE *out);
