/* SPDX-License-Identifier: MIT */
#include "edge/rest/archive/make.h"

#include "edge/auth/accounts.h"
#include "edge/rest/archive/form.h"
#include "edge/rest/archive/out.h"
#include "edge/rest/render/chats.h"
#include "edge/rest/render/messages.h"
#include "edge/rest/render/users.h"
#include "edge/rest/view/media.h"
#include "lib/base/clock.h"
#include "lib/base/idmap.h"
#include "schemas/limits.h"

#include <inttypes.h>
#include <stdio.h>

enum { PARAMS_BYTES = 256, KEEP_MS = 1000 };

#define TOP "chasqui-export/"

/* An export on its way. */
struct making {
    struct archive_work *work;
    struct archive_out out;
    struct archive_index index;
    struct cq_buf text; /* one entry */
    int64_t file_bytes;
    struct idmap met; /* files that are in it, or left out: each once, however often it is shown */
    int64_t chats_n, chats_done; /* of all */
};

/* ---- whether to go on ----------------------------------------------------------------- */

static enum cq_status keep(void *arg)
{
    struct making *making = arg;
    struct archive_work *work = making->work;
    int64_t now_ms = clock_mono_ms();
    bool held = true;
    enum cq_status st = *work->stop ? CQ_AGAIN : CQ_OK;

    if (st != CQ_OK || now_ms - work->kept_ms < KEEP_MS)
        return st;
    if (making->chats_n)
        work->archive->percent = making->chats_done * 99 / making->chats_n;
    st = archive_keep(work->db, work->archive, clock_wall_ms(), &held);
    if (st != CQ_OK)
        return st;
    work->kept_ms = now_ms;
    work->lost = !held;
    return held ? CQ_OK : CQ_AGAIN;
}

static enum cq_status put_text(struct making *making, const char *name)
{
    enum cq_status st =
        making->text.failed ? CQ_AGAIN : out_entry(&making->out, name, buf_span(&making->text));

    buf_clear(&making->text);
    return st;
}

/* ---- files ---------------------------------------------------------------------------- */

static bool has_file_room(struct making *making, const struct media *media)
{
    return idmap_put(&making->met, media->id, 1) &&
           media->size <= ARCHIVE_FILE_BYTES_MAX - making->file_bytes;
}

/* What the store has lost is left out; so is what was taken away, and what finds no room. */
static enum cq_status put_media(struct making *making, struct cq_id id)
{
    struct archive_work *work = making->work;
    struct media media;
    int64_t size = 0;
    bool found = false;
    char name[TAR_NAME_MAX + 1];
    bool is_met = idmap_get(&making->met, id);
    enum cq_status st = is_met ? CQ_OK : keep(making);

    if (st != CQ_OK || is_met)
        return st;
    st =
        media_read(work->db, work->arena, id, work->archive->user, clock_wall_ms(), &media, &found);
    if (st != CQ_OK || !found || media.is_gone)
        return st;
    st = has_file_room(making, &media) ? store_size(work->store, media.key, &size) : CQ_POISON;
    if (st != CQ_OK && st != CQ_POISON)
        return st;
    if (st == CQ_POISON || size != media.size) {
        making->index.left_out++;
        return CQ_OK;
    }
    making->file_bytes += size;
    making->index.files++;
    snprintf(name, sizeof name, TOP "media/%s%s", id_text(id).s,
             archive_suffix(media.content_type));
    return out_object(&making->out, name, media.key, size);
}

/* ---- of the account ------------------------------------------------------------------- */

static enum cq_status put_profile(struct making *making)
{
    struct archive_work *work = making->work;
    struct user_profile me;
    char number[PHONE_MAX + 1];
    enum cq_status st = view_own_profile(work->db, work->arena, work->archive->user, &me);

    if (st == CQ_OK)
        st = account_number(work->db, work->archive->user, number);
    if (st != CQ_OK)
        return st;
    index_begin(&making->index, &me.name, making->out.at_ms);
    render_me(&making->text, &me, number, work->archive->device);
    st = put_text(making, TOP "profile.json");
    return st == CQ_OK && !id_is_zero(me.picture) ? put_media(making, me.picture) : st;
}

