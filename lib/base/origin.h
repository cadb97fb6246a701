/* SPDX-License-Identifier: MIT */
/*
 * lib/base/origin.h - the origins of pages (RFC 6454) that browsers may speak to us from: one list
 * for REST and for sockets. Pure.
 */
#pragma once

#include "lib/base/span.h"

/** Whether `item` of a list is `*`, `null`, or a scheme and a host without a path. */
bool origin_is_good(struct cq_span item);

/** Whether `list` names `origin`, or `*`. Items are separated by commas, spaces around them do not
 * count; "" names none. `origin` is compared byte by byte: browsers write it in one form only. */
bool origin_is_allowed(const char *list, struct cq_span origin);
