/* SPDX-License-Identifier: MIT */
/*
 * sinks/search/write.h - texts into the tables of schema search.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/search/texts.h"

/** Write them inside the open transaction: new ones first, then what became of any, in order. What is
 * over is not written. Replays change nothing. */
CQ_MUST_CHECK enum cq_status texts_write(const struct texts *texts, struct pg *db,
                                         struct pg_params *params);

enum {
    TEXT_VERSIONS = 8, /* of an edited message: the newest ones that somebody may still read */
    TEXTS_DUE = 32,    /* that one statement removes */
};

/** Remove what is over of these parts. *ret_full: there may be more. */
CQ_MUST_CHECK enum cq_status texts_remove_due(struct pg *db, struct pg_params *params,
                                              const int32_t *parts, size_t parts_n, bool *ret_full);