static enum cq_status put_blocks(struct making *making)
{
    static const struct cq_id first;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st =
        view_blocks(making->work->db, making->work->archive->user, first, LIMIT_BLOCKS, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct block_row block = block_at(rows, i);

        render_block(&making->text, &block);
        buf_add_byte(&making->text, '\n');
    }
    return st == CQ_OK ? put_text(making, TOP "blocks.jsonl") : st;
}

/* ---- a chat --------------------------------------------------------------------------- */

static enum cq_status put_page_files(struct making *making, const struct pg_result *rows, int n)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < n; i++) {
        struct message_row row = message_at(rows, i, 0);

        if (!id_is_zero(row.media_id))
            st = put_media(making, row.media_id);
    }
    return st;
}

/* The page behind `*after`, which moves on. */
static enum cq_status put_page(struct making *making, struct cq_id chat, int64_t page,
                               int64_t *after, int64_t *messages, bool *ret_more)
{
    struct archive_work *work = making->work;
    const struct history_ask ask = { .chat = chat,
                                     .user = work->archive->user,
                                     .after = *after,
                                     .before = INT64_MAX,
                                     .limit = ARCHIVE_PAGE_ROWS,
                                     .bytes = ARCHIVE_PAGE_BYTES,
                                     .forward = true };
    cq_auto(pgresult) struct pg_result *rows = NULL;
    char name[TAR_NAME_MAX + 1];
    int n = 0;
    enum cq_status st = keep(making);

    if (st == CQ_OK)
        st = view_history(work->db, &ask, &rows);
    if (st != CQ_OK)
        return st;
    while (n < pg_rows(rows) && n < ARCHIVE_PAGE_ROWS && making->text.n <= ARCHIVE_PAGE_BYTES) {
        struct message_row row = message_at(rows, n++, 0);

        render_message(&making->text, &row);
        buf_add_byte(&making->text, '\n');
        *after = row.seq;
    }
    *ret_more = n && history_found(rows) > n;
    *messages += n;
    if (!n)
        return CQ_OK;
    snprintf(name, sizeof name, TOP "chats/%s/messages-%06" PRId64 ".jsonl", id_text(chat).s, page);
    st = put_text(making, name);
    return st == CQ_OK ? put_page_files(making, rows, n) : st;
}

static enum cq_status render_one(struct making *making, const struct chat_row *row)
{
    struct archive_work *work = making->work;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct member_row *members = NULL;
    int n = 0;
    enum cq_status st =
        row->present || !row->is_group ? view_chat_members(work->db, row->id, &rows) : CQ_OK;

    if (st == CQ_OK && rows) {
        n = pg_rows(rows);
        members = ARENA_ARRAY(work->arena, struct member_row, (size_t)n + 1);
        if (!members)
            return CQ_AGAIN;
        for (int i = 0; i < n; i++)
            members[i] = member_at(rows, i);
    }
    if (st == CQ_OK)
        render_chat(&making->text, row, members, (size_t)n, clock_wall_ms());
    return st;
}

static bool has_room(const struct making *making)
{
    return out_bytes(&making->out) - making->file_bytes < ARCHIVE_TEXT_BYTES_MAX;
}

static enum cq_status put_chat(struct making *making, struct cq_id chat)
{
    struct archive_work *work = making->work;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct chat_row row;
    int64_t after = -1, messages = 0, pages = 0;
    char name[TAR_NAME_MAX + 1];
    bool more = true;
    enum cq_status st = view_chat_row(work->db, work->archive->user, chat, &rows);

