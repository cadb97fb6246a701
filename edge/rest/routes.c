/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/routes.c - the table of routes: dispatch and documentation come from it.
 */
#include "edge/rest/rest.h"

static const struct route routes[] = {
    { "POST", "/api/register", false, handle_register,
      "send a code; the name is set when it is used" },
    { "POST", "/api/login", false, handle_login, "send a code" },
    { "POST", "/api/verify", false, handle_verify, "use the code: tokens" },
    { "POST", "/api/token/refresh", false, handle_refresh, "a new pair of tokens" },
    { "POST", "/api/logout", true, handle_logout, "end this device" },
    { "GET", "/api/me", true, handle_me, "who I am" },
    { "PATCH", "/api/me", true, handle_me_edit, "my name" },
    { "POST", "/api/contacts/lookup", true, handle_lookup, "who of these numbers is here" },
    { "POST", "/api/chats", true, handle_chat_make, "a direct chat or a group" },
    { "GET", "/api/chats", true, handle_chats, "my chats" },
    { "GET", "/api/chats/{}", true, handle_chat, "one chat with its members" },
    { "PATCH", "/api/chats/{}", true, handle_chat_rename, "a group's name" },
    { "POST", "/api/chats/{}/members", true, handle_members_add, "add to a group" },
    { "DELETE", "/api/chats/{}/members/{}", true, handle_member_remove, "remove, or leave" },
    { "PUT", "/api/chats/{}/members/{}", true, handle_member_role, "give a role" },
    { "POST", "/api/messages", true, handle_message_send, "send" },
    { "GET", "/api/chats/{}/messages", true, handle_history, "history" },
    { "POST", "/api/chats/{}/read", true, handle_read, "move my read cursor" },
    { "GET", "/api/messages/{}/receipts", true, handle_receipts, "who has it, who read it" },
    { "PUT", "/api/devices/{}/push", true, handle_push_set, "how this device can be woken" },
    { "DELETE", "/api/devices/{}/push", true, handle_push_drop, "this device is not to be woken" },
    { "PUT", "/api/chats/{}/mute", true, handle_mute_set, "no pushes from a chat for a while" },
    { "DELETE", "/api/chats/{}/mute", true, handle_mute_drop, "pushes from a chat again" },
    { "GET", "/api/sync", true, handle_sync, "everything since a cursor" },
    { "GET", "/api/config", false, handle_config, "what a client needs to know" },
};

/* Matches a pattern part by part; an id that is none matches nothing. */
static bool matches(const char *pattern, struct cq_span path, struct cq_id ids[2])
{
    size_t ids_n = 0;

    while (*pattern) {
        if (pattern[0] == '{') {
            const uint8_t *slash = memchr(path.p, '/', path.n);
            size_t n = slash ? (size_t)(slash - path.p) : path.n;

            if (!id_parse(span_of(path.p, n), &ids[ids_n++]))
                return false;
            path = span_of(path.p + n, path.n - n);
            pattern += 2;
            continue;
        }
        if (!path.n || *path.p != (uint8_t)*pattern)
            return false;
        path = span_of(path.p + 1, path.n - 1);
        pattern++;
    }
    return path.n == 0;
}

const struct route *route_find(struct cq_span method, struct cq_span path, struct cq_id ids[2],
                               bool *ret_other)
{
    *ret_other = false;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!matches(routes[i].pattern, path, ids))
            continue;
        if (span_eq_str(method, routes[i].method))
            return &routes[i];
        *ret_other = true;
    }
    return NULL;
}
