/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media_links.h - signed links to files (pure).
 */
#pragma once

#include "edge/rest/server/call.h"

enum {
    MEDIA_LINK_S = 1800, /* a link of ours lives this long at least */
    /* Its end is a multiple of this, so that the same link is given for a while. */
    MEDIA_LINK_STEP_S = 3600,
    MEDIA_LEFT_LINK_S = 60, /* a link of ours for somebody who is not in the chat any more */
    MEDIA_LINK_KEEP_S = 30, /* how long an answer to a link may be kept without asking again */
};

/** What a link of ours proves: this device of this user may GET the path, until then. */
struct media_proof {
    struct cq_id user, device;
    int64_t until_s;
    bool has_left; /* made for somebody who was not in the chat any more: any stay will do */
};

/** Append the link of a route as a JSON string: `path` with the proof. */
void media_link(const struct call *call, struct cq_buf *out, const char *path,
                const struct media_proof *proof);

/** Whether the query has a proof for this path that we signed and that has not ended. Whether its
 * device is still logged in, and its user may still read, is to be asked of the database. */
CQ_MUST_CHECK bool media_link_good(struct call *call, const char *path, struct media_proof *ret);
