/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/migrations.h - every migration as the build embedded it (embed.cmake).
 */
#pragma once

struct migration {
    const char *owner; /* "auth", "view" */
    const char *name;  /* of its file: 0001_view.sql */
    const char *sql;
};

/** In the order of applying; ends with a NULL owner. */
extern const struct migration migrations[];
