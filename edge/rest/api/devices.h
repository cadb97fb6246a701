/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/devices.h - how a device is ended: in the log first, because its sockets are closed
 * by what the log says.
 */
#pragma once

#include "edge/rest/server/call.h"

/** Submit that the device is ended. Once the log has it, it has to be revoked. */
void device_submit_end(struct call *call, struct cq_id user, struct cq_id device,
                       const char *reason);

/** Revoke the device of the first submit. CALL_GO_ON: it is done; else the call has its reply. */
enum call_next device_revoke_submitted(struct call *call, struct pg *db);
