/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/render/messages.h - messages as JSON objects (pure).
 */
#pragma once

#include "edge/rest/view/messages.h"

void render_message(struct cq_buf *out, const struct message_row *row);
void render_receipt(struct cq_buf *out, const struct receipt_row *row);
