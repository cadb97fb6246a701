/* SPDX-License-Identifier: MIT */
/*
 * lib/base/roles.h - the one table of roles. C expands it; compose, tests and lints read it by
 * compose/lib/roles.py, which takes this form and no other: rows of X(…) whose columns are words,
 * numbers, texts in quotes, and the two lists.
 */
#pragma once

/**
 * X(name, function, word, help, door, copies, listen, memory, groups, topics), in the order of
 * starting. Roles are ended in the opposite order, so that the doors close first.
 *
 * name: ROLE_name; how many there are is compose's setting COPIES_name.
 * function: its main is function_role_run(), of the library role_function.
 * word: what it is called everywhere else: `chasqui WORD`, logs, containers, documents.
 * door: compose/up has its private door at METRICS_PORT + door; unique, and never changed.
 * copies: how many copies can share its work: PARTITIONS, SLOTS, or ANY number.
 * listen: the setting that says where clients reach it, or NONE.
 * memory: MiB that its container may have.
 * groups: GROUPS("…", …), the consumer groups that keep its places. Their names are contracts.
 * topics: TOPICS(…), by what follows TOPIC_ in schemas/topics.h, which knows more of each:
 *   FOLLOWS(T)       its groups consume it; what can never succeed goes to the topic's dead letters
 *   READS(T, "how")  it reads it otherwise
 *   WRITES(T, "…")   it writes it; "" or a remark
 *
 * Which settings a role has, secrets among them, is said in lib/base/settings.h.
 */
#define ROLES(X)                                                                                 \
    X(PERSISTENCE, persistence, "persistence", "sink: the log into PostgreSQL", 0, PARTITIONS,   \
      NONE, 1024, GROUPS("persistence"),                                                         \
      TOPICS(FOLLOWS(CHAT_EVENTS), FOLLOWS(REJECTIONS), FOLLOWS(USER_EVENTS),                    \
             FOLLOWS(PUSH_TARGETS)))                                                             \
    X(STATUS, status, "status", "sink: receipts into cursors and ticks", 1, PARTITIONS, NONE,    \
      1024, GROUPS("status"), TOPICS(FOLLOWS(DELIVERY_STATUS), WRITES(USER_INBOX, "")))          \
    X(CHAT, chat, "chat", "processor: verdicts in every chat", 2, PARTITIONS, NONE, 1024,        \
      GROUPS("chat"),                                                                            \
      TOPICS(FOLLOWS(CHAT_ACTIONS), READS(CHAT_EVENTS, "its tail"), READS(MEMBERS, "restore"),   \
             WRITES(CHAT_EVENTS, ""), WRITES(MEMBERS, ""), WRITES(REJECTIONS, ""),               \
             WRITES(DELIVERY_STATUS, ""), WRITES(USER_INBOX, "")))                               \
    X(USER, user, "user", "processor: routing to every user", 3, PARTITIONS, NONE, 1024,         \
      GROUPS("user"),                                                                            \
      TOPICS(FOLLOWS(USER_INBOX), READS(PRESENCE, "restore"), READS(PUSH_TARGETS, "restore"),    \
             READS(PUSH_CLAIMS, "restore"), READS(PUSH_MUTES, "restore"),                        \
             WRITES(USER_INBOX, "claims"), WRITES(USER_EVENTS, ""), WRITES(PRESENCE, ""),        \
             WRITES(WS_PUSH, ""), WRITES(PUSH_TARGETS, ""), WRITES(PUSH_CLAIMS, ""),             \
             WRITES(PUSH_MUTES, ""), WRITES(MOBILE_PUSH, "")))                                   \
    X(MOBILE, mobile, "mobile", "sink: pushes to phones", 4, PARTITIONS, NONE, 1024,             \
      GROUPS("mobile", "mobile-apns", "mobile-web"),                                             \
      TOPICS(FOLLOWS(MOBILE_PUSH), READS(PUSH_OUTCOMES, "its tail"), WRITES(USER_INBOX, ""),     \
             WRITES(MOBILE_PUSH, "what waits"), WRITES(PUSH_OUTCOMES, "")))                      \
    X(MEDIA, media, "media", "sink: thumbnails, lengths; sweeps unfinished uploads", 5,          \
      PARTITIONS, NONE, 4096, GROUPS("media"),                                                   \
      TOPICS(FOLLOWS(CHAT_EVENTS), READS(USER_EVENTS, "its end"), WRITES(CHAT_ACTIONS, "")))     \
    X(SEARCH, search, "search", "sink: which message may have which word", 8, PARTITIONS, NONE,  \
      1024, GROUPS("search"), TOPICS(FOLLOWS(CHAT_EVENTS)))                                      \
    X(EDGE_WS, edge_ws, "edge-ws", "WebSocket gateway", 6, SLOTS, WS_LISTEN, 1024,               \
      GROUPS("edge-ws"),                                                                         \
      TOPICS(FOLLOWS(WS_PUSH), READS(CHAT_EVENTS, "its end"), READS(USER_EVENTS, "its end"),     \
             READS(SIGNALS, "its end"), WRITES(CHAT_ACTIONS, ""), WRITES(USER_INBOX, ""),        \
             WRITES(SIGNALS, "")))                                                               \
    X(EDGE_REST, edge_rest, "edge-rest", "REST API, the page, and /ws on the same port", 7, ANY, \
      REST_LISTEN, 1024, GROUPS(),                                                               \
      TOPICS(READS(CHAT_EVENTS, "its end"), READS(USER_EVENTS, "its end"),                       \
             WRITES(CHAT_ACTIONS, ""), WRITES(USER_INBOX, "")))

/** The main of each role, called when settings are loaded: runs until *stop, or until a status that
 * only a restart mends. Returns the exit code. */
#define X(name, function, ...) int function##_role_run(const volatile int *stop);
ROLES(X)
#undef X
