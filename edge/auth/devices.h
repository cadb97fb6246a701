/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/devices.h - devices and refresh tokens. Schema auth.
 */
#pragma once

#include "edge/auth/accounts.h"
#include "edge/auth/challenges.h"
#include "schemas/limits.h"

enum { REFRESH_BYTES = 32, REFRESH_TEXT = 43 /* base64url */, ACCESS_TTL_S = 15 * 60 };
#define REFRESH_TTL_MS ((int64_t)60 * 24 * 3600 * 1000)

enum {
    DEVICES_EVICTED_MAX = 2 /* reported of one log-in; more only where there were too many before */
};

/** The devices that one more device would end, newest first: for the log. Nothing is changed. */
CQ_MUST_CHECK enum cq_status devices_over(struct pg *db, struct cq_id user,
                                          struct cq_id ret_over[DEVICES_EVICTED_MAX],
                                          size_t *ret_over_n);

/** Add a device and end the user's oldest above LIMIT_USER_DEVICES with their refresh tokens, all
 * or nothing. To be called once the log has the new one: a log-in that fails must end no device.
 * `by` is the device of the same user that let it in, or zero. If that is logged in no more nothing
 * is done, and `*ret_added` is false: whoever ends `by` before finds no device of its making later.
 * The same when the account is deleted. */
CQ_MUST_CHECK enum cq_status device_add(struct pg *db, struct cq_id device, struct cq_id user,
                                        struct cq_id by, int64_t now_ms, bool *ret_added);

/** Whether a device is logged in and this user's own. */
CQ_MUST_CHECK enum cq_status device_is_own(struct pg *db, struct cq_id device, struct cq_id user,
                                           bool *ret);

/** The devices that are logged in, newest first, at most LIMIT_USER_DEVICES: id, platform and label
 * ("" while the view does not know them), when it was added and when it last had new tokens. `*ret`
 * is owned by the caller. */
CQ_MUST_CHECK enum cq_status device_list(struct pg *db, struct cq_id user, struct pg_result **ret);

/** The other devices of this user that are logged in, newest first, at most `max` of them: into
 * `ret_others`. */
CQ_MUST_CHECK enum cq_status devices_others(struct pg *db, struct cq_id user, struct cq_id device,
                                            size_t max, struct cq_id *ret_others,
                                            size_t *ret_others_n);

/** Revoke a device, its refresh tokens and the exports that it asked for. */
CQ_MUST_CHECK enum cq_status device_revoke(struct pg *db, struct cq_id device, int64_t now_ms);

/** Whether a device is logged in; while the doors are closed (doors.h) that is not known. */
enum device_state { DEVICE_LOGGED_OUT, DEVICE_LIVE, DEVICE_DOORS_CLOSED };

/** A zero device, which stands for none yet, is never logged in. */
CQ_MUST_CHECK enum cq_status device_look(struct pg *db, struct cq_id device,
                                         enum device_state *ret);

/** A new refresh token of the device, in text. */
CQ_MUST_CHECK enum cq_status refresh_make(struct pg *db, struct cq_id device, struct cq_id user,
                                          int64_t now_ms, char out[REFRESH_TEXT + 1]);

/** The device, and its user, that a refresh token was made for, whether the token still works or
 * not; both zero: unknown. */
CQ_MUST_CHECK enum cq_status refresh_owner(struct pg *db, struct cq_span token,
                                           struct cq_id *ret_device, struct cq_id *ret_user);

enum refresh_verdict {
    REFRESH_YES,
    REFRESH_NO,
    REFRESH_REUSED, /* used before: somebody has stolen it, so the device has to end */
};

/** Use a refresh token: it works once. */
CQ_MUST_CHECK enum cq_status refresh_use(struct pg *db, struct cq_span token, int64_t now_ms,
                                         enum refresh_verdict *ret, struct cq_id *ret_device,
                                         struct cq_id *ret_user);
