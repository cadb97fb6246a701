/* SPDX-License-Identifier: MIT */
#include "lib/http/http.h"

#include "lib/base/log.h"

#include <curl/curl.h>

enum { CONNECT_MS = 3000, TOTAL_MS = 10000 };

/* Whatever it answers beside the status is of no interest. */
static size_t drop(char *p, size_t size, size_t n, void *arg)
{
    (void)p;
    (void)arg;
    return size * n;
}

enum cq_status http_post_json(const char *url, struct cq_span body)
{
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;
    CURLcode rc = CURLE_OUT_OF_MEMORY;

    if (easy && headers) {
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TOTAL_MS);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.p);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body.n);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
        rc = curl_easy_perform(easy);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    }
    log_debug("http_post", LOG_I("rc", rc), LOG_I("status", status));
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    return rc == CURLE_OK && status / 100 == 2 ? CQ_OK : CQ_AGAIN;
}
