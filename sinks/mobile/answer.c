/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/answer.h"

#include "lib/json/json.h"

enum { QUOTA_WAIT_S = 60 };

struct row {
    const char *word;
    enum push_verdict verdict;
};

/* https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode */
static const struct row fcm_rows[] = {
    { "UNREGISTERED", PUSH_DEAD },
    { "SENDER_ID_MISMATCH", PUSH_FOREIGN },
    { "INVALID_ARGUMENT", PUSH_REFUSED },
    { "THIRD_PARTY_AUTH_ERROR", PUSH_UNREACHED },
    { "APNS_AUTH_ERROR", PUSH_UNREACHED },
    { "QUOTA_EXCEEDED", PUSH_SLOWER },
    { "UNAVAILABLE", PUSH_DOWN },
    { "INTERNAL", PUSH_DOWN },
    { NULL, 0 },
};

/* The same without an FCM code: google.rpc.Code. NOT_FOUND may be about the project, so it ends no
 * token. */
static const struct row google_rows[] = {
    { "UNAUTHENTICATED", PUSH_CREDENTIAL },
    { "PERMISSION_DENIED", PUSH_MISCONFIGURED },
    { "NOT_FOUND", PUSH_MISCONFIGURED },
    { "INVALID_ARGUMENT", PUSH_REFUSED },
    { "RESOURCE_EXHAUSTED", PUSH_SLOWER },
    { "UNAVAILABLE", PUSH_DOWN },
    { "INTERNAL", PUSH_DOWN },
    { "DEADLINE_EXCEEDED", PUSH_DOWN },
    { NULL, 0 },
};

/* https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
 */
static const struct row apns_rows[] = {
    { "BadDeviceToken", PUSH_FOREIGN },
    { "DeviceTokenNotForTopic", PUSH_FOREIGN },
    { "Unregistered", PUSH_DEAD },
    { "ExpiredToken", PUSH_DEAD },
    { "ExpiredProviderToken", PUSH_CREDENTIAL },
    { "InvalidProviderToken", PUSH_MISCONFIGURED },
    { "MissingProviderToken", PUSH_MISCONFIGURED },
    { "UnrelatedKeyIdInToken", PUSH_MISCONFIGURED },
    { "BadEnvironmentKeyInToken", PUSH_MISCONFIGURED },
    { "BadCertificate", PUSH_MISCONFIGURED },
    { "BadCertificateEnvironment", PUSH_MISCONFIGURED },
    { "Forbidden", PUSH_MISCONFIGURED },
    { "TooManyProviderTokenUpdates", PUSH_SLOWER },
    { "TooManyRequests", PUSH_LATER },
    { "IdleTimeout", PUSH_LATER },
    { "InternalServerError", PUSH_DOWN },
    { "ServiceUnavailable", PUSH_DOWN },
    { "Shutdown", PUSH_DOWN },
    { NULL, 0 }, /* every other 400, 404, 405, 413 is a push that will never be taken */
};

static bool find(const struct row *rows, struct cq_span word, enum push_verdict *ret)
{
    for (; rows->word; rows++)
        if (span_eq_str(word, rows->word)) {
            *ret = rows->verdict;
            return true;
        }
    return false;
}

static enum push_verdict by_status(int status)
{
    if (status / 100 == 2)
        return PUSH_TAKEN;
    if (status == 410)
        return PUSH_DEAD;
    if (status == 401)
        return PUSH_CREDENTIAL;
    if (status == 403)
        return PUSH_MISCONFIGURED;
    if (status == 429)
        return PUSH_LATER;
    return status / 100 == 4 ? PUSH_REFUSED : PUSH_DOWN;
}

/* Printable ASCII goes into logs and events, whatever a provider sends. */
static void add_words(struct push_answer *ret, struct cq_span span)
{
    size_t n = strlen(ret->words);

    if (n && span.n && n < PUSH_WORDS_MAX)
        ret->words[n++] = ' ';
    for (size_t i = 0; i < span.n && n < PUSH_WORDS_MAX; i++)
        ret->words[n++] = span.p[i] >= ' ' && span.p[i] <= '~' ? (char)span.p[i] : '?';
    ret->words[n] = '\0';
}

