/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/mailbox.h - calls handed from one thread to another.
 */
#pragma once

#include "edge/rest/server/call.h"

struct mailbox; /* any thread */

struct mailbox *mailbox_new(size_t max); /* NULL without memory */
void mailbox_free(struct mailbox *mailbox);

/** False when it is full. */
CQ_MUST_CHECK bool mailbox_put(struct mailbox *mailbox, struct call *call);

/** All calls that are there, in their order, linked by loop.next; NULL: none. Never waits. */
struct call *mailbox_take_all(struct mailbox *mailbox);

/** One call; waits until there is one, or until the box is closed (NULL). */
struct call *mailbox_take_wait(struct mailbox *mailbox);

/** Wake all who wait; from then on nobody does. */
void mailbox_close(struct mailbox *mailbox);

/** A descriptor that is readable when something was put; mailbox_take_all() clears it. */
int mailbox_fd(struct mailbox *mailbox);
