/* SPDX-License-Identifier: MIT */
/*
 * lib/base/share.h - this process's share of a machine that has more to do than it can.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * Whoever takes work in may stand behind whoever ends it: a gateway that refuses what is too much
 * loses nothing by it, while a view that falls behind has every tick wait. Cheap when `behind` is
 * as before; a change less than a second after the last one is left for a later call.
 *
 * Linux weighs sessions against each other (sched(7), "The autogroup feature"), and of all
 * priorities only that of a session can be taken back without privilege. A session that is not this
 * process's own is left as it is, and so is a kernel without the feature. One thread.
 */
void share_stand_behind(bool behind, int64_t mono_ms);
