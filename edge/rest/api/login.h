/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/login.h - how a device comes to be and gets its tokens, whatever let it in: a code
 * that was sent to its user's number (accounts.c), or another device of that user (links.c).
 */
#pragma once

#include "edge/auth/devices.h"
#include "edge/rest/server/call.h"
#include "lib/json/members.h"

/** What a request says of the device that is to be. */
struct login_wish {
    struct cq_span label;
    bool has_platform;
    unsigned platform_word;
};

/** The members of its body that do: `platform` and `label`. */
extern const struct json_members login_wish_members;

/** The platform as a word; "other" where none was named. Static. */
struct cq_span login_platform(const struct login_wish *wish);

#define LOGIN_CODE_RULE "challenge and code: both are required"

/** Use a code that was sent to a number. CALL_GO_ON: it was the right one; `ret_name`, in the arena, is
 * the name that came with its request. Else the call has its reply. */
enum call_next login_try_code(struct call *call, struct pg *db, struct cq_id challenge,
                              struct cq_span code, char ret_number[PHONE_MAX + 1],
                              struct cq_span *ret_name);

/** Reply that the code is wrong or expired. */
enum call_next login_bad_code(struct call *call);

/** A log-in on its way. Whoever lets the device in sets the first part. */
struct login {
    struct cq_id user;
    struct cq_id by; /* the device that let it in; zero: none did */
    struct cq_span platform, label, name;
    bool is_new; /* the user */
    /* what login_begin() sets */
    struct cq_id device, evicted[DEVICES_EVICTED_MAX];
    size_t evicted_n;
};

/** Submit the device, and the end of those that it puts out. CALL_GO_ON, or the call has its reply.
 */
enum call_next login_begin(struct call *call, struct pg *db, struct login *login);

/** Once the log has it: the device counts, and those that it puts out are ended. `*ret_added` is
 * false when the device that let it in was ended meanwhile, or the account was deleted: nothing
 * counts then, and the submitted device has to be taken back. */
enum call_next login_add(struct call *call, struct pg *db, const struct login *login,
                         bool *ret_added);

/** Reply with a new pair of tokens. */
enum call_next login_tokens(struct call *call, struct pg *db, struct cq_id user,
                            struct cq_id device);
