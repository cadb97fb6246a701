/* SPDX-License-Identifier: MIT */
#include "edge/rest/archive/out.h"

#include "edge/rest/archive/form.h"

static const char type[] = "application/x-tar";

void out_begin(struct archive_out *out)
{
    out->at = 0;
    buf_init(&out->memo, STORE_MEMO_MAX);
    buf_init(&out->piece, OUT_PIECE_BYTES);
    sha256_begin(&out->hash);
}

void out_release(struct archive_out *out)
{
    buf_release(&out->memo);
    buf_release(&out->piece);
}

static enum cq_status flush(struct archive_out *out, bool last)
{
    enum cq_status st = out->ask(out->arg);

    if (st == CQ_OK)
        st = store_grow(out->store, out->key, &out->memo, out->at, buf_span(&out->piece), last,
                        type, &out->hash);
    if (st != CQ_OK)
        return st == CQ_POISON ? CQ_AGAIN : st;
    out->at += (int64_t)out->piece.n;
    buf_clear(&out->piece);
    return CQ_OK;
}

/* A piece that is full leaves when more comes: so the last one is never empty. */
static enum cq_status make_room(struct archive_out *out)
{
    return out->piece.n == OUT_PIECE_BYTES ? flush(out, false) : CQ_OK;
}

static size_t room(const struct archive_out *out, uint64_t wanted)
{
    size_t left = OUT_PIECE_BYTES - out->piece.n;

    return wanted < left ? (size_t)wanted : left;
}

static enum cq_status add(struct archive_out *out, struct cq_span bytes)
{
    enum cq_status st = CQ_OK;

    while (bytes.n && (st = make_room(out)) == CQ_OK) {
        size_t n = room(out, bytes.n);

        buf_add(&out->piece, bytes.p, n);
        if (out->piece.failed)
            return CQ_AGAIN; /* no memory */
        bytes = span_of(bytes.p + n, bytes.n - n);
    }
    return st;
}

static enum cq_status add_head(struct archive_out *out, const char *name, int64_t size)
{
    cq_auto(buf) struct cq_buf head = { 0 };

    buf_init(&head, TAR_BLOCK);
    tar_head(&head, name, size, out->at_ms);
    return head.failed ? CQ_FATAL : add(out, buf_span(&head));
}

static enum cq_status add_pad(struct archive_out *out, int64_t size)
{
    cq_auto(buf) struct cq_buf pad = { 0 };

    buf_init(&pad, TAR_BLOCK);
    tar_pad(&pad, size);
    return pad.failed ? CQ_AGAIN : add(out, buf_span(&pad));
}

enum cq_status out_entry(struct archive_out *out, const char *name, struct cq_span bytes)
{
    enum cq_status st = add_head(out, name, (int64_t)bytes.n);

    if (st == CQ_OK)
        st = add(out, bytes);
    return st == CQ_OK ? add_pad(out, (int64_t)bytes.n) : st;
}

static enum cq_status add_object(struct archive_out *out, const char *key, int64_t size)
{
    enum cq_status st = CQ_OK;

    for (int64_t at = 0; at < size;) {
        size_t before, want;

        st = make_room(out);
        if (st == CQ_OK)
            st = out->ask(out->arg);
        if (st != CQ_OK)
            return st;
        want = room(out, (uint64_t)(size - at));
        want = want < OUT_READ_BYTES ? want : OUT_READ_BYTES;
        before = out->piece.n;
        st = store_read(out->store, key, at, want, &out->piece);
        if (st != CQ_OK || out->piece.n - before != want)
            return CQ_AGAIN;
        at += (int64_t)want;
    }
    return st;
}

enum cq_status out_object(struct archive_out *out, const char *name, const char *key, int64_t size)
{
    enum cq_status st = add_head(out, name, size);

    if (st == CQ_OK)
        st = add_object(out, key, size);
    return st == CQ_OK ? add_pad(out, size) : st;
}

enum cq_status out_end(struct archive_out *out, uint8_t ret_sha256[32])
{
    cq_auto(buf) struct cq_buf end = { 0 };
    enum cq_status st;

    buf_init(&end, TAR_END_BYTES);
    tar_end(&end);
    st = end.failed ? CQ_AGAIN : add(out, buf_span(&end));
    if (st == CQ_OK)
        st = flush(out, true);
    if (st == CQ_OK)
        sha256_end(&out->hash, ret_sha256);
    return st;
}
