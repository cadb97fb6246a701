/* SPDX-License-Identifier: MIT */
/*
 * What providers answer, by the tables of their documentation.
 */
#include "sinks/mobile/answer.h"
#include "tests/unit/test.h"

#include "lib/base/buf.h"

static struct http_answer answered(int status, const char *body)
{
    return (
        struct http_answer){ .st = CQ_OK, .status = status, .body = span_str(body), .error = "" };
}

#define GOOGLE(status, code, message)                                                     \
    "{\"error\":{\"code\":0,\"message\":\"" message "\",\"status\":\"" status             \
    "\",\"details\":[{\"@type\":\"type.googleapis.com/google.firebase.fcm.v1.FcmError\"," \
    "\"errorCode\":\"" code "\"}]}}"
#define PLAIN(status) "{\"error\":{\"code\":0,\"message\":\"m\",\"status\":\"" status "\"}}"
#define OURS                                                                              \
    "{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"message\":\"not a valid registration " \
    "token\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\"},"     \
    "{\"@type\":\"type.googleapis.com/google.firebase.fcm.v1.FcmError\",\"errorCode\":"   \
    "\"INVALID_ARGUMENT\"}]}}"

TEST(google)
{
    static const struct {
        int status;
        const char *body;
        enum push_verdict want;
    } rows[] = {
        { 200, "{\"name\":\"projects/p/messages/1\"}", PUSH_TAKEN },
        { 404, GOOGLE("NOT_FOUND", "UNREGISTERED", "m"), PUSH_DEAD },
        { 403, GOOGLE("PERMISSION_DENIED", "SENDER_ID_MISMATCH", "m"), PUSH_FOREIGN },
        { 400, GOOGLE("INVALID_ARGUMENT", "INVALID_ARGUMENT", "m"), PUSH_REFUSED },
        { 400,
          GOOGLE("INVALID_ARGUMENT", "INVALID_ARGUMENT",
                 "The registration token is not a valid FCM registration token"),
          PUSH_DEAD },
        { 400, OURS, PUSH_REFUSED },
        { 401, GOOGLE("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "m"), PUSH_UNREACHED },
        { 401, GOOGLE("UNAUTHENTICATED", "APNS_AUTH_ERROR", "m"), PUSH_UNREACHED },
        { 429, GOOGLE("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "m"), PUSH_SLOWER },
        { 503, GOOGLE("UNAVAILABLE", "UNAVAILABLE", "m"), PUSH_DOWN },
        { 500, GOOGLE("INTERNAL", "INTERNAL", "m"), PUSH_DOWN },
        /* a code that is not known yet: the status has the say */
        { 503, GOOGLE("UNAVAILABLE", "SOMETHING_NEW", "m"), PUSH_DOWN },
        { 400, GOOGLE("FAILED_PRECONDITION", "SOMETHING_NEW", "m"), PUSH_REFUSED },
        { 401, PLAIN("UNAUTHENTICATED"), PUSH_CREDENTIAL },
        { 403, PLAIN("PERMISSION_DENIED"), PUSH_MISCONFIGURED },
        { 404, PLAIN("NOT_FOUND"), PUSH_MISCONFIGURED }, /* the project: no token dies of it */
        { 429, PLAIN("RESOURCE_EXHAUSTED"), PUSH_SLOWER },
        { 502, "<html>Bad Gateway</html>", PUSH_DOWN },
        { 404, "<html>Not Found</html>", PUSH_REFUSED },
        { 500, "", PUSH_DOWN },
        { 500, "{\"error\":[1]}", PUSH_DOWN },
        { 500, "{\"error\":{\"details\":{\"errorCode\":3}}}", PUSH_DOWN },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_answer answer = answered(rows[i].status, rows[i].body);
        struct push_answer got;

        answer_fcm(&answer, &got);
        CHECK_EQ_ROW(rows[i].body, got.verdict, rows[i].want);
        CHECK_EQ_ROW(rows[i].body, got.status, rows[i].status);
    }
}

TEST(apple)
{
    static const struct {
        int status;
        const char *reason;
        enum push_verdict want;
    } rows[] = {
        { 400, "BadCollapseId", PUSH_REFUSED },
        { 400, "BadDeviceToken", PUSH_FOREIGN },
        { 400, "BadExpirationDate", PUSH_REFUSED },
        { 400, "BadMessageId", PUSH_REFUSED },
        { 400, "BadPriority", PUSH_REFUSED },
        { 400, "BadTopic", PUSH_REFUSED },
        { 400, "DeviceTokenNotForTopic", PUSH_FOREIGN },
        { 400, "DuplicateHeaders", PUSH_REFUSED },
        { 400, "IdleTimeout", PUSH_LATER },
        { 400, "InvalidPushType", PUSH_REFUSED },
        { 400, "MissingDeviceToken", PUSH_REFUSED },
        { 400, "MissingTopic", PUSH_REFUSED },
        { 400, "PayloadEmpty", PUSH_REFUSED },
        { 400, "TopicDisallowed", PUSH_REFUSED },
        { 403, "BadCertificate", PUSH_MISCONFIGURED },
        { 403, "BadCertificateEnvironment", PUSH_MISCONFIGURED },
        { 403, "ExpiredProviderToken", PUSH_CREDENTIAL },
        { 403, "Forbidden", PUSH_MISCONFIGURED },
        { 403, "InvalidProviderToken", PUSH_MISCONFIGURED },
        { 403, "MissingProviderToken", PUSH_MISCONFIGURED },
        { 403, "UnrelatedKeyIdInToken", PUSH_MISCONFIGURED },
        { 403, "BadEnvironmentKeyInToken", PUSH_MISCONFIGURED },
        { 404, "BadPath", PUSH_REFUSED },
        { 405, "MethodNotAllowed", PUSH_REFUSED },
        { 410, "ExpiredToken", PUSH_DEAD },
        { 410, "Unregistered", PUSH_DEAD },
        { 413, "PayloadTooLarge", PUSH_REFUSED },
        { 429, "TooManyProviderTokenUpdates", PUSH_SLOWER },
        { 429, "TooManyRequests", PUSH_LATER },
        { 500, "InternalServerError", PUSH_DOWN },
        { 503, "ServiceUnavailable", PUSH_DOWN },
        { 503, "Shutdown", PUSH_DOWN },
        /* reasons to come */
        { 400, "SomethingNew", PUSH_REFUSED },
        { 403, "SomethingNew", PUSH_MISCONFIGURED },
        { 410, "SomethingNew", PUSH_DEAD },
        { 429, "SomethingNew", PUSH_LATER },
        { 500, "SomethingNew", PUSH_DOWN },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char body[128];
        struct http_answer answer;
        struct push_answer got;

        snprintf(body, sizeof body, "{\"reason\":\"%s\",\"timestamp\":1700000000000}",
                 rows[i].reason);
        answer = answered(rows[i].status, body);
        answer_apns(&answer, &got);
        CHECK_EQ_ROW(rows[i].reason, got.verdict, rows[i].want);
        CHECK_STR(got.words, rows[i].reason);
        CHECK_EQ(got.dead_since_ms, 1700000000000);
    }
}

TEST(browsers)
{
    static const struct {
        int status;
        enum push_verdict want;
    } rows[] = {
        { 200, PUSH_TAKEN },   { 201, PUSH_TAKEN },   { 202, PUSH_TAKEN },   { 301, PUSH_REFUSED },
        { 307, PUSH_REFUSED }, /* nobody is followed */
        { 400, PUSH_REFUSED }, { 401, PUSH_FOREIGN }, { 403, PUSH_FOREIGN }, { 404, PUSH_DEAD },
        { 410, PUSH_DEAD },    { 405, PUSH_REFUSED }, { 413, PUSH_REFUSED }, { 429, PUSH_LATER },
        { 500, PUSH_DOWN },    { 503, PUSH_DOWN },    { 999, PUSH_DOWN },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_answer answer = answered(rows[i].status, "<b>gone</b>\n");
        struct push_answer got;

        answer.retry_after_s = INT64_MAX;
        answer_web(&answer, &got);
        CHECK_EQ_ROW(rows[i].want == PUSH_TAKEN ? "taken" : "not", got.verdict, rows[i].want);
        CHECK_EQ(got.retry_after_s, RETRY_AFTER_MAX_S);
        CHECK_STR(got.words, rows[i].want == PUSH_TAKEN ? "" : "<b>gone</b>?");
    }
}

TEST(no_answer_is_trouble_with_its_words)
{
    struct http_answer answer = { .st = CQ_AGAIN, .error = "connection\nreset \xC3\xA9" };
    struct push_answer got;

    answer_apns(&answer, &got);
    CHECK_EQ(got.verdict, PUSH_DOWN);
    CHECK_EQ(got.status, 0);
    CHECK_STR(got.words, "connection?reset ??");
    answer_fcm(&answer, &got);
    CHECK_EQ(got.verdict, PUSH_DOWN);
}

TEST(words_are_cut_and_a_quota_has_a_time)
{
    static const char start[] = "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"";
    char body[4096];
    struct http_answer answer;
    struct push_answer got;

    memset(body, 'x', sizeof body);
    memcpy(body, start, sizeof start - 1);
    memcpy(body + 4000, "\"}}", 4);
    answer = answered(429, body);
    answer_fcm(&answer, &got);
    CHECK_EQ(got.verdict, PUSH_SLOWER);
    CHECK_EQ(got.retry_after_s, 60);
    CHECK_EQ(strlen(got.words), PUSH_WORDS_MAX);
    answer.retry_after_s = 7;
    answer_fcm(&answer, &got);
    CHECK_EQ(got.retry_after_s, 7);
}

TEST(the_token_endpoint)
{
    struct http_answer answer = answered(400, "{\"error\":\"invalid_grant\"}");
    struct push_answer got;

    answer_oauth(&answer, &got);
    CHECK_EQ(got.verdict, PUSH_MISCONFIGURED);
    answer = answered(503, "");
    answer_oauth(&answer, &got);
    CHECK_EQ(got.verdict, PUSH_DOWN);
    answer = answered(429, "");
    answer_oauth(&answer, &got);
    CHECK_EQ(got.verdict, PUSH_DOWN);
}

TEST(what_is_asked_for_has_a_bound)
{
    struct http_answer answer = answered(429, GOOGLE("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "m"));
    struct push_answer got;

    answer.retry_after_s = 120;
    answer_fcm(&answer, &got);
    CHECK_EQ(got.retry_after_s, 120);
    answer.retry_after_s = INT64_MAX;
    answer_fcm(&answer, &got);
    CHECK_EQ(got.retry_after_s, RETRY_AFTER_MAX_S);
    answer.retry_after_s = -5;
    answer_fcm(&answer, &got);
    CHECK_EQ(got.retry_after_s, 60); /* nothing said */
}
