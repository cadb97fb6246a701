/* SPDX-License-Identifier: MIT */
/*
 * lib/base/share.h - this process's share of the CPU of an overloaded machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * Lower this process's priority below the others' (`low`), or restore it. Under overload
 * what takes work in should yield to what finishes it: a gateway that sheds load loses nothing by
 * being slower, while a view that falls behind delays every tick. Cheap when `low` is as before;
 * a change less than a second after the last one is left for a later call.
 *
 * Linux weighs sessions against each other (sched(7), "The autogroup feature"), and of all
 * priorities only that of a session can be restored without privilege. A session that is not this
 * process's own is left as it is, and so is a kernel without the feature. One thread.
 */
void share_renice(bool low, int64_t mono_ms);
