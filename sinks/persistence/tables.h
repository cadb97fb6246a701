/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/tables.h - the tables of the view that events fill: of each the columns, where
 * their values are in its rows, and the statement.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

#define COUNT_(table, row, max) +1
enum { ROWS_TABLE_N = 0 ROWS_TABLES(COUNT_, COUNT_) };
#undef COUNT_

struct rows_table {
    const char *name; /* in schema `view` */
    const char *sql;  /* one array a column, in the order of `columns` */
    const struct pg_column *columns;
    size_t columns_n;
    size_t row_bytes;
    size_t n_at, rows_at; /* in struct rows */
};

extern const struct rows_table rows_tables[ROWS_TABLE_N];

/* Looking for a conflict in the two indexes of messages costs a third of each insert, and there is
 * almost never one. So the plain form is tried first; if it fails, the turn is written again with
 * the other. */
extern const char sql_messages[], sql_messages_repeated[];
extern const char sql_tallies[], sql_tallies_repeated[];
