/* SPDX-License-Identifier: MIT */
#include "lib/base/share.h"

#include <stdio.h>
#include <unistd.h>

enum { STEPS = 10 /* of nice: a tenth of the weight */, CHANGE_MS = 1000 };

void share_renice(bool low, int64_t mono_ms)
{
    static bool is_low;
    static int64_t changed_ms = -CHANGE_MS;
    FILE *group;

    if (low == is_low || mono_ms - changed_ms < CHANGE_MS || getsid(0) != getpid())
        return;
    is_low = low;
    changed_ms = mono_ms;
    group = fopen("/proc/self/autogroup", "we");
    if (!group)
        return;
    fprintf(group, "%d", low ? STEPS : 0);
    fclose(group);
}
