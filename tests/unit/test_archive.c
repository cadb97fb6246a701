/* SPDX-License-Identifier: MIT */
/*
 * Exports of accounts (edge/rest/archive): the form of a tar file at its bounds, the page that lists chats, and
 * pieces that a store takes.
 */
#include "tests/unit/test.h"

#include "edge/auth/archives.h"
#include "edge/rest/archive/form.h"
#include "edge/rest/archive/out.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

static struct cq_buf text;

static void fresh(size_t max)
{
    buf_release(&text);
    buf_init(&text, max);
}

static bool has(const char *words)
{
    return memmem(text.p, text.n, words, strlen(words));
}

static int octal(const uint8_t *p)
{
    return (int)strtol((const char *)p, NULL, 8);
}

TEST(a_head_is_a_block_with_its_checksum)
{
    int sum = 0;

    fresh(TAR_BLOCK);
    tar_head(&text, "chasqui-export/profile.json", 1234, 1000);
    CHECK(!text.failed && text.n == TAR_BLOCK);
    CHECK(strcmp((char *)text.p, "chasqui-export/profile.json") == 0);
    CHECK(octal(text.p + 100) == 0600 && octal(text.p + 124) == 1234 && octal(text.p + 136) == 1);
    CHECK(memcmp(text.p + 257,
                 "ustar\0"
                 "00",
                 8) == 0 &&
          text.p[156] == '0');
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : text.p[i];
    CHECK(octal(text.p + 148) == sum);
}

TEST(a_head_at_its_bounds)
{
    char name[TAR_NAME_MAX + 2];

    memset(name, 'n', sizeof name);
    name[TAR_NAME_MAX] = '\0';
    fresh(TAR_BLOCK);
    tar_head(&text, name, ((int64_t)1 << TAR_SIZE_BITS) - 1, INT64_MAX);
    CHECK(!text.failed && memcmp(text.p + 124, "77777777777", 12) == 0);
    fresh(TAR_BLOCK);
    tar_head(&text, "n", (int64_t)1 << TAR_SIZE_BITS, 0);
    CHECK(text.failed);
    name[TAR_NAME_MAX] = 'n';
    name[TAR_NAME_MAX + 1] = '\0';
    fresh(TAR_BLOCK);
    tar_head(&text, name, 1, 0);
    CHECK(text.failed);
}

TEST(the_last_block_of_an_entry_is_filled)
{
    static const struct {
        int64_t size, pad;
    } rows[] = { { 0, 0 }, { 1, 511 }, { 511, 1 }, { 512, 0 }, { 513, 511 } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fresh(TAR_BLOCK);
        tar_pad(&text, rows[i].size);
        CHECK((int64_t)text.n == rows[i].pad);
    }
}

TEST(names_of_files_end_by_their_type_alone)
{
    CHECK(strcmp(archive_suffix(span_str("image/png")), ".png") == 0);
    CHECK(strcmp(archive_suffix(span_str("text/html")), ".bin") == 0);
    CHECK(strcmp(archive_suffix(span_str("../x")), ".bin") == 0);
}

TEST(text_for_a_page_is_escaped)
{
    fresh(1024);
    html_put_text(&text, span_str("<a href=\"x\">&\n\t\x01 \xc3\xa9"));
    CHECK(span_eq_str(buf_span(&text), "&lt;a href=&quot;x&quot;&gt;&amp;    \xc3\xa9"));
}

/* Chats without end: the page stays within its bound, is whole, and tells how many it does not list. */
TEST(the_page_at_its_bound)
{
    struct archive_index index;
    struct chat_row chat = { .is_group = true };
    struct cq_span name = span_str("<me>");
    char long_name[256], want[96];

    memset(long_name, '"', sizeof long_name);
    chat.name = span_of(long_name, sizeof long_name);
    index_begin(&index, &name, 0);
    for (int i = 0; i < 2000; i++)
        index_chat(&index, &chat, 3, 1);
    index.left_out = 2;
    index_end(&index);
    CHECK(!index.text.failed && index.text.n <= INDEX_BYTES_MAX);
    CHECK(index.chats == 2000 && index.messages == 6000 && index.unlisted > 0);
    fresh(INDEX_BYTES_MAX);
    buf_add_span(&text, buf_span(&index.text));
    snprintf(want, sizeof want, "<p>%lld more chats are in the folder", (long long)index.unlisted);
    CHECK(has(want) && has("2 chats and files are left out") && has("&lt;me&gt;") &&
          has("</html>"));
    buf_release(&index.text);
}

