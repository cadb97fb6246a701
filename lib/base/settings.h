/* SPDX-License-Identifier: MIT */
/*
 * lib/base/settings.h - the one table of settings (environment variables). Code, `chasqui
 * check-config`, docs/settings.md and the compose files all come from it.
 */
#pragma once

#include "lib/base/partitions.h"
#include "lib/base/roles.h"
#include "lib/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** What a value looks like (lib/base/settings_forms.h). TEXT is for secrets, and for what has no
 * form of its own; all but INT, BOOL and PARTS are texts with a length. */
enum setting_type {
    SETTING_TEXT,
    SETTING_INT,
    SETTING_BOOL,
    SETTING_BROKERS,  /* host:port, comma-separated */
    SETTING_LISTEN,   /* address:port; no address: all */
    SETTING_HOST,     /* host:port */
    SETTING_URL,      /* http or https */
    SETTING_WS_URL,   /* ws or wss */
    SETTING_DATABASE, /* what libpq takes */
    SETTING_STORE,    /* where files are kept */
    SETTING_PATH,
    SETTING_NAME,
    SETTING_APPS,     /* bundle ids, comma-separated */
    SETTING_SERVICES, /* of pushes to browsers, comma-separated */
    SETTING_CONTACT,  /* mailto: or https: */
    SETTING_RANGES,   /* addresses and address/bits, comma-separated */
    SETTING_ORIGINS,  /* of browsers, comma-separated */
    SETTING_LEVEL,    /* of the log */
    SETTING_DRIVER,   /* of one-time codes */
    SETTING_LOGIN,    /* to Kafka */
    SETTING_SURVIVES, /* what an acknowledgement does */
    SETTING_PARTS,    /* a number that divides CQ_PARTS (lib/base/id.h) */
};

enum role_row {
#define X(name, ...) ROLE_ROW_##name,
    ROLES(X)
#undef X
        ROLE_ROW_ADMIN, /* no role: what an operator runs by hand */
    ROLE_ROW_N
};

enum role_bit {
#define X(name, ...) ROLE_##name = 1u << ROLE_ROW_##name,
    ROLES(X)
#undef X
        ROLE_ADMIN = 1u << ROLE_ROW_ADMIN,
    ROLE_ALL = (1u << ROLE_ROW_N) - 1,
    ROLE_STORE = ROLE_EDGE_REST | ROLE_MEDIA,
    ROLE_EDGES = ROLE_EDGE_REST | ROLE_EDGE_WS,
    ROLE_PUSH = ROLE_MOBILE | ROLE_ADMIN,
    ROLE_WEBPUSH = ROLE_PUSH | ROLE_EDGE_REST, /* the edge takes addresses, the sink uses them */
    ROLE_VIEW = ROLE_EDGE_REST | ROLE_PERSISTENCE | ROLE_STATUS | ROLE_SEARCH | ROLE_ADMIN,
};

/** X(enum name, environment name, type, default or NULL when required, min, max, secret, roles,
 * help). min and max bound an int's value or a text's length in bytes. */
