/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/attendance.h - whether users are here, shown to those who look. Gateways alone know it:
 * they have the sockets. While somebody looks at a user, the user's owner (signals_owner()) asks
 * all gateways about him, every ten seconds anew; they answer, and tell it when his first socket
 * comes or his last one goes; it tells the gateways of those who look. All of it is soft, and gone
 * in half a minute. Of users at whom nobody looks nothing is said. Pure: times are passed in.
 */
#pragma once

#include "edge/ws/looks.h"
#include "edge/ws/signals_out.h"
#include "edge/ws/watches.h"

enum {
    ATTENDANCE_ASKED_MS = 2000, /* after asking, who was not named is away */
};

struct attendance {
    struct signals_out *out; /* borrowed */
    struct looks looks;      /* of our sockets, at users */
    struct watches lookers;  /* as the owner: behind which slots somebody looks at a user … */
    struct watches here;     /* … and behind which the user is */
    struct watches asked;    /* of users: the slots of owners that want to know */
    int64_t now_ms, wall_ms;
};

void attendance_init(struct attendance *attendance, struct signals_out *out);
void attendance_release(struct attendance *attendance); /* nobody may look */

/** As signals_look(), at a user. What is known is shown. */
CQ_MUST_CHECK enum cq_status attendance_look(struct attendance *attendance, struct looker *by,
                                             struct cq_id user, int64_t until_ms, int64_t now_ms);

/** The first socket of a user here has come, or the last one has gone; port.here() says which. */
void attendance_changed(struct attendance *attendance, struct cq_id user, int64_t now_ms,
                        int64_t wall_ms);

/** What a record of another gateway says of users. */
void attendance_take(struct attendance *attendance, const struct signal_batch *batch,
                     int64_t now_ms);

/** Every ten seconds: look and ask again. */
void attendance_renew(struct attendance *attendance, int64_t now_ms);

/** Every 100 ms: forget what was not renewed. Who was only there is away. */
void attendance_sweep(struct attendance *attendance, int64_t now_ms, int64_t wall_ms);