/* What every answer begins with; false: nothing came, or there is nothing more to read. */
static bool begin(const struct http_answer *answer, struct push_answer *ret)
{
    int64_t after_s = answer->retry_after_s;

    if (after_s < 0)
        after_s = 0;
    if (after_s > RETRY_AFTER_MAX_S)
        after_s = RETRY_AFTER_MAX_S;
    *ret = (struct push_answer){ .status = answer->status, .retry_after_s = after_s };
    ret->verdict = answer->st == CQ_OK ? by_status(answer->status) : PUSH_DOWN;
    if (answer->st != CQ_OK)
        add_words(ret, span_str(answer->error));
    return answer->st == CQ_OK && ret->verdict != PUSH_TAKEN;
}

static bool contains(struct cq_span span, const char *word)
{
    return span.n && memmem(span.p, span.n, word, strlen(word)) != NULL;
}

/* The FCM code among the details; *ret_ours: the request itself was found wrong. */
static struct cq_span fcm_code(const struct json *error, bool *ret_ours)
{
    const struct json *details = json_get(error, "details");
    struct cq_span code = { NULL, 0 }, type, found;

    *ret_ours = false;
    for (size_t i = 0; i < json_count(details); i++) {
        const struct json *json = json_at(details, i);

        if (json_get_text(json, "errorCode", &found))
            code = found;
        if (json_get_text(json, "@type", &type) && contains(type, "BadRequest"))
            *ret_ours = true;
    }
    return code;
}

void answer_fcm(const struct http_answer *answer, struct push_answer *ret)
{
    cq_auto(json) struct json *root = NULL;
    const struct json *error;
    struct cq_span code, status = { NULL, 0 }, message = { NULL, 0 };
    bool ours;

    if (!begin(answer, ret))
        return;
    if (json_parse(answer->body, &root, NULL) != CQ_OK) {
        add_words(ret, answer->body);
        return;
    }
    error = json_get(root, "error");
    code = fcm_code(error, &ours);
    if (!json_get_text(error, "status", &status) || !json_get_text(error, "message", &message))
        message = span_of(NULL, 0);
    if (!find(fcm_rows, code, &ret->verdict) && !find(google_rows, status, &ret->verdict))
        ret->verdict = by_status(answer->status);
    /* a bad token comes as an invalid argument whose detail is FCM's own */
    if (span_eq_str(code, "INVALID_ARGUMENT") && !ours && contains(message, "registration token"))
        ret->verdict = PUSH_DEAD;
    if (ret->verdict == PUSH_SLOWER && !ret->retry_after_s)
        ret->retry_after_s = QUOTA_WAIT_S;
    add_words(ret, code.n ? code : status);
    add_words(ret, message);
}

void answer_apns(const struct http_answer *answer, struct push_answer *ret)
{
    cq_auto(json) struct json *root = NULL;
    struct cq_span reason;
    int64_t at;

    if (!begin(answer, ret))
        return;
    if (json_parse(answer->body, &root, NULL) != CQ_OK || !json_get_text(root, "reason", &reason)) {
        add_words(ret, answer->body);
        return;
    }
    if (!find(apns_rows, reason, &ret->verdict))
        ret->verdict = by_status(answer->status);
    if (json_get_i64(root, "timestamp", &at))
        ret->dead_since_ms = at;
    if (ret->verdict == PUSH_SLOWER && !ret->retry_after_s)
        ret->retry_after_s = QUOTA_WAIT_S;
    add_words(ret, reason);
}

/* Who refuses our signature may do so because a page subscribed with another key than ours, which
 * anybody can have it do: so that is about the token. What it says in its body is for people. */
void answer_web(const struct http_answer *answer, struct push_answer *ret)
{
    if (!begin(answer, ret))
        return;
    if (answer->status == 404)
        ret->verdict = PUSH_DEAD;
    else if (answer->status == 401 || answer->status == 403)
        ret->verdict = PUSH_FOREIGN;
    else if (answer->status / 100 == 3) /* nobody is followed to where else he sends us */
        ret->verdict = PUSH_REFUSED;
    add_words(ret, answer->body);
}

void answer_oauth(const struct http_answer *answer, struct push_answer *ret)
{
    if (!begin(answer, ret))
        return;
    ret->verdict =
        answer->status / 100 == 4 && answer->status != 429 ? PUSH_MISCONFIGURED : PUSH_DOWN;
    add_words(ret, span_str("token endpoint:"));
    add_words(ret, answer->body);
}
