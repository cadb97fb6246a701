/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media_store.h - what the store of files means for the client.
 */
#pragma once

#include "edge/rest/server/call.h"

/** Whether a user of this deployment can send files; else the call has its reply. */
CQ_MUST_CHECK bool media_there(struct call *call);

/** Reply that the owner of the file took it away. */
enum call_next call_file_gone(struct call *call);

/** What a fault of the store means for the client. */
enum call_next call_store(struct call *call, enum cq_status st);
