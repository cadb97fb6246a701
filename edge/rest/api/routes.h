/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/routes.h - the tables of routes, one a noun: dispatch and documentation come from
 * them.
 */
#pragma once

#include "edge/rest/server/route.h"

extern const struct routes accounts_routes, me_routes, identity_routes, devices_routes,
    links_routes, contacts_routes, users_routes, blocks_routes, chats_routes, members_routes,
    message_changes_routes, marks_routes, vanishing_routes, groups_routes, invites_routes,
    requests_routes, pins_routes, polls_routes, messages_routes, push_routes, sync_routes,
    tickets_routes, media_routes, media_tus_routes, media_get_routes, media_delete_routes,
    search_routes, shared_routes, lines_routes, export_routes;

/** All of them; ends with NULL. */
extern const struct routes *const api_routes[];
