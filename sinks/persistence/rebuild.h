/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/rebuild.h - `chasqui admin rebuild` and `rebuild-search`: the view, or
 * what search begins from, made anew from the log.
 */
#pragma once

#include "lib/pg/pg.h"

#include <stdio.h>

/**
 * In one transaction: drop the schemas view and model, apply their migrations again, and note in
 * view.rebuild how far each consumer had come. The sinks then read from the log's start, and send
 * no ticks and no dead letters until they are past that. Sinks that run meanwhile, idle ones too,
 * find within a second that it is another view, end, and begin again with it (lib/feed/whole.c).
 * Until they have filled it, it is not read: the migrations leave it incomplete.
 */
CQ_MUST_CHECK enum cq_status rebuild_view(struct pg *db, FILE *out);

/**
 * The same of schema search, and the view stays as it is: the role search finds other tables and
 * begins again. Meanwhile what is searched lacks what is not filled in yet, and answers say how much.
 */
CQ_MUST_CHECK enum cq_status rebuild_search(struct pg *db, FILE *out);
