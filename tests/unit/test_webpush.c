/* SPDX-License-Identifier: MIT */
/*
 * Pushes to browsers: what is encrypted is what RFC 8291 shows, what is read of a subscription is
 * what a browser writes, and nothing is asked that is not listed, or not in the public network.
 */
#include "tests/unit/test.h"

#include "lib/base/address.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/http/pool.h"
#include "lib/json/json.h"
#include "lib/webpush/seal.h"
#include "lib/webpush/vapid.h"
#include "schemas/subscription.h"
#include "sinks/mobile/payload.h"
#include "sinks/mobile/provider.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define POINT \
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
#define AUTH "BTBZMqHH6r4Tts7J_aSIgg"
#define KEYS "#" POINT "." AUTH

static bool bytes_of(const char *text, uint8_t *out, size_t n)
{
    size_t got;

    return base64url_parse(span_str(text), out, n, &got) && got == n;
}

static struct cq_buf out;

static void fresh(void)
{
    buf_release(&out);
    buf_init(&out, 64 * 1024);
}

/* RFC 8291, Appendix A. */
TEST(the_example_of_the_standard)
{
    static const char plain[] = "When I grow up, I want to be a watermelon";
    static const char want[] =
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIg"
        "Dll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVB"
        "St2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
    uint8_t key[SEAL_POINT_BYTES], auth[SEAL_AUTH_BYTES];
    struct seal_secrets secrets;
    char text[512];

    fresh();
    CHECK(bytes_of(POINT, key, sizeof key) && bytes_of(AUTH, auth, sizeof auth));
    CHECK(bytes_of("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PB"
                   "ru3jl7A8",
                   secrets.point, sizeof secrets.point));
    CHECK(bytes_of("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", secrets.number,
                   sizeof secrets.number));
    CHECK(bytes_of("DGv6ra1nlYgDCS1FRnbzlw", secrets.salt, sizeof secrets.salt));
    CHECK_EQ(seal_push(key, auth, span_str(plain), 0, &secrets, &out), CQ_OK);
    CHECK(out.n < 300);
    base64url_format(out.p, out.n, text);
    CHECK_STR(text, want);
}

TEST(what_fits_one_record)
{
    static const uint8_t plain[SEAL_PLAIN_MAX + 1];
    uint8_t key[SEAL_POINT_BYTES], auth[SEAL_AUTH_BYTES] = { 0 };

    CHECK(bytes_of(POINT, key, sizeof key));
    fresh();
    CHECK_EQ(seal_push(key, auth, span_of(plain, SEAL_PLAIN_MAX), 0, NULL, &out), CQ_OK);
    CHECK_EQ(out.n, SEAL_MAX);
    fresh();
    CHECK_EQ(seal_push(key, auth, span_of(plain, 1), SEAL_PLAIN_MAX, NULL, &out), CQ_OK);
    CHECK_EQ(out.n, SEAL_MAX);
    fresh();
    CHECK_EQ(seal_push(key, auth, span_of(plain, sizeof plain), 0, NULL, &out), CQ_POISON);
    CHECK_EQ(seal_push(key, auth, span_of(plain, 1), sizeof plain, NULL, &out), CQ_POISON);
    key[64] ^= 1; /* beside the curve */
    CHECK_EQ(seal_push(key, auth, span_of(plain, 1), 0, NULL, &out), CQ_POISON);
    CHECK_EQ(out.n, 0);
}

TEST(no_two_are_alike)
{
    uint8_t key[SEAL_POINT_BYTES], auth[SEAL_AUTH_BYTES] = { 0 };
    size_t first;

    CHECK(bytes_of(POINT, key, sizeof key));
    fresh();
    CHECK_EQ(seal_push(key, auth, span_str("hello"), 0, NULL, &out), CQ_OK);
    first = out.n;
    CHECK_EQ(seal_push(key, auth, span_str("hello"), 0, NULL, &out), CQ_OK);
    CHECK_EQ(out.n, 2 * first);
    CHECK(memcmp(out.p, out.p + first, SEAL_SALT_BYTES) != 0);            /* the salt */
    CHECK(memcmp(out.p + 21, out.p + first + 21, SEAL_POINT_BYTES) != 0); /* the sender's key */
}

TEST(a_text_is_cut_to_its_record)
{
    static char text[8192];
    cq_auto(json) struct json *root = NULL;
    struct cq_span body, kind;
    struct push_content content = { .chat_id = { { 1 } },
                                    .message_id = { { 2 } },
                                    .seq = ((int64_t)31 << 48) - 1,
                                    .text = span_of(text, sizeof text),
                                    .sender = span_str("Ann"),
                                    .badge = 99,
                                    .badge_known = true,
                                    .expires_ms = INT64_MAX,
                                    .ttl_s = 86400 };
    struct push_address to = { .kind = PUSH_KIND_WEB, .privacy = PUSH_PRIVACY_FULL };

    memset(text, 'x', sizeof text);
    fresh();
    payload_web(&content, &to, &out);
    CHECK_EQ(out.n, PAYLOAD_WEB_MAX);
    CHECK_EQ(json_parse(buf_span(&out), &root, NULL), CQ_OK);
    CHECK(json_get_text(root, "body", &body) && body.n > 3000 && body.p[body.n - 1] == 0xA6);
    CHECK(json_get_text(root, "kind", &kind) && span_eq_str(kind, "message"));
}

