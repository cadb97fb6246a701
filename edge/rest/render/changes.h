/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/render/changes.h - what a sync tells besides chats and messages, as JSON objects (pure).
 */
#pragma once

#include "edge/rest/view/changes.h"

void render_tick(struct cq_buf *out, const struct tick_row *row);
void render_stale(struct cq_buf *out, const struct stale_row *row);
