/* SPDX-License-Identifier: MIT */
/*
 * admin_cut.h - `chasqui admin log-was-cut`: going on with a log that lost its tail.
 *
 * After a loss of power a partition may end before places that are spoken of elsewhere: by commits,
 * by the view, by sources in other topics. Whatever is written there next would get offsets that
 * were used before. This command finds the highest place anybody speaks of, and takes up all
 * offsets below it with fillers: records without a value that every consumer passes over. No offset
 * is used twice, and no place that anybody keeps has to change. Where the partition had been made
 * from another topic, the group that makes it goes back to the records from which the lost ones
 * were made.
 */
#pragma once

/** `log-was-cut [--start | --yes]`: says what was cut and what would be done, and with --yes does
 * it. With --start, which stands before every start of the roles, it does so only where
 * DURABILITY=synced and nothing was lost that cannot be made again. 0: all is whole, or was made so; 3: something is cut; 1: not possible, said on stderr; 2: usage. Can be
 * ended and run again at any moment. */
int admin_log_was_cut(int argc, char **argv);
