/* SPDX-License-Identifier: MIT */
#include "edge/auth/doors.h"

enum cq_status doors_close(struct pg *db)
{
    return pg_run(db, "INSERT INTO auth.closed DEFAULT VALUES ON CONFLICT DO NOTHING", NULL, NULL);
}

enum cq_status doors_open(struct pg *db)
{
    return pg_run(db, "DELETE FROM auth.closed", NULL, NULL);
}
