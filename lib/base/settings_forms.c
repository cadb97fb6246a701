/* SPDX-License-Identifier: MIT */
#include "lib/base/settings_forms.h"

#include "lib/base/address.h"
#include "lib/base/listen.h"
#include "lib/base/origin.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PART_MAX = 1024, NAME_MAX_BYTES = 63 };

static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static bool only(const char *text, const char *more)
{
    for (; *text; text++)
        if (!strchr(LETTERS, *text) && !strchr(more, *text))
            return false;
    return true;
}

/* host:port, an IPv6 address in brackets. An empty host means all addresses, where one listens. */
static bool is_host_port(const char *text, bool host_may_be_empty)
{
    struct host_port at;

    if (!host_port_parse(text, &at))
        return false;
    if (!*at.host)
        return host_may_be_empty;
    return at.in_brackets || only(at.host, ".-_") || (host_may_be_empty && only(at.host, ".:"));
}

/* Every part of a comma-separated list is good. */
static bool each(const char *text, bool (*good)(const char *part))
{
    char part[PART_MAX + 1];

    for (;;) {
        size_t n = strcspn(text, ",");

        if (!n || n > PART_MAX)
            return false;
        memcpy(part, text, n);
        part[n] = '\0';
        if (!good(part))
            return false;
        if (!text[n])
            return true;
        text += n + 1;
    }
}

static bool is_broker(const char *part)
{
    return is_host_port(part, false);
}

/* scheme://host…, the scheme one of two. */
static bool is_url(const char *text, const char *scheme, const char *secure)
{
    const char *rest = strstr(text, "://");
    size_t n = rest ? (size_t)(rest - text) : 0;

    if (!rest || !is_printable(text) || strchr(text, ' '))
        return false;
    if (!((n == strlen(scheme) && strncasecmp(text, scheme, n) == 0) ||
          (n == strlen(secure) && strncasecmp(text, secure, n) == 0)))
        return false;
    return rest[3] && !strchr("/:?#", rest[3]);
}

static bool is_database(const char *text)
{
    return strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0 ||
           (!strstr(text, "://") && strchr(text, '='));
}

static bool is_store(const char *text)
{
    const char *bucket;

    if (strncmp(text, "local:", 6) == 0)
        return text[6] && is_printable(text);
    if (strncmp(text, "s3:", 3) != 0 || !is_url(text + 3, "http", "https"))
        return false;
    bucket = strchr(strstr(text, "://") + 3, '/');
    return bucket && bucket[1];
}

static bool is_origin(const char *part)
{
    return origin_is_good(span_trim(span_str(part)));
}

static bool is_app(const char *part)
{
    return only(part, ".-");
}

/* A host, `*.` and what hosts end with, or an origin of https. */
static bool is_service(const char *part)
{
    struct cq_span item = span_trim(span_str(part));

    if (item.n > 8 && memcmp(item.p, "https://", 8) == 0)
        return origin_is_good(item);
    return item.n && !strstr(part, "://") && only(part, ".-* ");
}

/* Of whoever runs this. */
static bool is_contact(const char *text)
{
    return is_printable(text) && !strchr(text, ' ') && !strchr(text, '"') && !strchr(text, '\\') &&
           ((strncmp(text, "mailto:", 7) == 0 && strchr(text, '@')) ||
            is_url(text, "https", "https"));
}

