/* SPDX-License-Identifier: MIT */
#include "lib/base/status.h"

const char *cq_status_name(enum cq_status st)
{
    static const char *const names[] = { "ok", "again", "poison", "fatal" };

    return (unsigned)st < ARRAY_LEN(names) ? names[st] : "unknown";
}