#define SETTINGS(X)                                                                                \
    X(KAFKA_BROKER, BROKERS, "127.0.0.1:9092", 1, 1024, 0, ROLE_ALL,                               \
      "Kafka bootstrap servers, host:port, comma-separated")                                       \
    X(KAFKA_TLS, BOOL, "0", 0, 1, 0, ROLE_ALL,                                                     \
      "1: TLS to Kafka; the certificates of brokers are verified, with their names")               \
    X(KAFKA_CA_FILE, PATH, "", 0, 1024, 0, ROLE_ALL,                                               \
      "PEM file of the certificates that brokers are checked against; empty: the system's")        \
    X(KAFKA_CERT_FILE, PATH, "", 0, 1024, 0, ROLE_ALL,                                             \
      "PEM file of the certificate that we show to brokers (mTLS); empty: none")                   \
    X(KAFKA_KEY_FILE, PATH, "", 0, 1024, 0, ROLE_ALL, "PEM file of the key of KAFKA_CERT_FILE")    \
    X(KAFKA_KEY_PASSWORD, TEXT, "", 0, 1024, 1, ROLE_ALL,                                          \
      "Password of KAFKA_KEY_FILE; empty: the key is not encrypted")                               \
    X(KAFKA_SASL, LOGIN, "none", 4, 11, 0, ROLE_ALL,                                               \
      "How we log in to Kafka: none, plain or oauthbearer")                                        \
    X(KAFKA_USER, TEXT, "", 0, 255, 0, ROLE_ALL, "User for plain, client id for oauthbearer")      \
    X(KAFKA_PASSWORD, TEXT, "", 0, 1024, 1, ROLE_ALL,                                              \
      "Password for plain, client secret for oauthbearer; or KAFKA_PASSWORD_FILE")                 \
    X(KAFKA_PASSWORD_FILE, PATH, "", 0, 1024, 0, ROLE_ALL,                                         \
      "File that holds what KAFKA_PASSWORD would, at most 1024 bytes and a line end; read at the " \
      "start")                                                                                     \
    X(KAFKA_TOKEN_URL, URL, "", 0, 1024, 0, ROLE_ALL,                                              \
      "Token endpoint for oauthbearer (client credentials, RFC 6749 4.4)")                         \
    X(KAFKA_TOKEN_SCOPE, TEXT, "", 0, 255, 0, ROLE_ALL,                                            \
      "Scope asked for at KAFKA_TOKEN_URL; empty: none")                                           \
    X(KAFKA_TOKEN_CA_FILE, PATH, "", 0, 1024, 0, ROLE_ALL,                                         \
      "PEM file of the certificates that KAFKA_TOKEN_URL is checked against; empty: the system's") \
    X(KAFKA_LOGIN_IN_CLEAR, BOOL, "0", 0, 1, 0, ROLE_ALL,                                          \
      "1: allow KAFKA_SASL without KAFKA_TLS, and http in KAFKA_TOKEN_URL: passwords cross the "   \
      "network readable")                                                                          \
    X(DATABASE_URL, DATABASE, NULL, 1, 1024, 1, ROLE_VIEW | ROLE_MOBILE | ROLE_MEDIA,              \
      "PostgreSQL connection string (writes)")                                                     \
    X(DATABASE_READ_URL, DATABASE, "", 0, 1024, 1, ROLE_EDGE_REST,                                 \
      "Optional read replica for sync, which waits until it is fresh enough; empty: DATABASE_URL") \
    X(JWT_SECRET, TEXT, NULL, 32, 1024, 1, ROLE_EDGES,                                             \
      "Key for access tokens, at least 32 bytes; `kid1:secret,kid0:secret` rotates: the first "    \
      "signs, all verify")                                                                         \
    X(PHONE_PEPPER, TEXT, NULL, 32, 1024, 1, ROLE_EDGE_REST | ROLE_ADMIN,                          \
      "Key that turns a phone number into a user id; must never change")                           \
    X(FCM_SERVER_KEY, TEXT, "", 0, 16384, 1, ROLE_PUSH,                                            \
      "Path to, or inline JSON of, a Google service account; empty: no pushes by Google")          \
    X(FCM_BASE_URL, URL, "https://fcm.googleapis.com", 8, 200, 0, ROLE_PUSH,                       \
      "Where Google's HTTP v1 API is")                                                             \
    X(APNS_KEY, TEXT, "", 0, 16384, 1, ROLE_PUSH,                                                  \
      "Path to, or inline PEM of, the .p8 signing key; empty: no pushes by Apple")                 \
    X(APNS_KEY_ID, NAME, "", 0, 10, 0, ROLE_PUSH, "Name of the signing key, ten characters")       \
    X(APNS_TEAM_ID, NAME, "", 0, 10, 0, ROLE_PUSH, "Name of the team, ten characters")             \
    X(APNS_TOPIC, APPS, "", 0, 1024, 0, ROLE_PUSH,                                                 \
      "Bundle ids of the apps, comma-separated; the first is for devices that name none")          \
    X(APNS_BASE_URL, URL, "https://api.push.apple.com", 8, 200, 0, ROLE_PUSH,                      \
      "Where Apple's service is")                                                                  \
    X(APNS_SANDBOX_URL, URL, "https://api.sandbox.push.apple.com", 8, 200, 0, ROLE_PUSH,           \
      "Where Apple's service for development builds is")                                           \
    X(VAPID_KEY, TEXT, "", 0, 16384, 1, ROLE_PUSH,                                                 \
      "Path to, or inline PEM of, the private key by which push services of browsers know us: "    \
      "`chasqui admin vapid-key` makes one; empty: no pushes to browsers")                         \
    X(VAPID_PUBLIC_KEY, NAME, "", 0, 87, 0, ROLE_WEBPUSH,                                          \
      "The public half of VAPID_KEY, base64url: pages subscribe with it; empty: browsers cannot "  \
      "register")                                                                                  \
    X(VAPID_SUBJECT, CONTACT, "", 0, 255, 0, ROLE_PUSH,                                            \
      "Whom push services of browsers can ask about us: mailto: or https:; with VAPID_KEY")        \
    X(WEBPUSH_SERVICES, SERVICES,                                                                  \
      "fcm.googleapis.com,updates.push.services.mozilla.com,web.push.apple.com,"                   \
      "*.notify.windows.com",                                                                      \
      0, 1024, 0, ROLE_WEBPUSH,                                                                    \
      "Push services of browsers that may be asked: hosts, `*.` and what hosts end with, both at " \
      "port 443, or origins of https, comma-separated")                                            \
    X(WEBPUSH_MORE, SERVICES, "", 0, 1024, 0, ROLE_WEBPUSH,                                        \
      "More of WEBPUSH_SERVICES, beside those it names")                                           \
    X(WEBPUSH_PRIVATE, BOOL, "0", 0, 1, 0, ROLE_PUSH,                                              \
      "1: push services of browsers may be at private and local addresses, too")                   \
    X(PUSH_CA_FILE, PATH, "", 0, 1024, 0, ROLE_PUSH,                                               \
      "Certificates that push services are checked against; empty: the system's")                  \
    X(PUSH_IN_FLIGHT, INT, "500", 1, 4000, 0, ROLE_PUSH, "Pushes under way at once, a provider")   \
    X(PUSH_CONNECTIONS, INT, "2", 1, 16, 0, ROLE_PUSH, "Connections to a push service at most")    \
    X(PUSH_MAX_AGE_S, INT, "86400", 1, 2419200, 0, ROLE_PUSH,                                      \
      "A message older than this wakes nobody any more")                                           \
    X(MEDIA_STORE, STORE, "", 0, 512, 0, ROLE_STORE,                                               \
      "Where files are kept: `local:PATH` or `s3:http(s)://host[:port]/bucket`; empty: no files")  \
    X(S3_ACCESS_KEY, TEXT, "", 0, 127, 1, ROLE_STORE, "Access key of an S3 store")                 \
    X(S3_SECRET_KEY, TEXT, "", 0, 159, 1, ROLE_STORE, "Secret key of an S3 store")                 \
    X(S3_REGION, NAME, "us-east-1", 1, 63, 0, ROLE_STORE, "Region of an S3 store")                 \
    X(S3_PUBLIC_URL, URL, "", 0, 255, 0, ROLE_STORE,                                               \
      "The S3 store as clients reach it, http(s)://host[:port]; empty: as we do")                  \
    X(S3_LINK_S, INT, "60", 60, 3600, 0, ROLE_EDGE_REST,                                           \
      "Seconds that a link of an S3 store lives at least, and at most twice; the same for all")    \
    X(MEDIA_IMAGE_MAX_MB, INT, "16", 1, 4096, 0, ROLE_EDGE_REST, "Largest image, MiB")             \
    X(MEDIA_VIDEO_MAX_MB, INT, "100", 1, 4096, 0, ROLE_EDGE_REST, "Largest video, MiB")            \
    X(MEDIA_AUDIO_MAX_MB, INT, "16", 1, 4096, 0, ROLE_EDGE_REST, "Largest audio, MiB")             \
    X(MEDIA_DOCUMENT_MAX_MB, INT, "100", 1, 4096, 0, ROLE_EDGE_REST, "Largest document, MiB")      \
    X(EXPORT_TOTAL_MB, INT, "51200", 5120, 1000000000, 0, ROLE_EDGE_REST,                          \
      "MiB of exports of accounts, of all users together, beyond which the next one waits")        \
    X(MEDIA_DAILY_MB, INT, "2048", 1, 1000000, 0, ROLE_EDGE_REST,                                  \
      "MiB that a user may upload in 24 hours")                                                    \
    X(MEDIA_PART_MB, INT, "4", 1, 8, 0, ROLE_EDGE_REST,                                            \
      "Largest piece of an upload in one request, MiB: what a connection may hold in memory")      \
    X(MEDIA_WORKERS, INT, "4", 1, 64, 0, ROLE_EDGE_REST, "Threads that talk to the store")         \
    X(MEDIA_PENDING_HOURS, INT, "24", 1, 8760, 0, ROLE_MEDIA,                                      \
      "Hours without a byte after which an unfinished upload is swept; seven times as many in "    \
      "all")                                                                                       \
    X(MEDIA_UNSHOWN_HOURS, INT, "24", 0, 8760, 0, ROLE_MEDIA,                                      \
      "Hours after which a complete file that nothing shows is taken away; 0: it stays")           \
    X(MEDIA_PIXELS_MAX, INT, "100", 1, 1000, 0, ROLE_MEDIA,                                        \
      "Millions of pixels above which no thumbnail is made")                                       \
    X(MEDIA_LOOKERS, INT, "2", 1, 16, 0, ROLE_MEDIA,                                               \
      "Processes that look into files at once; one user gets half of them at most")                \
    X(MEDIA_USER_LOOK_S, INT, "30", 1, 600, 0, ROLE_MEDIA,                                         \
      "Seconds of CPU a minute for looking into the files of one user; a MiB counts as 10 ms")     \
    X(THUMBNAIL_PROGRAM, PATH, "", 0, 1024, 0, ROLE_MEDIA,                                         \
      "The program that looks into files; empty: chasqui-thumbnail beside this one")               \
    X(PARTITIONS, PARTS, "2", 1, 256, 0, ROLE_ALL,                                                 \
      "Partitions of every topic that messages pass through; fixed for its life")                  \
    X(SLOTS, INT, "4", 1, PARTITIONS_MAX, 0, ROLE_ALL,                                             \
      "Partitions of ws.push and signals; bounds the number of WebSocket gateways")                \
    X(DURABILITY, SURVIVES, "cached", 6, 10, 0, ROLE_ALL,                                          \
      "What an acknowledged message survives: cached (the death of a process), synced (a loss of " \
      "power) or replicated (the loss of a machine)")                                              \
    X(REPLICATION, INT, "1", 1, 7, 0, ROLE_ADMIN,                                                  \
      "Replication factor of topics that `admin topics` creates")                                  \
    X(INSTANCE, NAME, "", 0, 64, 0, ROLE_ALL,                                                      \
      "Stable name of this copy (static membership); empty: a new one each start")                 \
    X(REST_LISTEN, LISTEN, "127.0.0.1:8080", 3, 64, 0, ROLE_EDGE_REST,                             \
      "Address and port of the REST API and the page")                                             \
    X(WS_LISTEN, LISTEN, "127.0.0.1:8081", 3, 64, 0, ROLE_EDGE_WS,                                 \
      "Address and port of the WebSocket gateway")                                                 \
    X(WS_UPSTREAM, HOST, "127.0.0.1:8081", 0, 64, 0, ROLE_EDGE_REST,                               \
      "Where edge-rest tunnels /ws to; empty: no tunnel")                                          \
    X(WS_PUBLIC_URL, WS_URL, "ws://127.0.0.1:8081/ws", 0, 256, 0, ROLE_EDGE_REST,                  \
      "WebSocket address told to the page")                                                        \
    X(WEB_ROOT, PATH, "", 0, 1024, 0, ROLE_EDGE_REST, "Folder of the web page; empty: no page")    \
    X(REST_WORKERS, INT, "4", 1, 64, 0, ROLE_EDGE_REST, "Threads that talk to PostgreSQL")         \
    X(REST_CONNECTIONS, INT, "4096", 16, 262144, 0, ROLE_EDGE_REST,                                \
      "Connections at most; at that number the one waiting longest for its client is closed")      \
    X(CONNECTIONS_PER_ADDRESS, INT, "256", 1, 262144, 0, ROLE_EDGES,                               \
      "Connections of one address at most, but for TRUSTED_PROXIES; edge-ws counts those without " \
      "a token")                                                                                   \
    X(BODY_MEMORY_MB, INT, "256", 8, 1048576, 0, ROLE_EDGE_REST,                                   \
      "MiB that the bodies of all requests may hold; 8 KiB a connection of it are for small ones") \
    X(TRUSTED_PROXIES, RANGES, "", 0, 1024, 0, ROLE_EDGES,                                         \
      "Proxies in front whose word about the client's address is taken: addresses and "            \
      "address/bits, comma-separated; empty: none")                                                \
    X(PROXY_PROTOCOL, BOOL, "0", 0, 1, 0, ROLE_EDGES,                                              \
      "1: connections of TRUSTED_PROXIES begin with a PROXY protocol header, version 1 or 2")      \
    X(ALLOWED_ORIGINS, ORIGINS, "*", 0, 1024, 0, ROLE_EDGES,                                       \
      "Origins that browsers may connect from, comma-separated; *: any")                           \
    X(CODE_DRIVER, DRIVER, "log", 3, 16, 0, ROLE_EDGE_REST,                                        \
      "How one-time codes leave: log (development) or webhook")                                    \
    X(CODE_WEBHOOK_URL, URL, "", 0, 1024, 1, ROLE_EDGE_REST,                                       \
      "Where the webhook driver posts {phoneNumber, code}")                                        \
    X(CODE_PER_NUMBER_HOUR, INT, "3", 1, 100000, 0, ROLE_EDGE_REST,                                \
      "One-time codes an hour and phone number, for all strangers together and for each place "    \
      "that "                                                                                      \
      "the number is used from")                                                                   \
    X(CODE_PER_NUMBER_DAY, INT, "10", 1, 1000000, 0, ROLE_EDGE_REST,                               \
      "One-time codes in 24 hours and phone number, for all strangers together")                   \
    X(CODE_PER_ADDRESS_HOUR, INT, "30", 1, 100000000, 0, ROLE_EDGE_REST,                           \
      "One-time codes an hour that strangers may ask for from one address")                        \
    X(CODE_TOTAL_HOUR, INT, "2000", 5, 100000000, 0, ROLE_EDGE_REST,                               \
      "One-time codes an hour in all; a fifth is kept for places that a number is used from")      \
    X(GUESS_PER_NUMBER_DAY, INT, "20", 1, 100000000, 0, ROLE_EDGE_REST,                            \
      "Wrong codes a day and phone number; beyond it one try a code")                              \
    X(GUESS_PER_ADDRESS_HOUR, INT, "60", 1, 100000000, 0, ROLE_EDGE_REST,                          \
      "Wrong codes an hour and address; beyond it one try a code")                                 \
    X(GUESS_TOTAL_HOUR, INT, "2000", 1, 100000000, 0, ROLE_EDGE_REST,                              \
      "Wrong codes an hour in all; beyond it one try a code")                                      \
    X(LOOKUP_STRANGERS_DAY, INT, "200", 1, 100000, 0, ROLE_EDGE_REST,                              \
      "Numbers that a user may look up in 24 hours of people without a common chat; the same "     \
      "number again is free")                                                                      \
    X(LOOKUP_PER_ADDRESS_DAY, INT, "2000", 100, 100000000, 0, ROLE_EDGE_REST,                      \
      "The same a day and address")                                                                \
    X(LOOKUP_TOTAL_DAY, INT, "200000", 100, 100000000, 0, ROLE_EDGE_REST, "The same a day in all") \
    X(LINK_PER_ADDRESS_HOUR, INT, "60", 1, 100000000, 0, ROLE_EDGE_REST,                           \
      "Links that new devices may ask for an hour and address")                                    \
    X(LINK_TOTAL_HOUR, INT, "10000", 1, 100000000, 0, ROLE_EDGE_REST, "The same an hour in all")   \
    X(LINK_GUESS_PER_ADDRESS_HOUR, INT, "60", 1, 100000000, 0, ROLE_EDGE_REST,                     \
      "Codes and secrets of no link an hour and address; beyond it such a guess is told to wait")  \
    X(RATE_PER_MINUTE, INT, "600", 1, 100000000, 0, ROLE_EDGES,                                    \
      "Requests or frames a minute and user or address")                                           \
    X(LOG_DISK, PATH, "", 0, 1024, 0, ROLE_EDGES,                                                  \
      "Folders of Kafka's log whose free space the edges watch, comma-separated; empty: none")     \
    X(LOG_DISK_FREE_MIN_MB, INT, "1024", 1, 100000000, 0, ROLE_EDGES,                              \
      "MiB to be left free there: below, sends are refused with `log_full`")                       \
    X(DIRECT_PEERS_DAY, INT, "500", 1, 100000000, 0, ROLE_EDGE_WS,                                 \
      "People that a user may write to in direct chats a day (UTC) and gateway")                   \
    X(METRICS_LISTEN, LISTEN, "", 0, 64, 0, ROLE_ALL,                                              \
      "Address and port of /metrics and /healthz, for operators only; empty: none")                \
    X(LOG_LEVEL, LEVEL, "info", 4, 5, 0, ROLE_ALL,                                                 \
      "Least level that is logged: debug, info, warn or error")

enum setting_key {
#define X(name, ...) SET_##name,
    SETTINGS(X)
#undef X
        SETTING_N
};

/** Read and check every setting that a role of `roles` (enum role_bit) uses. On anything but CQ_OK
 * the reasons, one clear line each, are on `err`. Call once, before any thread. */
CQ_MUST_CHECK enum cq_status settings_load(uint32_t roles, FILE *err);

/** Call `fn` for each name of the environment that is no setting, but nearly the setting `ours`:
 * misspelt, it has no effect. Returns how many there are. */
int settings_misspelt(void (*fn)(void *arg, const char *name, const char *ours), void *arg);

/** Whether a role that was given to settings_load() has this setting. */
bool setting_is_declared(enum setting_key key);

/** The value of a setting; the process aborts when the setting is not declared. */
const char *setting_text(enum setting_key key); /* borrowed for the process's life */
int64_t setting_int(enum setting_key key);
bool setting_bool(enum setting_key key);

/** The table as Markdown, for docs/settings.md. */
void settings_print_markdown(FILE *out);

/** One line a setting with its value (secrets as "set"/"not set"). */
void settings_print_values(FILE *out);
