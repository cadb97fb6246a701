/* SPDX-License-Identifier: MIT */
#include "edge/auth/doors.h"

enum cq_status doors_close(struct pg *c)
{
    return pg_run(c, "INSERT INTO auth.closed DEFAULT VALUES ON CONFLICT DO NOTHING", NULL, NULL);
}

enum cq_status doors_open(struct pg *c)
{
    return pg_run(c, "DELETE FROM auth.closed", NULL, NULL);
}
