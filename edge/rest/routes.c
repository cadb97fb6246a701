/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/routes.c - the table of routes: dispatch and documentation come from it.
 */
#include "edge/rest/rest.h"
#include "edge/rest/role.h"

#include <stdio.h>

static const struct route routes[] = {
    { "POST", "/api/register", false, handle_register,
      "send a code; the name is set when it is used", ROUTE_LOGIN },
    { "POST", "/api/login", false, handle_login, "send a code", ROUTE_LOGIN },
    { "POST", "/api/verify", false, handle_verify, "use the code: tokens", ROUTE_LOGIN },
    { "POST", "/api/token/refresh", false, handle_refresh, "a new pair of tokens", ROUTE_LOGIN },
    { "POST", "/api/logout", true, handle_logout, "end this device", 0 },
    { "GET", "/api/devices", true, handle_devices, "my devices", 0 },
    { "DELETE", "/api/devices/{}", true, handle_device_end, "end one of my devices", 0 },
    { "GET", "/api/me", true, handle_me, "who I am", 0 },
    { "PATCH", "/api/me", true, handle_me_edit, "my name", 0 },
    { "POST", "/api/contacts/lookup", true, handle_lookup, "who of these numbers is here", 0 },
    { "POST", "/api/chats", true, handle_chat_make, "a direct chat or a group", ROUTE_FANOUT },
    { "GET", "/api/chats", true, handle_chats, "my chats", 0 },
    { "GET", "/api/chats/{}", true, handle_chat, "one chat with its members", 0 },
    { "PATCH", "/api/chats/{}", true, handle_chat_rename, "a group's name", ROUTE_FANOUT },
    { "POST", "/api/chats/{}/members", true, handle_members_add, "add to a group", ROUTE_FANOUT },
    { "DELETE", "/api/chats/{}/members/{}", true, handle_member_remove, "remove, or leave",
      ROUTE_FANOUT },
    { "PUT", "/api/chats/{}/members/{}", true, handle_member_role, "give a role", ROUTE_FANOUT },
    { "POST", "/api/messages", true, handle_message_send, "send", ROUTE_FANOUT },
    { "GET", "/api/chats/{}/messages", true, handle_history, "history", 0 },
    { "POST", "/api/chats/{}/read", true, handle_read, "move my read cursor", 0 },
    { "GET", "/api/messages/{}/receipts", true, handle_receipts, "who has it, who read it", 0 },
    { "PUT", "/api/devices/{}/push", true, handle_push_set, "how this device can be woken", 0 },
    { "DELETE", "/api/devices/{}/push", true, handle_push_drop, "this device is not to be woken",
      0 },
    { "PUT", "/api/chats/{}/mute", true, handle_mute_set, "no pushes from a chat for a while", 0 },
    { "DELETE", "/api/chats/{}/mute", true, handle_mute_drop, "pushes from a chat again", 0 },
    { "GET", "/api/sync", true, handle_sync, "everything since a cursor", 0 },
    { "POST", "/api/media", true, handle_media_create, "begin to send a file", ROUTE_MEDIA },
    { "POST", "/api/media/uploads", true, handle_tus_create, "the same, as tus has it",
      ROUTE_MEDIA | ROUTE_RAW },
    { "HEAD", "/api/media/{}/upload", true, handle_tus_head, "how much is held",
      ROUTE_MEDIA | ROUTE_RAW },
    { "PATCH", "/api/media/{}/upload", true, handle_tus_patch, "a piece of it",
      ROUTE_MEDIA | ROUTE_RAW },
    { "DELETE", "/api/media/{}/upload", true, handle_tus_delete, "not after all",
      ROUTE_MEDIA | ROUTE_RAW },
    { "POST", "/api/media/{}/complete", true, handle_media_complete, "it is whole: check it",
      ROUTE_MEDIA },
    { "GET", "/api/media/{}/link", true, handle_media_link, "what it is, with links for a page",
      0 },
    { "GET", "/api/media/{}", false, handle_media_get, "the file", ROUTE_MEDIA | ROUTE_LINK },
    { "HEAD", "/api/media/{}", false, handle_media_get, "its size and type",
      ROUTE_MEDIA | ROUTE_LINK },
    { "GET", "/api/media/{}/thumbnail", false, handle_media_thumbnail, "a small picture of it",
      ROUTE_MEDIA | ROUTE_LINK },
    { "HEAD", "/api/media/{}/thumbnail", false, handle_media_thumbnail, "its size",
      ROUTE_MEDIA | ROUTE_LINK },
    { "GET", "/api/config", false, handle_config, "what a client needs to know", 0 },
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

const struct route *route_find(struct cq_span method, struct cq_span path, struct cq_id ids[2])
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (span_eq_str(method, routes[i].method) && matches(routes[i].pattern, path, ids))
            return &routes[i];
    return NULL;
}

void route_methods(struct cq_span path, char *out, size_t cap)
{
    struct cq_id ids[2];
    size_t n = 0;

    *out = '\0';
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (matches(routes[i].pattern, path, ids))
            n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", routes[i].method);
    if (n)
        snprintf(out + n, cap - n, ", OPTIONS");
}

void edge_rest_routes_print(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        fprintf(out, "%s\t%s\t%s\t%s\n", routes[i].method, routes[i].pattern,
                routes[i].needs_token            ? "token"
                : (routes[i].flags & ROUTE_LINK) ? "link"
                                                 : "anybody",
                routes[i].doc);
}
