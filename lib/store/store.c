/* SPDX-License-Identifier: MIT */
#include "lib/base/count.h"
#include "lib/base/hash.h"
#include "lib/store/kinds.h"

#include <stdio.h>
#include <stdlib.h>

enum cq_status store_new(const struct store_conf *conf, struct store **ret)
{
    struct store *store = calloc(1, sizeof *store);
    enum cq_status st = CQ_POISON;

    if (!store)
        return CQ_FATAL;
    if (strncmp(conf->where, "local:", 6) == 0)
        st = store_open_local(store, conf->where + 6);
    else if (strncmp(conf->where, "s3:", 3) == 0)
        st = store_open_s3(store, conf);
    if (st != CQ_OK) {
        store_free(store);
        return st;
    }
    *ret = store;
    return CQ_OK;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    if (store->kind)
        store->kind->release(store);
    free(store);
}

enum cq_status store_fail(struct store *store, enum store_fault fault, const char *what,
                          const char *why)
{
    store->fault = fault;
    if (fault == STORE_FULL)
        count_add(COUNT_STORE_FULL, 1);
    else if (fault == STORE_AWAY || fault == STORE_REFUSED)
        count_add(COUNT_STORE_AWAY, 1);
    snprintf(store->why, sizeof store->why, "%s: %s", what, why);
    return fault == STORE_MISSING || fault == STORE_WRONG ? CQ_POISON : CQ_AGAIN;
}

enum store_fault store_fault(const struct store *store)
{
    return store->fault;
}

const char *store_why(const struct store *store)
{
    return store->why;
}

static bool key_good(const char *key)
{
    size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-/");

    return n && n < STORE_KEY_MAX && !key[n] && key[0] != '/' && !strstr(key, "//");
}

/* Keys are ours: a bad one is a mistake of this program, and is kept away from paths all the
 * same. */
static bool begin(struct store *store, const char *key)
{
    store->fault = STORE_FINE;
    store->why[0] = '\0';
    if (key_good(key))
        return true;
    store_fail(store, STORE_MISSING, "key", "not one of ours");
    return false;
}

enum cq_status store_prepare(struct store *store)
{
    store->fault = STORE_FINE;
    return store->kind->prepare(store);
}

enum cq_status store_put(struct store *store, const char *key, const char *type,
                         struct cq_span bytes)
{
    return begin(store, key) ? store->kind->put(store, key, type, bytes) : CQ_POISON;
}

enum cq_status store_size(struct store *store, const char *key, int64_t *ret)
{
    return begin(store, key) ? store->kind->size(store, key, ret) : CQ_POISON;
}

enum cq_status store_read(struct store *store, const char *key, int64_t offset, size_t most,
                          struct cq_buf *ret)
{
    return begin(store, key) ? store->kind->read(store, key, offset, most, ret) : CQ_POISON;
}

enum cq_status store_stream(struct store *store, const char *key,
                            bool (*sink)(void *arg, struct cq_span bytes), void *arg)
{
    return begin(store, key) ? store->kind->stream(store, key, sink, arg) : CQ_POISON;
}

enum cq_status store_delete(struct store *store, const char *key)
{
    return begin(store, key) ? store->kind->remove(store, key) : CQ_POISON;
}

enum cq_status store_copy(struct store *store, const char *from, const char *to)
{
    return begin(store, from) && begin(store, to) && store->kind->copy
               ? store->kind->copy(store, from, to)
               : CQ_POISON;
}

enum cq_status store_grow(struct store *store, const char *key, struct cq_buf *memo, int64_t at,
                          struct cq_span bytes, bool last, const char *type,
                          struct sha256_state *hash)
{
    return begin(store, key) ? store->kind->grow(store, key, memo, at, bytes, last, type, hash)
                             : CQ_POISON;
}

enum cq_status store_ungrow(struct store *store, const char *key, const char *memo)
{
    return begin(store, key) ? store->kind->ungrow(store, key, memo) : CQ_POISON;
}

void store_key(enum store_place place, struct cq_id id, char out[STORE_KEY_MAX])
{
    static const char *const folders[] = {
        [STORE_MEDIA] = "media", [STORE_INCOMING] = "incoming", [STORE_PROVEN] = "proven"
    };
    struct cq_id_text text = id_text(id);

    snprintf(out, STORE_KEY_MAX, "%s/%.2s/%s", folders[place], text.s, text.s);
}

static enum cq_status forget_one(struct store *store, enum store_place place, struct cq_id id,
                                 const char *keep)
{
    char key[STORE_KEY_MAX];

    store_key(place, id, key);
    return strcmp(key, keep) == 0 ? CQ_OK : store_delete(store, key);
}

enum cq_status store_forget_links(struct store *store, struct cq_id id, const char *keep)
{
    enum cq_status st = CQ_OK;

    if (!store_has_links(store))
        return CQ_OK;
    st = forget_one(store, STORE_INCOMING, id, keep);
    return st == CQ_OK ? forget_one(store, STORE_PROVEN, id, keep) : st;
}

enum cq_status store_forget(struct store *store, struct cq_id id, const char *memo,
                            const char *keep)
{
    char key[STORE_KEY_MAX];
    enum cq_status st;

    store_key(STORE_MEDIA, id, key);
    st = store_ungrow(store, key, memo);
    if (st == CQ_OK)
        st = forget_one(store, STORE_MEDIA, id, keep);
    return st == CQ_OK ? store_forget_links(store, id, keep) : st;
}

bool store_has_links(const struct store *store)
{
    return *store_origin(store) != '\0';
}

const char *store_origin(const struct store *store)
{
    return s3_origin(store);
}

enum cq_status store_proven(struct store *store, const char *key, const uint8_t sha256[32],
                            int64_t *ret_size, bool *ret_proven)
{
    return begin(store, key) ? s3_proven(store, key, sha256, ret_size, ret_proven) : CQ_POISON;
}

void store_hash_text(const uint8_t sha256[32], char out[STORE_HASH_TEXT])
{
    size_t n = base64url_format(sha256, 32, out);

    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == '-' ? '+' : out[i] == '_' ? '/' : out[i];
    out[n] = '=';
    out[n + 1] = '\0';
}

bool store_link_put(struct store *store, const char *key, const char *type, int64_t length,
                    const uint8_t *sha256, int64_t now_s, int seconds, struct cq_buf *ret)
{
    return begin(store, key) && s3_link_put(store, key, type, length, sha256, now_s, seconds, ret);
}

bool store_link_get(struct store *store, const char *key, bool is_head,
                    const struct store_answer *answer, int64_t now_s, int seconds,
                    struct cq_buf *ret)
{
    return begin(store, key) &&
           s3_link_get(store, is_head ? "HEAD" : "GET", key, answer, now_s, seconds, ret);
}
