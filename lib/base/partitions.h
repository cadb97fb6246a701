/* SPDX-License-Identifier: MIT */
/*
 * lib/base/partitions.h - how many partitions a topic may have.
 */
#pragma once

/** Every table that a partition is an index of is so large. The settings PARTITIONS and SLOTS are
 * bounded by it. */
enum { PARTITIONS_MAX = 1024 };