static bool is_ranges(const char *text)
{
    static struct address_ranges ranges; /* settings are read before any thread */

    return address_ranges_parse(text, &ranges);
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

const char *setting_form(enum setting_type type, const char *text)
{
    static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
    static const char *const drivers[] = { "log", "webhook", NULL };
    static const char *const logins[] = { "none", "plain", "oauthbearer", NULL };
    static const char *const survives[] = { "cached", "synced", "replicated", NULL };
    bool good = true;
    const char *words = "";

    switch (type) {
    case SETTING_TEXT:
    case SETTING_INT:
    case SETTING_BOOL:
    case SETTING_PARTS:
        break;
    case SETTING_BROKERS:
        good = each(text, is_broker);
        words = "host:port without a scheme (KAFKA_TLS=1 makes it TLS), or several with commas";
        break;
    case SETTING_LISTEN:
        good = is_host_port(text, true);
        words = "address:port";
        break;
    case SETTING_HOST:
        good = is_host_port(text, false);
        words = "host:port";
        break;
    case SETTING_URL:
        good = is_url(text, "http", "https");
        words = "a URL of http or https";
        break;
    case SETTING_WS_URL:
        good = is_url(text, "ws", "wss");
        words = "a URL of ws or wss";
        break;
    case SETTING_DATABASE:
        good = is_database(text);
        words = "postgresql://user:password@host:port/name, or name=value pairs of libpq";
        break;
    case SETTING_STORE:
        good = is_store(text);
        words = "local:FOLDER or s3:http(s)://host[:port]/bucket";
        break;
    case SETTING_PATH:
        good = is_printable(text);
        words = "a path without control characters";
        break;
    case SETTING_NAME:
        good = only(text, "._-");
        words = "letters, digits, points, dashes and underscores";
        break;
    case SETTING_APPS:
        good = each(text, is_app);
        words = "bundle ids with commas: letters, digits, points and dashes";
        break;
    case SETTING_SERVICES:
        good = each(text, is_service);
        words = "hosts, *. and what hosts end with, or origins such as https://push.example.org "
                "with commas";
        break;
    case SETTING_CONTACT:
        good = is_contact(text);
        words = "mailto: and an address, or a URL of https";
        break;
    case SETTING_RANGES:
        good = is_ranges(text);
        words = "addresses and address/bits with commas, at most 64";
        break;
    case SETTING_ORIGINS:
        good = each(text, is_origin);
        words = "*, or origins such as https://example.org with commas, without a path";
        break;
    case SETTING_LEVEL:
        good = is_one_of(text, levels);
        words = "debug, info, warn or error";
        break;
    case SETTING_DRIVER:
        good = is_one_of(text, drivers);
        words = "log or webhook";
        break;
    case SETTING_LOGIN:
        good = is_one_of(text, logins);
        words = "none, plain or oauthbearer";
        break;
    case SETTING_SURVIVES:
        good = is_one_of(text, survives);
        words = "cached, synced or replicated";
        break;
    }
    return good ? NULL : words;
}

const char *setting_type_name(enum setting_type type)
{
    static const char *const names[] = {
        [SETTING_TEXT] = "text",
        [SETTING_INT] = "whole number",
        [SETTING_BOOL] = "yes or no",
        [SETTING_BROKERS] = "list of host:port",
        [SETTING_LISTEN] = "address:port",
        [SETTING_HOST] = "host:port",
        [SETTING_URL] = "URL",
        [SETTING_WS_URL] = "URL",
        [SETTING_DATABASE] = "connection string",
        [SETTING_STORE] = "place of files",
        [SETTING_PATH] = "path",
        [SETTING_NAME] = "name",
        [SETTING_APPS] = "list of names",
        [SETTING_SERVICES] = "list of services",
        [SETTING_CONTACT] = "contact",
        [SETTING_RANGES] = "list of addresses",
        [SETTING_ORIGINS] = "list of origins",
        [SETTING_LEVEL] = "word",
        [SETTING_DRIVER] = "word",
        [SETTING_LOGIN] = "word",
        [SETTING_SURVIVES] = "word",
        [SETTING_PARTS] = "divisor of 1024",
    };

    return names[type];
}

/* Optimal string alignment, three rows of the table at a time. */
int setting_name_distance(const char *left, const char *right, int most)
{
    int rows[3][NAME_MAX_BYTES + 1];
    size_t ln = strlen(left), rn = strlen(right);

    if (ln > NAME_MAX_BYTES || rn > NAME_MAX_BYTES || labs((long)ln - (long)rn) > most)
        return most + 1;
    for (size_t col = 0; col <= rn; col++)
        rows[0][col] = (int)col;
    for (size_t i = 1; i <= ln; i++) {
        int *row = rows[i % 3], *up = rows[(i + 2) % 3], *above = rows[(i + 1) % 3];

        row[0] = (int)i;
        for (size_t col = 1; col <= rn; col++) {
            int best = up[col - 1] + (left[i - 1] != right[col - 1]);

            best = up[col] + 1 < best ? up[col] + 1 : best;
            best = row[col - 1] + 1 < best ? row[col - 1] + 1 : best;
            if (i > 1 && col > 1 && left[i - 1] == right[col - 2] &&
                left[i - 2] == right[col - 1] && above[col - 2] + 1 < best)
                best = above[col - 2] + 1;
            row[col] = best;
        }
    }
    return rows[ln % 3][rn] <= most ? rows[ln % 3][rn] : most + 1;
}
