/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/evidence.h - whether our configuration is wrong when a provider says that a token is
 * not ours (pure). Anybody can register a made-up token, and one for another app, so such an answer
 * says something about our configuration only when many users' tokens get it and none is taken.
 */
#pragma once

#include "lib/base/id.h"

#include <stdbool.h>

enum {
    EVIDENCE_USERS = 20,   /* so many users' tokens, and not one taken: it is the configuration */
    EVIDENCE_TEXT_MAX = 48 /* of evidence_format, with its end */
};

struct evidence {
    bool proven; /* the provider took something with this configuration: it is right */
    int n;
    struct cq_id users[EVIDENCE_USERS]; /* whose tokens were refused before that */
};

/** A token of `user` was called foreign. True: the configuration is wrong, as far as can be
 * seen. */
bool evidence_foreign(struct evidence *evidence, struct cq_id user);

/** Something was taken. */
void evidence_taken(struct evidence *evidence);

/** The text of a commit: "o" and where to begin in push.outcomes, and, once it is proven, "p" and
 * the fingerprint of the configuration, so that a restart need not prove it again. */
void evidence_format(const struct evidence *evidence, int64_t said, uint32_t fingerprint,
                     char out[EVIDENCE_TEXT_MAX]);

/** The reverse: where to begin, -1 when the text says nothing. What another configuration has
 * proven is not taken over. */
int64_t evidence_parse(struct evidence *evidence, const char *text, uint32_t fingerprint);
