/* SPDX-License-Identifier: MIT */
/*
 * Every error that the library knows is judged: what heals by itself, and what needs a person.
 */
#include "lib/bus/rdkafka_conf.h"
#include "tests/unit/test.h"

/* Those that the table of Kafka's protocol (kafka.apache.org/protocol, column "retriable") calls
 * retriable, by number, as far as a client like ours can meet them. */
static const int retriable[] = { 5,  6,  7,  8,  9,  13, 14, 15, 16, 19, 20, 41,
                                 51, 56, 70, 71, 72, 74, 75, 78, 80, 88, 89 };

/* Asking again would be asking for ever. */
static const rd_kafka_resp_err_t final[] = {
    RD_KAFKA_RESP_ERR_NO_ERROR,
    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION,
    RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE,
    RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
    RD_KAFKA_RESP_ERR__FATAL,
    RD_KAFKA_RESP_ERR__FENCED,
    RD_KAFKA_RESP_ERR__INVALID_ARG,
    RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
    RD_KAFKA_RESP_ERR__AUTHENTICATION,
    RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED,
    RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
    RD_KAFKA_RESP_ERR__DESTROY,
};

TEST(what_the_protocol_calls_retriable_is_asked_again)
{
    for (size_t i = 0; i < sizeof retriable / sizeof *retriable; i++)
        CHECK_EQ_ROW(rd_kafka_err2name((rd_kafka_resp_err_t)retriable[i]),
                     rdkafka_heals((rd_kafka_resp_err_t)retriable[i]), true);
}

TEST(what_needs_a_person_is_not)
{
    for (size_t i = 0; i < sizeof final / sizeof *final; i++)
        CHECK_EQ_ROW(rd_kafka_err2name(final[i]), rdkafka_heals(final[i]), false);
}

/* No broker's error beyond the two lists and those of a group is taken for one that heals: a new
 * version of the library cannot add one unseen. */
TEST(the_rest_of_the_table_is_final)
{
    const struct rd_kafka_err_desc *all;
    size_t n;

    rd_kafka_get_err_descs(&all, &n);
    CHECK(n > 100);
    for (size_t i = 0; i < n; i++) {
        int code = all[i].code;
        bool known = code == 22 || code == 25 || code == 27 || code <= 0;

        if (!all[i].name)
            continue;
        for (size_t row = 0; row < sizeof retriable / sizeof *retriable; row++)
            known |= retriable[row] == code;
        if (!known)
            CHECK_EQ_ROW(all[i].name, rdkafka_heals(all[i].code), false);
    }
}
