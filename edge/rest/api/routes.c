/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/routes.h"

/* clang-format off */
const struct routes *const api_routes[] = {
    &accounts_routes,
    &me_routes,
    &devices_routes,
    &links_routes,
    &contacts_routes,
    &users_routes,
    &blocks_routes,
    &chats_routes,
    &members_routes,
    &message_changes_routes,
    &marks_routes,
    &vanishing_routes,
    &messages_routes,
    &push_routes,
    &sync_routes,
    &tickets_routes,
    &media_routes,
    &media_tus_routes,
    &media_get_routes,
    &media_delete_routes,
    &groups_routes,
    &invites_routes,
    &requests_routes,
    &pins_routes,
    &polls_routes,
    &search_routes,
    &shared_routes,
    &lines_routes,
    &identity_routes,
    &export_routes,
    NULL,
};
/* clang-format on */
