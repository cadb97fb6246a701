/* SPDX-License-Identifier: MIT */
/*
 * security.h - the settings of Kafka's TLS and login, judged together and put to use.
 */
#pragma once

#include "lib/base/status.h"

#include <stdio.h>

/** Judge KAFKA_TLS, KAFKA_SASL and those that go with them, read the files they name, and have all
 * clients of this process made accordingly. Call once, after settings_load() and before any thread.
 * CQ_FATAL: the reasons, one line each and never a secret, are on `err`. */
CQ_MUST_CHECK enum cq_status security_load(FILE *err);
