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
    TOPIC_SIGNALS,
    TOPIC_N
};

/** A set of topics: TOPIC_BIT(a) | TOPIC_BIT(b). */
#define TOPIC_BIT(topic) (1u << (topic))
_Static_assert(TOPIC_N <= 32, "a bit for each topic");

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
    bool is_truth;    /* what it lost nobody can make again: synced before it is acknowledged, with
                    * DURABILITY=synced. Dead letters and TOPIC_SCHEMAS are, too. */
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

/** Outputs of the stage over `input` that can be made again from it. Each commit says how far they
 * reached (lib/bus/proof.h): one number each, of the partition that is the input's or of one slot. */
enum { TOPIC_PROVEN_MAX = 16, TOPIC_PROVEN_SLOTS_MAX = 8 };
struct topic_proven {
    enum topic topic;
    int32_t slot; /* -1: the partition that is the input's */
};

/** Their number; 0 for what is no stage's input. Slots are among them only where there are
 * TOPIC_PROVEN_SLOTS_MAX at most: the text of a commit is short. */
size_t topic_proven(enum topic input, int32_t slots, struct topic_proven ret[TOPIC_PROVEN_MAX]);

/** seq = generation * 2^48 + offset: exact in a double up to generation 31. */
static inline int64_t seq_make(int32_t generation, int64_t offset)
{
    return ((int64_t)generation << 48) | offset;
}

/** The largest there can be: 2^53 - 1. */
#define SEQ_MAX (((int64_t)1 << 53) - 1)
_Static_assert(SEQ_MAX == ((int64_t)(TOPIC_GENERATION_MAX + 1) << 48) - 1, "all generations fit");

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

/* The versions of schemas that builds announce (lib/bus/versions.h): one partition, kept for ever. It
 * is no topic of the road: nobody keeps a place in it, and what it loses is announced again. */
#define TOPIC_SCHEMAS "schemas"

/** The i-th topic there should be: those of the table, TOPIC_SCHEMAS, dead-letter topics; false:
 * there are only i. With `synced` what is truth is synced record by record. */
bool topic_wanted(size_t i, int32_t partitions, int32_t slots, bool synced,
                  struct topic_wanted *ret);

/** The table as Markdown, for docs/topics.md. */
void topics_print_markdown(FILE *out);
