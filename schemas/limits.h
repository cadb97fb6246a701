/* SPDX-License-Identifier: MIT */
/*
 * schemas/limits.h - how large the parts of an action may be. Gateways refuse what is larger, rules
 * refuse it once more (what is in the log may be another build's), and tables have room for it:
 * each of these numbers stands here only. docs/limits.md says what the largest costs.
 */
#pragma once

enum {
    LIMIT_CONTENT_BYTES = 32 * 1024, /* a rendered frame stays below the 64 KiB of a socket's */
    LIMIT_CONTENT_TYPE_BYTES = 255,
    LIMIT_CLIENT_ID_BYTES = 64,
    LIMIT_NAME_CHARS = 100, /* code points of a user's or a group's name, or a device's label */
    LIMIT_NAME_BYTES = 400,
    LIMIT_LABEL_BYTES = 200,
    LIMIT_PLATFORM_BYTES = 16,
    LIMIT_GROUP_MEMBERS = 1024, /* present at once; also changes of one action */
    LIMIT_RECEIPTS = 512,       /* in one action */
    LIMIT_FILE_NAME_BYTES = 255,
    LIMIT_STORE_KEY_BYTES = 255, /* where a store has a file */
    LIMIT_FAULT_BYTES = 255,     /* what is wrong with a file */
    LIMIT_PUSH_TOKEN_LEAST_BYTES = 8,
    LIMIT_PUSH_TOKEN_BYTES = 1024,
    LIMIT_PUSH_APP_BYTES = 155,
    LIMIT_LOCALE_BYTES = 35,
    LIMIT_KEY_ID_BYTES = 255, /* a key's name */
    LIMIT_REASON_BYTES = 64,  /* a word of our own */
    LIMIT_LOST_ITEMS = 512,   /* messages of one SessionLost */
    LIMIT_USER_DEVICES = 16,  /* the oldest is logged out for a new one */
};