TEST(what_a_browser_writes)
{
    static const char *const good[] = {
        "https://fcm.googleapis.com/fcm/send/abc:APA91-_x?y=1&z=%20" KEYS,
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAA" KEYS,
        "https://localhost:8443/" KEYS,
        "https://10.0.0.1:1/x" KEYS, /* an address like any: the list decides */
    };
    static const char *const bad[] = {
        "",
        KEYS,
        "https://a" KEYS,
        "http://fcm.googleapis.com/x" KEYS,
        "HTTPS://fcm.googleapis.com/x" KEYS,
        "https://FCM.googleapis.com/x" KEYS,
        "https://user@fcm.googleapis.com/x" KEYS,
        "https://user:443@fcm.googleapis.com/x" KEYS,
        "https://fcm.googleapis.com:443/x" KEYS,
        "https://fcm.googleapis.com:/x" KEYS,
        "https://fcm.googleapis.com:065/x" KEYS,
        "https://fcm.googleapis.com:65536/x" KEYS,
        "https://fcm.googleapis.com:999999/x" KEYS,
        "https://fcm.googleapis.com./x" KEYS,
        "https://fcm..com/x" KEYS,
        "https://-a.com/x" KEYS,
        "https://a-.com/x" KEYS,
        "https:///x" KEYS,
        "https://[::1]/x" KEYS,
        "https://a.com\\@b.com/x" KEYS,
        "https://a.com?@b.com/x" KEYS,
        "https://a.com/x#y" KEYS,
        "https://a.com/x y" KEYS,
        "https://a.com/\"" KEYS,
        "https://a.com/x#" POINT "." AUTH "=",
        "https://a.com/x#" POINT "!" AUTH,
        "https://a.com/x#A" POINT "." AUTH,
        "https://a.com/x#CCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6S"
        "RpkNtoIAiw4." AUTH,                                /* no uncompressed point */
        "https://a.com/x#" POINT ".BTBZMqHH6r4Tts7J_aSIgh", /* bits that stand for nothing */
    };
    struct subscription read;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CHECK(subscription_parse(span_str(good[i]), &read));
        fresh();
        subscription_write(read.endpoint, span_str(POINT), span_str(AUTH), &out);
        CHECK(span_eq_str(buf_span(&out), good[i]));
    }
    CHECK(span_eq_str(read.origin, "https://10.0.0.1:1") && span_eq_str(read.host, "10.0.0.1"));
    CHECK_EQ(read.port, 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (subscription_parse(span_str(bad[i]), &read))
            CHECK_STR(bad[i], "refused");
}

TEST(t54_services_that_are_not_listed)
{
    static const char list[] = "push.example.org, *.windows.example ,https://own.example:8443";
    static const struct {
        const char *origin;
        bool listed, exact;
    } rows[] = {
        { "https://push.example.org", true, true },
        { "https://push.example.org:8443", false, false }, /* another port */
        { "https://x.push.example.org", false, false },
        { "https://xpush.example.org", false, false },
        { "https://push.example.org.evil.example", false, false },
        { "https://a.b.windows.example", true, false },
        { "https://windows.example", false, false },
        { "https://evilwindows.example", false, false },
        { "https://a.windows.example:22", false, false },
        { "https://own.example:8443", true, true },
        { "https://own.example", false, false },
        { "https://own.example:844", false, false },
        { "https://127.0.0.1", false, false },
        { "https://localhost:6379", false, false },
    };
    struct subscription read;
    bool exact;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fresh();
        buf_printf(&out, "%s/x%s", rows[i].origin, KEYS);
        CHECK(subscription_parse(buf_span(&out), &read));
        CHECK_EQ(subscription_is_at(&read, list, &exact), rows[i].listed);
        CHECK_EQ(exact, rows[i].exact);
        CHECK(!subscription_is_at(&read, "", &exact) && !subscription_is_at(&read, ",", &exact));
    }
    CHECK(subscription_service_good(span_str("*.a.b")) &&
          !subscription_service_good(span_str("*")));
    CHECK(!subscription_service_good(span_str("http://a.b")) &&
          !subscription_service_good(span_str("https://a.b/c")) &&
          !subscription_service_good(span_str("*.")) &&
          !subscription_service_good(span_str("A.b")));
}

TEST(t54_what_is_no_public_address)
{
    static const char *const inside[] = {
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:c0a8:101::",
        "2001::1",
        "100::1",
        "3fff::1",
        "fec0::1",
    };
    static const char *const outside[] = {
        "8.8.8.8",         "100.63.255.255",       "100.128.0.1",  "172.15.0.1",
        "172.32.0.1",      "169.253.1.1",          "198.17.0.1",   "198.20.0.1",
        "223.255.255.255", "2a00:1450::1",         "2606:4700::1", "64:ff9b::8.8.8.8",
        "2002:808:808::1", "2001:4860:4860::8888",
    };
    struct cq_address address;

    for (size_t i = 0; i < ARRAY_LEN(inside); i++)
        if (!address_parse(span_str(inside[i]), &address) || address_is_public(address))
            CHECK_STR(inside[i], "inside");
    for (size_t i = 0; i < ARRAY_LEN(outside); i++)
        if (!address_parse(span_str(outside[i]), &address) || !address_is_public(address))
            CHECK_STR(outside[i], "outside");
}

