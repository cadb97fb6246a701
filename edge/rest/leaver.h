/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/leaver.h - a thread that makes of each deletion of an account what follows from it: the log
 * is told, so that devices end and what the account showed goes, and the account leaves its groups. It
 * looks again and again, ever more seldom, until the view shows no group: so whoever is killed or
 * cannot write leaves nothing undone, and who is added later leaves again.
 */
#pragma once

#include "lib/base/status.h"

#include <stdint.h>

struct leaver;

enum { LEAVER_GROUPS_MAX = 64 /* that an account leaves in one look */ };

struct leaver_conf {
    const char *database_url; /* copied */
    const char *brokers;      /* borrowed for as long as the thread lives */
    int32_t partitions;
};

/** `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status leaver_start(const struct leaver_conf *conf, struct leaver **ret);

/** Ends the thread, within ten seconds. NULL is fine. */
void leaver_stop(struct leaver *leaver);