    if (st != CQ_OK || !pg_rows(rows))
        return st;
    row = chat_at(rows, 0);
    st = render_one(making, &row);
    snprintf(name, sizeof name, TOP "chats/%s/chat.json", id_text(chat).s);
    if (st == CQ_OK)
        st = put_text(making, name);
    for (; st == CQ_OK && more && has_room(making); pages++) {
        st = put_page(making, chat, pages + 1, &after, &messages, &more);
        arena_reset(work->arena);
    }
    if (st == CQ_OK && more)
        making->index.left_out++;
    if (st == CQ_OK)
        index_chat(&making->index, &row, messages, messages ? pages : 0);
    return st;
}

/* ---- all chats ------------------------------------------------------------------------ */

/* $1 user, $2 how many at most */
static const char sql_count[] =
    "SELECT count(*) FROM (SELECT DISTINCT part, chat_id FROM view.members "
    "WHERE user_id = $1 LIMIT $2) m";

/* In an order in which none moves, whatever is written meanwhile. Behind ($2 part, $3 chat). */
static const char sql_chats[] =
    "SELECT DISTINCT part, chat_id FROM view.members WHERE user_id = $1 AND (part, chat_id) > ($2, $3) "
    "ORDER BY part, chat_id LIMIT $4";

static enum cq_status count_chats(struct making *making)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, making->work->archive->user);
    pg_add_i64(&params, ARCHIVE_CHATS_COUNTED);
    st = pg_run_once(making->work->db, sql_count, &params, &rows);
    if (st == CQ_OK)
        making->chats_n = pg_i64(rows, 0, 0);
    return st;
}

static enum cq_status next_chats(struct making *making, int32_t part, struct cq_id behind,
                                 struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, making->work->archive->user);
    pg_add_i32(&params, part);
    pg_add_uuid(&params, behind);
    pg_add_i64(&params, ARCHIVE_CHATS_ROWS);
    return pg_run_once(making->work->db, sql_chats, &params, ret);
}

static enum cq_status put_chats(struct making *making)
{
    struct cq_id behind = { { 0 } };
    int32_t part = -1;
    int n = ARCHIVE_CHATS_ROWS;
    enum cq_status st = count_chats(making);

    while (st == CQ_OK && n == ARCHIVE_CHATS_ROWS) {
        cq_auto(pgresult) struct pg_result *rows = NULL;

        st = next_chats(making, part, behind, &rows);
        n = st == CQ_OK ? pg_rows(rows) : 0;
        for (int i = 0; st == CQ_OK && i < n; i++) {
            part = (int32_t)pg_i64(rows, i, 0);
            behind = pg_uuid(rows, i, 1);
            if (has_room(making))
                st = put_chat(making, behind);
            else
                making->index.left_out++;
            if (making->chats_done < making->chats_n)
                making->chats_done++;
        }
    }
    return st;
}

static enum cq_status put_index(struct making *making)
{
    index_end(&making->index);
    return making->index.text.failed
               ? CQ_AGAIN
               : out_entry(&making->out, TOP "index.html", buf_span(&making->index.text));
}

enum cq_status archive_make(struct archive_work *work)
{
    struct making making = { .work = work,
                             .out = { .store = work->store,
                                      .at_ms = work->archive->asked_ms,
                                      .ask = keep,
                                      .arg = &making } };
    enum cq_status st;

    arena_reset(work->arena);
    work->lost = false;
    work->kept_ms = clock_mono_ms();
    archive_key(work->archive->id, work->archive->tries, making.out.key);
    out_begin(&making.out);
    buf_init(&making.text, ARCHIVE_RENDERED_MAX);
    idmap_init(&making.met, ARCHIVE_FILES_MAX);
    st = put_profile(&making);
    if (st == CQ_OK)
        st = put_blocks(&making);
    if (st == CQ_OK)
        st = put_chats(&making);
    if (st == CQ_OK)
        st = put_index(&making);
    if (st == CQ_OK)
        st = out_end(&making.out, work->archive->sha256);
    if (st == CQ_OK) {
        work->archive->size = out_bytes(&making.out);
        work->archive->left_out = making.index.left_out;
    }
    out_release(&making.out);
    buf_release(&making.text);
    buf_release(&making.index.text);
    idmap_release(&making.met);
    return st;
}
