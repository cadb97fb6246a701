/* SPDX-License-Identifier: MIT */
/*
 * lib/base/count.h - the one table of numbers that a running role shows: counters of what it did
 * and, above all, of what it refused or had to do again, and gauges of how it stands. Any thread.
 * lib/base/export.h serves them.
 *
 *     count_add(COUNT_DEAD_LETTERS, 1); count_set(COUNT_SOCKETS, n);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum count_kind { COUNT_KIND_COUNTER, COUNT_KIND_GAUGE };

/** X(enum name, kind, exported name, roles that have it (enum role_bit), help). */
#define COUNTS(X)                                                                                  \
    X(RECORDS_IN, COUNTER, "records_in_total", ROLE_READERS, "Records taken from the log")         \
    X(RECORDS_OUT, COUNTER, "records_out_total", ROLE_ALL,                                         \
      "Records that the broker reported stored")                                                   \
    X(SENDS_FAILED, COUNTER, "sends_failed_total", ROLE_ALL,                                       \
      "Records whose delivery failed: unknown whether they are stored")                            \
    X(QUEUE_FULL, COUNTER, "queue_full_total", ROLE_ALL,                                           \
      "Times the producer's queue had no room for a record")                                       \
    X(COMMITS_FAILED, COUNTER, "commits_failed_total", ROLE_READERS,                               \
      "Commits that the broker did not take or that could not be sent; more is read again")        \
    X(DEAD_LETTERS, COUNTER, "dead_letters_total", ROLE_READERS,                                   \
      "Records that can never succeed, sent to their dlq topic")                                   \
    X(EXPIRED, COUNTER, "expired_total", ROLE_READERS,                                             \
      "Records that the log gave up before this group had read them")                              \
    X(FILLERS, COUNTER, "fillers_total", ROLE_READERS,                                             \
      "Records passed over that `admin log-was-cut` wrote only to take up offsets")                \
    X(NEWER, GAUGE, "newer_partitions", ROLE_READERS,                                              \
      "Partitions that stand still because a newer build wrote what comes next: /healthz is 503, " \
      "and the newer build of this role goes on")                                                  \
    X(KILLERS, COUNTER, "killers_total", ROLE_READERS,                                             \
      "Dead letters that had killed their process again and again")                                \
    X(REJOINS, COUNTER, "rejoins_total", ROLE_READERS,                                             \
      "Times that the group was joined anew: it took this member for another, or a partition "     \
      "could not be taken over")                                                                   \
    X(PARTITIONS, GAUGE, "partitions", ROLE_READERS, "Partitions owned now")                       \
    X(LAG, GAUGE, "lag_records", ROLE_READERS,                                                     \
      "Records of owned partitions not yet read, as far as the last fetch told; -1 while Kafka "   \
      "does not answer")                                                                           \
    X(TURNS, COUNTER, "turns_total", ROLE_STAGES | ROLE_FEEDS, "Turns that had records")           \
    X(BATCH, GAUGE, "batch_records", ROLE_STAGES | ROLE_FEEDS, "Records in the last turn")         \
    X(TURNS_AGAIN, COUNTER, "turns_again_total", ROLE_STAGES | ROLE_FEEDS,                         \
      "Turns that have to be done again")                                                          \
    X(TURNS_REPEATED, GAUGE, "turns_repeated", ROLE_STAGES | ROLE_FEEDS,                           \
      "Turns in a row that did nothing and are repeated; /healthz is 503 after ten seconds of it") \
    X(SLOW, GAUGE, "slow_partitions", ROLE_FEEDS,                                                  \
      "Partitions that wait because a record takes longer than PostgreSQL gives a statement: "     \
      "others go on, it is tried again, and /healthz is 503")                                      \
    X(ZOMBIE_WRITES, COUNTER, "zombie_writes_refused_total", ROLE_FEEDS,                           \
      "Turns refused by the compare-and-set: another copy owns the partition")                     \
    X(LATE_CONFIRMATIONS, COUNTER, "late_confirmations_total", ROLE_FEEDS,                         \
      "Commits with an unknown outcome that proved to have happened")                              \
    X(KAFKA_AWAY, GAUGE, "kafka_away", ROLE_ALL,                                                   \
      "1 while Kafka has not answered this process for ten seconds")                               \
    X(DATABASE_AWAY, GAUGE, "database_away", ROLE_DATABASE,                                        \
      "1 while PostgreSQL does not answer, or has not answered for ten seconds")                   \
    X(VIEW_INCOMPLETE, GAUGE, "view_incomplete", ROLE_FEEDS | ROLE_EDGE_REST,                      \
      "Partitions that the view is still to be filled from; of edge-rest: 1 while it is not read") \
    X(DUPLICATES, COUNTER, "duplicates_suppressed_total",                                          \
      ROLE_CHAT | ROLE_USER | ROLE_FEEDS | ROLE_EDGE_WS,                                           \
      "Repeats that had no second effect: a client id sent twice, a record replayed")              \
    X(REJECTIONS, COUNTER, "rejections_total", ROLE_CHAT, "Actions refused with a code")           \
    X(RECEIPTS_REFUSED, COUNTER, "receipts_refused_total", ROLE_CHAT,                              \
      "Receipts at or above their own position, or of a chat that is not theirs")                  \
    X(SILENT_CLEARED, COUNTER, "silent_sessions_cleared_total", ROLE_USER,                         \
      "Sessions dropped because their gateway was silent for three minutes")                       \
    X(SESSIONS_LOST, COUNTER, "sessions_lost_total", ROLE_USER,                                    \
      "SessionLost taken: what a gateway could not deliver, handed back")                          \
    X(INGEST_REFUSED, COUNTER, "ingest_refused_total", ROLE_EDGES,                                 \
      "Actions refused at once because the log takes nothing now")                                 \
    X(LOG_FULL, GAUGE, "log_full", ROLE_EDGES,                                                     \
      "1 while sends are refused because Kafka's disk is nearly full, 2 while all that clients "   \
      "write is; see LOG_DISK")                                                                    \
    X(LOG_CUT, GAUGE, "log_cut", ROLE_ALL,                                                         \
      "1 while nothing is written because a partition ends before what was stored in it; see "     \
      "`admin log-was-cut`")                                                                       \
    X(LOG_CUT_REFUSED, COUNTER, "log_cut_refused_total", ROLE_EDGES,                               \
      "Actions refused because a partition lost its tail")                                         \
    X(LOG_FREE, GAUGE, "log_free_bytes", ROLE_EDGES,                                               \
      "Bytes free where LOG_DISK has least; -1: a folder cannot be seen")                          \
    X(LOG_REFUSED, COUNTER, "log_full_refused_total", ROLE_EDGES,                                  \
      "Actions refused because Kafka's disk is nearly full")                                       \
    X(OVERLOAD_REFUSED, COUNTER, "road_refused_total", ROLE_EDGE_WS,                               \
      "Messages refused because what was taken before is delivered late")                          \
    X(UNKNOWN_ANSWERS, COUNTER, "unknown_answers_total", ROLE_EDGES,                               \
      "Clients told that it is unknown whether their action is stored")                            \
    X(RATE_REFUSED, COUNTER, "rate_refused_total", ROLE_EDGES, "Requests and frames over a rate")  \
    X(PEERS_REFUSED, COUNTER, "peers_refused_total", ROLE_EDGE_WS,                                 \
      "Messages refused because their sender wrote to DIRECT_PEERS_DAY people today")              \
    X(STORE_AWAY, COUNTER, "store_away_total", ROLE_STORE,                                         \
      "Times that the store of files did not answer, or would not have us")                        \
    X(STORE_FULL, COUNTER, "store_full_total", ROLE_STORE,                                         \
      "Times that the store of files had no room")                                                 \
    X(FILES_REFUSED, COUNTER, "files_refused_total", ROLE_EDGE_REST,                               \
      "Uploads that were not what they were said to be")                                           \
    X(FILES_SWEPT, COUNTER, "files_swept_total", ROLE_MEDIA,                                       \
      "Uploads that nobody finished, and objects of files that are gone, taken away")              \
    X(FILES_STUCK, GAUGE, "files_stuck_seconds", ROLE_MEDIA,                                       \
      "Since a file was taken away that the store did not delete in the last pass, or 0")          \
    X(FILES_UNSHOWN, COUNTER, "files_unshown_total", ROLE_MEDIA,                                   \
      "Complete files that nothing showed, taken away")                                            \
    X(FILES_SETTLED, COUNTER, "files_settled_total", ROLE_MEDIA,                                   \
      "Stored files that nobody had brought into the log, until this role did or gave them up")    \
    X(LOOK_FAULTS, COUNTER, "look_faults_total", ROLE_MEDIA,                                       \
      "Files that chasqui-thumbnail could not make sense of, or did not survive")                  \
    X(LOOKS, COUNTER, "looks_total", ROLE_MEDIA, "Files that were looked into")                    \
    X(LOOK_RETRIES, COUNTER, "look_retries_total", ROLE_MEDIA,                                     \
      "Looks made again because their process was killed")                                         \
    X(LOOK_BREAKOUTS, COUNTER, "look_breakouts_total", ROLE_MEDIA,                                 \
      "Looks ended by the sandbox: the file made its process try what no picture needs")           \
    X(LOOKS_REFUSED, COUNTER, "looks_refused_total", ROLE_MEDIA,                                   \
      "Files not looked into because too many of their owner wait")                                \
    X(LOOKS_WAITING, GAUGE, "looks_waiting", ROLE_MEDIA, "Files that wait for a process now")      \
    X(LOOKS_WORKING, GAUGE, "looks_working", ROLE_MEDIA, "Files that are looked into now")         \
    X(PUSHES_TAKEN, COUNTER, "pushes_taken_total", ROLE_MOBILE, "Pushes that their provider took") \
    X(PUSHES_DROPPED, COUNTER, "pushes_dropped_total", ROLE_MOBILE,                                \
      "Pushes that will never be taken")                                                           \
    X(PUSHES_SPARED, COUNTER, "pushes_spared_total", ROLE_MOBILE,                                  \
      "Pushes not sent: the device had it, or the chat is muted")                                  \
    X(PUSHES_NOWHERE, COUNTER, "pushes_nowhere_total", ROLE_MOBILE,                                \
      "Pushes for devices that nobody can wake")                                                   \
    X(PUSHES_AGAIN, COUNTER, "pushes_again_total", ROLE_MOBILE,                                    \
      "Tries that have to be made again")                                                          \
    X(PUSHES_PARKED, COUNTER, "pushes_parked_total", ROLE_MOBILE,                                  \
      "Pushes written back to the log for a later time")                                           \
    X(TOKENS_DEAD, COUNTER, "tokens_dead_total", ROLE_MOBILE,                                      \
      "Tokens that their provider says are dead")                                                  \
    X(PROVIDERS_PAUSED, GAUGE, "providers_paused", ROLE_MOBILE,                                    \
      "Providers whose pushes wait, because they or their configuration do not work")              \
    X(PROVIDERS_SLOWED, GAUGE, "providers_slowed", ROLE_MOBILE,                                    \
      "Providers that asked for a wait within the last minute, or still (Retry-After, a quota)")   \
    X(PROVIDERS_NARROWED, GAUGE, "providers_narrowed", ROLE_MOBILE,                                \
      "Providers with a quarter of PUSH_IN_FLIGHT or less under way, as their connections die")    \
    X(PUSHES_UNKNOWN, COUNTER, "pushes_unknown_total", ROLE_MOBILE,                                \
      "Requests that ended without an answer: sent again, and may arrive twice")                   \
    X(CODES_SENT, COUNTER, "codes_sent_total", ROLE_EDGE_REST,                                     \
      "One-time codes that their provider took")                                                   \
    X(CODES_FAILED, COUNTER, "codes_failed_total", ROLE_EDGE_REST,                                 \
      "One-time codes given up: not taken by the provider, or waited for it too long")             \
    X(CODES_REFUSED, COUNTER, "codes_refused_total", ROLE_EDGE_REST,                               \
      "Log-ins told to come later because codes cannot leave")                                     \
    X(CODES_LIMITED, COUNTER, "codes_limited_total", ROLE_EDGE_REST,                               \
      "Codes refused by the budget of a number or an address")                                     \
    X(CODES_OVER, COUNTER, "codes_over_total", ROLE_EDGE_REST,                                     \
      "Codes refused by CODE_TOTAL_HOUR: nobody unknown can log in")                               \
    X(CODES_USED, GAUGE, "codes_used_percent", ROLE_EDGE_REST,                                     \
      "How much of CODE_TOTAL_HOUR is used, looked at every ten seconds; at 80 strangers are "     \
      "refused")                                                                                   \
    X(GUESSES_REFUSED, COUNTER, "guesses_refused_total", ROLE_EDGE_REST,                           \
      "Codes not looked at because there were too many wrong ones")                                \
    X(LOOKUPS_REFUSED, COUNTER, "lookups_refused_total", ROLE_EDGE_REST,                           \
      "Numbers not looked up because of a budget")                                                 \
    X(LINKS_REFUSED, COUNTER, "links_refused_total", ROLE_EDGE_REST,                               \
      "Links of new devices refused by the budget of an address or of all")                        \
    X(LINK_GUESSES_REFUSED, COUNTER, "link_guesses_refused_total", ROLE_EDGE_REST,                 \
      "Codes and secrets of no link, beyond the budget of an address")                             \
    X(AUTH_SWEPT, COUNTER, "auth_swept_total", ROLE_EDGE_REST,                                     \
      "Rows of schema auth taken away because their time has passed")                              \
    X(GROUPS_LEFT, COUNTER, "groups_left_total", ROLE_EDGE_REST,                                   \
      "Groups that a deleted account was found in, and leaves")                                    \
    X(LEAVER_FAILED, GAUGE, "leaver_failed", ROLE_EDGE_REST,                                       \
      "1 while what follows from the deletion of an account cannot be looked at, or written")      \
    X(EXPORTS_MADE, COUNTER, "exports_made_total", ROLE_EDGE_REST, "Exports of accounts made")     \
    X(EXPORTS_FAILED, COUNTER, "exports_failed_total", ROLE_EDGE_REST,                             \
      "Exports given up after five tries that failed; their users are told so")                    \
    X(EXPORTS_FAILING, GAUGE, "exports_failing", ROLE_EDGE_REST,                                   \
      "1 while the last try to make an export has failed")                                         \
    X(EXPORTS_WAIT, GAUGE, "exports_wait", ROLE_EDGE_REST,                                         \
      "1 while exports wait because those that are kept take up EXPORT_TOTAL_MB")                  \
    X(EXPORTS_STUCK, GAUGE, "exports_stuck", ROLE_EDGE_REST,                                       \
      "1 while the store does not remove the files of exports whose time is over")                 \
    X(CODES_HELD, GAUGE, "codes_held", ROLE_EDGE_REST,                                             \
      "One-time codes waiting for the provider or under way, at most 256")                         \
    X(CODES_PAUSED, GAUGE, "codes_paused", ROLE_EDGE_REST,                                         \
      "1 while no codes are sent because the provider fails")                                      \
    X(CALLS, GAUGE, "calls", ROLE_EDGE_REST, "Requests at work now")                               \
    X(CONNECTIONS, GAUGE, "connections", ROLE_EDGE_REST, "Connections open now")                   \
    X(CONNECTIONS_REFUSED, COUNTER, "connections_refused_total", ROLE_EDGES,                       \
      "Connections closed because there were too many, of all or of one address")                  \
    X(BODY_BYTES, GAUGE, "body_bytes", ROLE_EDGE_REST,                                             \
      "Bytes taken by bodies above 8 KiB now, of BODY_MEMORY_MB")                                  \
    X(REQUESTS_REFUSED, COUNTER, "requests_refused_total", ROLE_EDGE_REST,                         \
      "Requests refused for their head, size or slowness before they were run")                    \
    X(SOCKETS, GAUGE, "sockets", ROLE_EDGE_WS, "Sockets open now")                                 \
    X(SESSIONS_READY, GAUGE, "sessions_ready", ROLE_EDGE_WS, "Sessions confirmed now")             \
    X(FRAMES_OPEN, GAUGE, "frames_open", ROLE_EDGE_WS, "Frames without their ok now")              \
    X(SIGNALS_SAID, COUNTER, "signals_said_total", ROLE_EDGE_WS,                                   \
      "Signals taken from clients: somebody types, records, or stopped")                           \
    X(SIGNALS_SHOWN, COUNTER, "signals_shown_total", ROLE_EDGE_WS,                                 \
      "Signals written to sockets that look")                                                      \
    X(SIGNALS_DROPPED, COUNTER, "signals_dropped_total", ROLE_EDGE_WS,                             \
      "Signals over a rate or without room; nothing is lost by it")                                \
    X(SIGNAL_RECORDS, COUNTER, "signal_records_total", ROLE_EDGE_WS,                               \
      "Records of signals written for other gateways")                                             \
    X(SIGNAL_LOOKS, GAUGE, "signal_looks", ROLE_EDGE_WS,                                           \
      "Chats and users that sockets look at now")                                                  \
    X(SIGNAL_WATCHES, GAUGE, "signal_watches", ROLE_EDGE_WS,                                       \
      "Chats and users that are looked at behind other gateways, kept for them now")               \
    X(ACKS, COUNTER, "acks_total", ROLE_EDGE_WS, "Sends acknowledged")                             \
    X(NACKS, COUNTER, "nacks_total", ROLE_EDGE_WS, "Sends not taken, or unknown")                  \
    X(BAD_FRAMES, COUNTER, "bad_frames_total", ROLE_EDGE_WS, "Frames that break the protocol")     \
    X(FRAMES, COUNTER, "frames_total", ROLE_EDGE_WS, "Numbered frames written to sockets")         \
    X(HANDED_BACK, COUNTER, "handed_back_total", ROLE_EDGE_WS,                                     \
      "Message frames stored in user.inbox again because their socket did not ok them")            \
    X(RESYNC_CLOSES, COUNTER, "resync_closes_total", ROLE_EDGE_WS,                                 \
      "Sockets closed because more waited for them than is kept")                                  \
    X(LATE_CLOSES, COUNTER, "late_closes_total", ROLE_EDGE_WS,                                     \
      "Sockets closed because a frame had no ok for ten seconds")                                  \
    X(SESSIONS_MOVED, COUNTER, "sessions_moved_total", ROLE_EDGE_WS,                               \
      "Sessions registered anew because their slot went to another gateway")                       \
    X(CLOSED_BY_LOG, COUNTER, "closed_by_log_total", ROLE_EDGE_WS,                                 \
      "Sockets closed by word of the processors: logged out, or too many")

enum count_key {
#define X(name, ...) COUNT_##name,
    COUNTS(X)
#undef X
        COUNT_N
};

void count_add(enum count_key key, int64_t n);

/** For a gauge, or for a counter that is kept elsewhere. */
void count_set(enum count_key key, int64_t value);

int64_t count_get(enum count_key key);

/** The role's loop went round, at monotonic `now_ms`. */
void count_beat(int64_t now_ms);

/** Ms since the last beat; when there was none, since the first call of this. */
int64_t count_silence_ms(int64_t now_ms);

/** The last `n` turns did nothing and are repeated, as of monotonic `now_ms`; 0: the last one did
 * something. One thread. */
void count_repeats(int n, int64_t now_ms);

/** Ms since the first of the turns that are only repeated; 0: there is none. */
int64_t count_repeating_ms(int64_t now_ms);

/** The rows that `role` (enum role_bit) has, as Prometheus text of at most `cap` bytes;
 * returns its length, 0 when it does not fit. `name` is the role's, for a label. */
size_t count_print(uint32_t role, const char *name, char *out, size_t cap);
