/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/render/media.h - files as JSON objects (pure).
 */
#pragma once

#include "edge/rest/view/media.h"

void render_media(struct cq_buf *out, const struct media *media);

/** One that was announced only. */
void render_pending_media(struct cq_buf *out, struct cq_id id, int64_t size);
