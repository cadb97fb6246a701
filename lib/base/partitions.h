/* SPDX-License-Identifier: MIT */
/*
 * lib/base/partitions.h - how many partitions a topic may have.
 */
#pragma once

/** The size of every table that is indexed by partition. The settings PARTITIONS and SLOTS are
 * bounded by it. */
enum { PARTITIONS_MAX = 1024 };