/* ---- into a store --------------------------------------------------------------------- */

static enum cq_status said = CQ_OK;
static int asked;

static enum cq_status ask(void *arg)
{
    (void)arg;
    asked++;
    return said;
}

static void a_store(char folder[64], struct store **ret)
{
    struct store_conf conf = { .where = NULL };
    char where[96];

    snprintf(folder, 64, "/tmp/test_archive.XXXXXX");
    CHECK(mkdtemp(folder));
    snprintf(where, sizeof where, "local:%s", folder);
    conf = (struct store_conf){ where, "", "", "", "" };
    CHECK(store_new(&conf, ret) == CQ_OK && store_prepare(*ret) == CQ_OK);
}

static int forget(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_folder(const char *folder)
{
    CHECK_EQ(nftw(folder, forget, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Entries that fill pieces to the byte, and a whole object from the store in between. */
TEST(an_archive_of_several_pieces)
{
    static uint8_t bytes[OUT_PIECE_BYTES];
    struct archive_out out = { .key = "export/aa/x-1", .at_ms = 5000, .ask = ask };
    uint8_t hash[32], want[32];
    int64_t size = 0;
    struct cq_span all;
    char folder[64];

    a_store(folder, &out.store);
    said = CQ_OK;
    memset(bytes, 'b', sizeof bytes);
    CHECK(store_put(out.store, "media/file", "image/png", span_of(bytes, 3000000)) == CQ_OK);
    out_begin(&out);
    CHECK(out_entry(&out, "one", span_of(bytes, OUT_PIECE_BYTES - TAR_BLOCK)) == CQ_OK);
    CHECK(out.at == 0 && out.piece.n == OUT_PIECE_BYTES);
    CHECK(out_entry(&out, "none", span_of("", 0)) == CQ_OK);
    CHECK(out_object(&out, "file", "media/file", 3000000) == CQ_OK);
    CHECK(out_entry(&out, "two", span_of(bytes, OUT_PIECE_BYTES)) == CQ_OK);
    CHECK(out_end(&out, hash) == CQ_OK);
    CHECK(store_size(out.store, out.key, &size) == CQ_OK && size == out_bytes(&out));
    CHECK(size % TAR_BLOCK == 0 && asked > 4);
    fresh((size_t)size);
    CHECK(store_read(out.store, out.key, 0, (size_t)size, &text) == CQ_OK &&
          (int64_t)text.n == size);
    all = buf_span(&text);
    sha256(&all, 1, want);
    CHECK(memcmp(hash, want, sizeof hash) == 0);
    CHECK(strcmp((char *)text.p + OUT_PIECE_BYTES, "none") == 0);
    CHECK(strcmp((char *)text.p + OUT_PIECE_BYTES + TAR_BLOCK, "file") == 0);
    out_release(&out);
    store_free(out.store);
    remove_folder(folder);
}

/* Who is told to stop stops before the store has it; what the store lost in the middle is no archive. */
TEST(an_archive_that_is_not_to_be)
{
    static uint8_t bytes[OUT_PIECE_BYTES + 1];
    struct archive_out out = { .key = "export/aa/x-1", .ask = ask };
    uint8_t hash[32];
    int64_t size = 0;
    char folder[64];

    a_store(folder, &out.store);
    said = CQ_AGAIN;
    out_begin(&out);
    CHECK(out_entry(&out, "one", span_of(bytes, sizeof bytes)) == CQ_AGAIN && out.at == 0);
    out_release(&out);
    out_begin(&out);
    CHECK(out_end(&out, hash) == CQ_AGAIN);
    CHECK(store_size(out.store, out.key, &size) == CQ_POISON);
    out_release(&out);
    said = CQ_OK;
    out_begin(&out);
    CHECK(store_put(out.store, "media/file", "image/png", span_of(bytes, 10)) == CQ_OK);
    CHECK(out_object(&out, "file", "media/file", 11) == CQ_AGAIN);
    out_release(&out);
    store_free(out.store);
    remove_folder(folder);
}

/* A store finds what is unfinished by a prefix. */
TEST(the_key_of_a_try_begins_no_other)
{
    const struct cq_id id = { { 1 } };
    char first[STORE_KEY_MAX], tenth[STORE_KEY_MAX];

    archive_key(id, 1, first);
    archive_key(id, 10, tenth);
    CHECK(strncmp(first, tenth, strlen(first)) != 0);
}
