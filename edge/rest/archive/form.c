/* SPDX-License-Identifier: MIT */
#include "edge/rest/archive/form.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* ---- tar ------------------------------------------------------------------------------ */

/* Of POSIX.1-1988: octal digits and a NUL, or as described. */
struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12];
    char checksum[8]; /* six digits, a NUL, a space; of the header with eight spaces here */
    char type, link[100], magic[6], version[2], user[32], group[32], major[8], minor[8],
        prefix[155], rest[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

void tar_head(struct cq_buf *out, const char *name, int64_t size, int64_t at_ms)
{
    struct tar_header head = { .type = '0', .magic = "ustar", .version = { '0', '0' } };
    const uint8_t *bytes = (const uint8_t *)&head;
    unsigned sum = 0;

    if (strlen(name) > TAR_NAME_MAX || size < 0 || size >> TAR_SIZE_BITS || at_ms < 0) {
        out->failed = true;
        return;
    }
    snprintf(head.name, sizeof head.name, "%s", name);
    snprintf(head.mode, sizeof head.mode, "%07o", 0600U);
    snprintf(head.uid, sizeof head.uid, "%07o", 0U);
    snprintf(head.gid, sizeof head.gid, "%07o", 0U);
    snprintf(head.size, sizeof head.size, "%011" PRIo64, (uint64_t)size);
    snprintf(head.mtime, sizeof head.mtime, "%011" PRIo64,
             (uint64_t)(at_ms / 1000) & (((uint64_t)1 << TAR_SIZE_BITS) - 1));
    memset(head.checksum, ' ', sizeof head.checksum);
    for (size_t i = 0; i < sizeof head; i++)
        sum += bytes[i];
    snprintf(head.checksum, sizeof head.checksum - 1, "%06o", sum & 0777777);
    buf_add(out, &head, sizeof head);
}

void tar_pad(struct cq_buf *out, int64_t size)
{
    static const uint8_t zero[TAR_BLOCK];

    buf_add(out, zero, (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK));
}

void tar_end(struct cq_buf *out)
{
    static const uint8_t zero[TAR_END_BYTES];

    buf_add(out, zero, sizeof zero);
}

const char *archive_suffix(struct cq_span content_type)
{
    static const struct {
        const char *type, *suffix;
    } known[] = {
        { "image/jpeg", ".jpg" },  { "image/png", ".png" },       { "image/gif", ".gif" },
        { "image/webp", ".webp" }, { "video/mp4", ".mp4" },       { "video/webm", ".webm" },
        { "audio/mpeg", ".mp3" },  { "audio/mp4", ".m4a" },       { "audio/ogg", ".ogg" },
        { "audio/wav", ".wav" },   { "application/pdf", ".pdf" }, { "text/plain", ".txt" },
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (span_eq_str(content_type, known[i].type))
            return known[i].suffix;
    return ".bin";
}

/* ---- the page ------------------------------------------------------------------------- */

void html_put_text(struct cq_buf *out, struct cq_span text)
{
    for (size_t i = 0; i < text.n; i++)
        switch (text.p[i]) {
        case '<':
            buf_add_str(out, "&lt;");
            break;
        case '>':
            buf_add_str(out, "&gt;");
            break;
        case '&':
            buf_add_str(out, "&amp;");
            break;
        case '"':
            buf_add_str(out, "&quot;");
            break;
        default:
            buf_add_byte(out, text.p[i] < ' ' ? ' ' : text.p[i]);
        }
}

void index_begin(struct archive_index *index, const struct cq_span *name, int64_t at_ms)
{
    time_t at_s = (time_t)(at_ms / 1000);
    char when[32] = "";
    struct tm utc;

    if (gmtime_r(&at_s, &utc))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", &utc);
    *index = (struct archive_index){ .chats = 0 };
    buf_init(&index->text, INDEX_BYTES_MAX);
    buf_add_str(&index->text,
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">\n"
                "<title>Export</title>\n<h1>Export of the account of ");
    html_put_text(&index->text, *name);
    buf_printf(
        &index->text,
        "</h1>\n<p>As of %s UTC. <a href=\"profile.json\">Profile</a>, "
        "<a href=\"blocks.jsonl\">whom you block</a>, files in the folder <code>media</code>.\n"
        "Of each chat: what it is, and its messages, a line of JSON each, the oldest first.\n<ul>\n",
        when);
}

void index_chat(struct archive_index *index, const struct chat_row *chat, int64_t messages,
                int64_t pages)
{
    struct cq_buf *out = &index->text;
    size_t before = out->n;
    struct cq_id_text id = id_text(chat->id);

    index->chats++;
    index->messages += messages;
    buf_printf(out, "<li><a href=\"chats/%s/chat.json\">", id.s);
    html_put_text(out, chat->name.n ? chat->name : span_str("(no name)"));
    buf_printf(out, "</a> (%s), %" PRId64 " messages", chat->is_group ? "group" : "direct",
               messages);
    if (pages)
        buf_printf(out, ": <a href=\"chats/%s/messages-000001.jsonl\">from the first on</a>", id.s);
    if (pages > 1)
        buf_printf(out, ", in %" PRId64 " files", pages);
    buf_add_str(out, "\n");
    if (out->failed || out->n > INDEX_BYTES_MAX - INDEX_END_MAX) {
        out->n = before;
        out->failed = false;
        index->unlisted++;
    }
}

void index_end(struct archive_index *index)
{
    struct cq_buf *out = &index->text;

    buf_add_str(out, "</ul>\n");
    if (index->unlisted)
        buf_printf(out, "<p>%" PRId64 " more chats are in the folder <code>chats</code>.\n",
                   index->unlisted);
    buf_printf(out, "<p>%" PRId64 " chats, %" PRId64 " messages, %" PRId64 " files.\n",
               index->chats, index->messages, index->files);
    if (index->left_out)
        buf_printf(out,
                   "<p><strong>%" PRId64
                   " chats and files are left out</strong>: there is no room for them "
                   "in an export, or the store has lost them.\n",
                   index->left_out);
    buf_add_str(out, "</html>\n");
}
