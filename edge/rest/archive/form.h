/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/archive/form.h - the form of an export: entries of a tar file (POSIX ustar), and the page that
 * lists them for people (pure).
 */
#pragma once

#include "edge/rest/view/chats.h"

enum {
    TAR_BLOCK = 512,
    TAR_END_BYTES = 2 * TAR_BLOCK,
    TAR_NAME_MAX = 99,
    /* Of one entry: 11 octal digits. */
    TAR_SIZE_BITS = 33,
};

/** The head of an entry of `size` bytes, to which no other user of the machine has a right. Its bytes follow, and
 * tar_pad(). `out` fails where name or size do not fit. */
void tar_head(struct cq_buf *out, const char *name, int64_t size, int64_t at_ms);

/** What fills the last block of an entry of `size` bytes. */
void tar_pad(struct cq_buf *out, int64_t size);

/** What ends the file. */
void tar_end(struct cq_buf *out);

/** How the name of a file of this media type ends, with its dot; ".bin" for those that nobody is used to. */
const char *archive_suffix(struct cq_span content_type);

/** Text for a page of HTML. A control character becomes a space. */
void html_put_text(struct cq_buf *out, struct cq_span text);

enum { INDEX_BYTES_MAX = 2 * 1024 * 1024, INDEX_END_MAX = 1024 };

/** The page, piece by piece. Of the chats for which it has no room it tells the number. */
struct archive_index {
    struct cq_buf text;
    int64_t chats, unlisted, messages, files, left_out;
};

void index_begin(struct archive_index *index, const struct cq_span *name, int64_t at_ms);
void index_chat(struct archive_index *index, const struct chat_row *chat, int64_t messages,
                int64_t pages);
void index_end(struct archive_index *index);
