/* SPDX-License-Identifier: MIT */
#include "lib/base/count.h"
#include "lib/base/hash.h"
#include "lib/store/kinds.h"

#include <stdio.h>
#include <stdlib.h>

enum cq_status store_new(const struct store_conf *conf, struct store **ret)
{
    struct store *s = calloc(1, sizeof *s);
    enum cq_status st = CQ_POISON;

    if (!s)
        return CQ_FATAL;
    if (strncmp(conf->where, "local:", 6) == 0)
        st = store_open_local(s, conf->where + 6);
    else if (strncmp(conf->where, "s3:", 3) == 0)
        st = store_open_s3(s, conf);
    if (st != CQ_OK) {
        store_free(s);
        return st;
    }
    *ret = s;
    return CQ_OK;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    if (s->kind)
        s->kind->release(s);
    free(s);
}

enum cq_status store_fail(struct store *s, enum store_fault fault, const char *what,
                          const char *why)
{
    s->fault = fault;
    if (fault == STORE_FULL)
        count_add(COUNT_STORE_FULL, 1);
    else if (fault == STORE_AWAY || fault == STORE_REFUSED)
        count_add(COUNT_STORE_AWAY, 1);
    snprintf(s->why, sizeof s->why, "%s: %s", what, why);
    return fault == STORE_MISSING || fault == STORE_WRONG ? CQ_POISON : CQ_AGAIN;
}

enum store_fault store_fault(const struct store *s)
{
    return s->fault;
}

const char *store_why(const struct store *s)
{
    return s->why;
}

static bool key_good(const char *key)
{
    size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-/");

    return n && n < STORE_KEY_MAX && !key[n] && key[0] != '/' && !strstr(key, "//");
}

/* Keys are ours: a bad one is a mistake of this program, and is kept away from paths all the
 * same. */
static bool begin(struct store *s, const char *key)
{
    s->fault = STORE_FINE;
    s->why[0] = '\0';
    if (key_good(key))
        return true;
    store_fail(s, STORE_MISSING, "key", "not one of ours");
    return false;
}

enum cq_status store_prepare(struct store *s)
{
    s->fault = STORE_FINE;
    return s->kind->prepare(s);
}

enum cq_status store_put(struct store *s, const char *key, const char *type, struct cq_span bytes)
{
    return begin(s, key) ? s->kind->put(s, key, type, bytes) : CQ_POISON;
}

enum cq_status store_size(struct store *s, const char *key, int64_t *ret)
{
    return begin(s, key) ? s->kind->size(s, key, ret) : CQ_POISON;
}

enum cq_status store_read(struct store *s, const char *key, int64_t offset, size_t most,
                          struct cq_buf *ret)
{
    return begin(s, key) ? s->kind->read(s, key, offset, most, ret) : CQ_POISON;
}

enum cq_status store_stream(struct store *s, const char *key,
                            bool (*sink)(void *arg, struct cq_span bytes), void *arg)
{
    return begin(s, key) ? s->kind->stream(s, key, sink, arg) : CQ_POISON;
}

enum cq_status store_delete(struct store *s, const char *key)
{
    return begin(s, key) ? s->kind->remove(s, key) : CQ_POISON;
}

enum cq_status store_copy(struct store *s, const char *from, const char *to)
{
    return begin(s, from) && begin(s, to) && s->kind->copy ? s->kind->copy(s, from, to) : CQ_POISON;
}

enum cq_status store_grow(struct store *s, const char *key, struct cq_buf *memo, int64_t at,
                          struct cq_span bytes, bool last, const char *type,
                          struct sha256_state *hash)
{
    return begin(s, key) ? s->kind->grow(s, key, memo, at, bytes, last, type, hash) : CQ_POISON;
}

enum cq_status store_ungrow(struct store *s, const char *key, const char *memo)
{
    return begin(s, key) ? s->kind->ungrow(s, key, memo) : CQ_POISON;
}

void store_key(enum store_place place, struct cq_id id, char out[STORE_KEY_MAX])
{
    static const char *const folders[] = {
        [STORE_MEDIA] = "media", [STORE_INCOMING] = "incoming", [STORE_PROVEN] = "proven"
    };
    struct cq_id_text text = id_text(id);

    snprintf(out, STORE_KEY_MAX, "%s/%.2s/%s", folders[place], text.s, text.s);
}

static enum cq_status forget_one(struct store *s, enum store_place place, struct cq_id id,
                                 const char *keep)
{
    char key[STORE_KEY_MAX];

    store_key(place, id, key);
    return strcmp(key, keep) == 0 ? CQ_OK : store_delete(s, key);
}

enum cq_status store_forget_links(struct store *s, struct cq_id id, const char *keep)
{
    enum cq_status st = CQ_OK;

    if (!store_has_links(s))
        return CQ_OK;
    st = forget_one(s, STORE_INCOMING, id, keep);
    return st == CQ_OK ? forget_one(s, STORE_PROVEN, id, keep) : st;
}

enum cq_status store_forget(struct store *s, struct cq_id id, const char *memo, const char *keep)
{
    char key[STORE_KEY_MAX];
    enum cq_status st;

    store_key(STORE_MEDIA, id, key);
    st = store_ungrow(s, key, memo);
    if (st == CQ_OK)
        st = forget_one(s, STORE_MEDIA, id, keep);
    return st == CQ_OK ? store_forget_links(s, id, keep) : st;
}

bool store_has_links(const struct store *s)
{
    return *store_origin(s) != '\0';
}

const char *store_origin(const struct store *s)
{
    return s3_origin(s);
}

enum cq_status store_proven(struct store *s, const char *key, const uint8_t sha256[32],
                            int64_t *ret_size, bool *ret_proven)
{
    return begin(s, key) ? s3_proven(s, key, sha256, ret_size, ret_proven) : CQ_POISON;
}

/* Standard base64, with its padding. */
void store_hash_text(const uint8_t sha256[32], char out[STORE_HASH_TEXT])
{
    size_t n = base64url_format(sha256, 32, out);

    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == '-' ? '+' : out[i] == '_' ? '/' : out[i];
    out[n] = '=';
    out[n + 1] = '\0';
}

bool store_link_put(struct store *s, const char *key, const char *type, int64_t length,
                    const uint8_t *sha256, int64_t now_s, int seconds, struct cq_buf *ret)
{
    return begin(s, key) && s3_link_put(s, key, type, length, sha256, now_s, seconds, ret);
}

bool store_link_get(struct store *s, const char *key, bool is_head,
                    const struct store_answer *answer, int64_t now_s, int seconds,
                    struct cq_buf *ret)
{
    return begin(s, key) &&
           s3_link_get(s, is_head ? "HEAD" : "GET", key, answer, now_s, seconds, ret);
}