/* ---- what is never connected to ------------------------------------------------------- */

struct end {
    bool done;
    enum cq_status st;
    char error[HTTP_ERROR_MAX];
};

static void on_end(void *arg, uint64_t opaque, const struct http_answer *answer)
{
    struct end *end = arg;

    (void)opaque;
    end->done = true;
    end->st = answer->st;
    snprintf(end->error, sizeof end->error, "%s", answer->error);
}

static int listen_here(char *url, size_t n, const char *scheme, const char *host)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;

    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        abort();
    snprintf(url, n, "%s://%s:%d/", scheme, host, ntohs(at.sin_port));
    return fd;
}

/* Whether a request by a pool as sinks/mobile has it reached a listener of this machine. */
static bool is_reached(bool private_too, const char *scheme, const char *host, struct end *end)
{
    static const char *const headers[] = { NULL };
    struct http_pool *pool = NULL;
    char url[64];
    int fd = listen_here(url, sizeof url, scheme, host), caller = -1;

    *end = (struct end){ .done = false };
    if (http_pool_new(&(struct http_pool_conf){ .max = 1,
                                                .connections = 1,
                                                .timeout_ms = 5000,
                                                .outside = true,
                                                .private_too = private_too,
                                                .done = on_end,
                                                .arg = end },
                      &pool) != CQ_OK ||
        http_pool_post(pool, &(struct http_request){ .url = url, .headers = headers }) != CQ_OK)
        abort();
    while (!end->done && caller < 0 && http_pool_turn(pool, NULL, 0, 20) == CQ_OK)
        caller = accept(fd, NULL, NULL);
    http_pool_free(pool);
    close(fd);
    if (caller >= 0)
        close(caller);
    return caller >= 0;
}

TEST(t54_a_private_address_is_never_connected_to)
{
    struct end end;

    CHECK(is_reached(true, "https", "127.0.0.1", &end)); /* so it would be heard */
    CHECK(!is_reached(false, "https", "127.0.0.1", &end));
    CHECK(end.st == CQ_AGAIN && strstr(end.error, "public"));
    CHECK(!is_reached(false, "https", "localhost", &end)); /* by a name, too */
    CHECK(end.st == CQ_AGAIN && strstr(end.error, "public"));
    CHECK(!is_reached(true, "http", "127.0.0.1", &end)); /* readable for everybody on the way */
}

/* ---- the key -------------------------------------------------------------------------- */

static enum cq_status provider_of(const char *key, const char *public_key, const char *subject,
                                  const char *more, char *why, size_t n)
{
    struct provider *provider = NULL;
    enum cq_status st = webpush_new(&(struct webpush_conf){ .key = key,
                                                            .public_key = public_key,
                                                            .subject = subject,
                                                            .services = "push.example.org",
                                                            .more = more },
                                    &provider, why, n);

    provider_free(provider);
    return st;
}

TEST(a_key_and_what_does_not_go_with_it)
{
    char public_key[VAPID_PUBLIC_MAX], other[VAPID_PUBLIC_MAX], pem[1024], why[256] = "";

    fresh();
    CHECK_EQ(vapid_make(&out, other), CQ_OK);
    fresh();
    CHECK_EQ(vapid_make(&out, public_key), CQ_OK);
    snprintf(pem, sizeof pem, "%.*s", (int)out.n, (const char *)out.p);
    CHECK_EQ(provider_of(pem, public_key, "mailto:a@b", "", why, sizeof why), CQ_OK);
    CHECK_EQ(provider_of("", "", "", "", why, sizeof why), CQ_OK);
    CHECK_EQ(provider_of(pem, other, "mailto:a@b", "", why, sizeof why), CQ_FATAL);
    CHECK(strstr(why, "VAPID_PUBLIC_KEY"));
    CHECK_EQ(provider_of(pem, public_key, "", "", why, sizeof why), CQ_FATAL);
    CHECK(strstr(why, "VAPID_SUBJECT"));
    CHECK_EQ(provider_of(pem, public_key, "mailto:a@b", "Evil.example", why, sizeof why), CQ_FATAL);
    CHECK(strstr(why, "WEBPUSH_MORE"));
    CHECK_EQ(provider_of("-----BEGIN nothing", public_key, "mailto:a@b", "", why, sizeof why),
             CQ_FATAL);
    CHECK(strstr(why, "VAPID_KEY"));
    CHECK_EQ(provider_of("/nowhere/key.pem", public_key, "mailto:a@b", "", why, sizeof why),
             CQ_FATAL);
    CHECK(strstr(why, "file"));
}
