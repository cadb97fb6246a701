/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/lossy.h - a topic for what is worthless after seconds: sent at most once, awaited by
 * nobody, read from its end, dropped where there is no room. Clients of its own, so that nothing of
 * it stands in front of what must not be lost. One thread; nothing here blocks but lossy_free().
 */
#pragma once

#include "lib/bus/bus.h"

struct lossy; /* opaque */

enum {
    LOSSY_RECORDS_MAX = 1024, /* on their way; what comes then is dropped */
    LOSSY_KIB_MAX = 4 * 1024,
    LOSSY_LIFE_MS = 2000, /* a record that the broker has not taken by then is dropped */
};

/** CQ_FATAL when librdkafka refuses the settings. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status lossy_new(const char *brokers, const char *client_id,
                                       const char *topic, struct lossy **ret);
void lossy_free(struct lossy *lossy); /* what is on its way is dropped; NULL is fine */

/** Send one record (`value` is copied). False: there was no room. */
bool lossy_send(struct lossy *lossy, int32_t partition, struct cq_span value);

/** Read these `n` partitions and no others. Those that were read go on; new ones begin at their
 * ends. */
void lossy_listen(struct lossy *lossy, const int32_t *partitions, size_t n);

/** The next record, without waiting; false: there is none. The caller releases it
 * (record_release()). */
bool lossy_poll(struct lossy *lossy, struct bus_record *ret);
