/* SPDX-License-Identifier: MIT */
/*
 * lib/base/log.h - JSON lines on standard error: time, level, role, event and typed fields.
 * Never log content, tokens or whole phone numbers. Libraries log at debug only; role.c files log
 * above.
 *
 *     log_info("assigned", LOG_S("topic", t), LOG_I("partition", p));
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name;
    const char *s; /* used when not NULL, else `i` */
    int64_t i;
};

static inline struct log_field log_field_text(const char *name, const char *s)
{
    return (struct log_field){ name, s ? s : "", 0 };
}

#define LOG_S(name_, s_) log_field_text((name_), (s_))
#define LOG_I(name_, i_) ((struct log_field){ (name_), NULL, (int64_t)(i_) })

/** Once, before the first line. `role` is borrowed for the process's life. */
void log_init(const char *role, enum log_level least);
enum log_level log_level_parse(const char *name); /* unknown: LOG_INFO */

/** Any thread. Fields beyond 16 are dropped; a line is one write(2). */
void log_write(enum log_level lv, const char *event, const struct log_field *field, size_t n);

/** The one line of a role that ends by itself: event `ended` with `status` and `why`. There is
 * always a reason in it: with an empty `why`, the event that was written last at any level, printed
 * or not. Event names are constants. */
void log_ended(const char *status, const char *why);

#define LOG_FIELDS_(...) ((const struct log_field[]){ __VA_ARGS__ })
#define LOG_N_(...) (sizeof(LOG_FIELDS_(__VA_ARGS__)) / sizeof(struct log_field))
#define LOG_LINE_(lv, event, ...)                                       \
    log_write(lv, event, LOG_FIELDS_({ NULL, NULL, 0 }, ##__VA_ARGS__), \
              LOG_N_({ NULL, NULL, 0 }, ##__VA_ARGS__))
#define log_debug(event, ...) LOG_LINE_(LOG_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...) LOG_LINE_(LOG_INFO, event, ##__VA_ARGS__)
#define log_warn(event, ...) LOG_LINE_(LOG_WARN, event, ##__VA_ARGS__)
#define log_error(event, ...) LOG_LINE_(LOG_ERROR, event, ##__VA_ARGS__)
