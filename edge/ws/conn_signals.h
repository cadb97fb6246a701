/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/conn_signals.h - the frames of a connection about looking, typing and being here. On the
 * loop, as conn.h.
 */
#pragma once

#include "edge/ws/client_frame.h"
#include "edge/ws/gateway.h"

void conn_look(struct conn *conn, const struct client_frame *frame);
void conn_unlook(struct conn *conn, const struct client_frame *frame);
void conn_signal(struct conn *conn, const struct client_frame *frame);

/** The client says that it is in the foreground, or not. */
void conn_be(struct conn *conn, const struct client_frame *frame);

/** The same without a limit: of a socket that comes or goes. */
void conn_set_here(struct conn *conn, bool here);

/** The port's: one frame, now or never. */
bool conn_show(void *conn, struct cq_id user, struct cq_span frame);

/** The session was told of a change of a chat's members: what it was allowed there ends, and so do
 * all tickets of before. */
void conn_members_changed(void *conn, struct cq_id chat);

/** One of the two of this direct chat has blocked the other: a look at the other ends, and so do all
 * tickets for people of before. */
void conn_parted(void *conn, struct cq_id chat);

/** About once a second. */
void conn_signals_tick(struct conn *conn);

/** It looks at nothing any more. */
void conn_signals_end(struct conn *conn);
