/* SPDX-License-Identifier: MIT */
/*
 * schemas/history.c - host tool: no version of a schema is forgotten.
 *
 *     schemas_history check DIR TYPES FILE.avsc...   say what is not as DIR/ids has it, and what
 *                                                    to do
 *     schemas_history lock DIR TYPES FILE.avsc...    add to DIR the version of each FILE that it
 *                                                    lacks
 *
 * TYPES has the shared types that each FILE may name; what is added to DIR is complete by itself.
 * A record names its schema by id, so a build reads what an earlier one wrote only as long as it
 * has the earlier schema. DIR/ids has a line for each version that was ever in use: its file in
 * DIR, its schema id, and the fingerprint of the file's bytes. Lines are added, never changed.
 */
#include "lib/base/auto.h"
#include "lib/base/hash.h"
#include "schemas/expand.h"
#include "schemas/schema.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERSIONS_MAX = 256, FILE_NAME_MAX = 80, PATH_TEXT_MAX = 1024 };

#define REMEDY_LOCK                                                            \
    "run \"cmake --build --preset release --target schemas_lock\" and commit " \
    "schemas/history with the change"
#define REMEDY_BACK \
    "a version that was written to a log stays as it is; take it back with \"git checkout\""

struct version {
    char file[FILE_NAME_MAX + 1]; /* in the folder, such as chat_event-2.avsc */
    uint32_t id;
    uint64_t bytes; /* fingerprint64 of the file */
};

static struct version versions[VERSIONS_MAX];
static size_t versions_n;
static const char *folder;
static struct schema_types *shared;
static int complaints;

static void complain(const char *fmt, ...) CQ_PRINTF(1, 2);
static void complain(const char *fmt, ...)
{
    va_list ap;

    fputs("schemas_history: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    complaints++;
}

struct path {
    char s[PATH_TEXT_MAX];
};

static struct path in_folder(const char *file)
{
    struct path path;

    snprintf(path.s, sizeof path.s, "%s/%s", folder, file);
    return path;
}

#define IN_FOLDER(file) (in_folder(file).s)

/* The file's bytes, until the next call; an empty span when it cannot be read or is too long. */
static struct cq_span read_file(const char *path)
{
    static char text[SCHEMA_TEXT_MAX + 1];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    bool failed = !f || ferror(f) || n == sizeof text;

    if (f)
        fclose(f);
    return failed ? span_of(text, 0) : span_of(text, n);
}

/* The text of a FILE with the shared types spelled out, into `whole`; an empty span, and a
 * complaint, when that cannot be. */
static struct cq_span read_whole(const char *path, struct cq_buf *whole)
{
    char why[256] = "";
    struct cq_span text = read_file(path);

    buf_init(whole, SCHEMA_TEXT_MAX);
    if (text.n && schema_expand(whole, text, shared, SCHEMA_FOR_READERS, why, sizeof why) != CQ_OK)
        complain("%s: %s", path, why);
    return why[0] ? span_of(text.p, 0) : buf_span(whole);
}

static void load_types(const char *path)
{
    char why[256] = "";

    if (schema_types_parse(read_file(path), &shared, why, sizeof why) != CQ_OK)
        complain("%s: %s", path, why);
}

/* The record that `text` describes; NULL, and a complaint, when it describes none. */
static struct schema_doc *parse(const char *path, struct cq_span text)
{
    struct schema_doc *doc = NULL;
    char why[256] = "";

    if (text.n == 0)
        complain("%s: cannot be read, or is too long", path);
    else if (schema_parse(text, &doc, why, sizeof why) != CQ_OK)
        complain("%s: %s", path, why);
    if (doc && schema_root(doc)->kind != SCHEMA_RECORD) {
        complain("%s: the top is no record", path);
        schema_free(doc);
        return NULL;
    }
    return doc;
}

/* DIR/ids, which may be missing as long as nothing is listed. */
static void load_ids(void)
{
    FILE *f = fopen(IN_FOLDER("ids"), "r");
    char line[256];

    while (f && fgets(line, sizeof line, f)) {
        struct version *version = &versions[versions_n];
        char *end, *space = strchr(line, ' ');

        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (!space || space - line > FILE_NAME_MAX || versions_n == VERSIONS_MAX) {
            complain("%s: no line of ours, or too many: %s", IN_FOLDER("ids"), line);
            break;
        }
        memcpy(version->file, line, (size_t)(space - line));
        version->id = (uint32_t)strtoul(space, &end, 16);
        version->bytes = strtoull(end, &end, 16);
        if (*end != '\n')
            complain("%s: no line of ours: %s", IN_FOLDER("ids"), line);
        versions_n++;
    }
    if (f)
        fclose(f);
}

static const struct version *find_id(uint32_t id)
{
    for (size_t i = 0; i < versions_n; i++)
        if (versions[i].id == id)
            return &versions[i];
    return NULL;
}

static bool is_listed(const char *file)
{
    for (size_t i = 0; i < versions_n; i++)
        if (strcmp(versions[i].file, file) == 0)
            return true;
    return false;
}

/* ---- check */

static void check_version(const struct version *version)
{
    struct cq_span text = read_file(IN_FOLDER(version->file));
    cq_auto(schema) struct schema_doc *doc = NULL;

    if (text.n == 0) {
        complain("%s is listed in ids and is not there: %s", IN_FOLDER(version->file), REMEDY_BACK);
        return;
    }
    if (fingerprint64(text.p, text.n) != version->bytes) {
        complain("%s was edited: %s", IN_FOLDER(version->file), REMEDY_BACK);
        return;
    }
    doc = parse(IN_FOLDER(version->file), text);
    if (doc && schema_id(schema_root(doc)) != version->id)
        complain("%s has the id %08x, ids says %08x: %s", IN_FOLDER(version->file),
                 schema_id(schema_root(doc)), version->id, REMEDY_BACK);
}

static void check_current(const char *path)
{
    cq_auto(buf) struct cq_buf whole = { 0 };
    cq_auto(schema) struct schema_doc *doc = parse(path, read_whole(path, &whole));

    if (doc && !find_id(schema_id(schema_root(doc))))
        complain("%s has a version that %s does not list (id %08x; %s): no later build could read "
                 "what this one writes. %s",
                 schema_root(doc)->name, IN_FOLDER("ids"), schema_id(schema_root(doc)), path,
                 REMEDY_LOCK);
}

static void check_strangers(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (strstr(entry->d_name, ".avsc") && !is_listed(entry->d_name))
            complain("%s is not listed in ids: remove it; %s", IN_FOLDER(entry->d_name),
                     REMEDY_LOCK);
    if (dir)
        closedir(dir);
}

/* ---- lock */

/* The next free version number of `stem`, such as chat_event. */
static unsigned long next_number(const char *stem, size_t stem_n)
{
    unsigned long next = 1;

    for (size_t i = 0; i < versions_n; i++) {
        const char *file = versions[i].file;

        if (strncmp(file, stem, stem_n) == 0 && file[stem_n] == '-' &&
            strtoul(file + stem_n + 1, NULL, 10) >= next)
            next = strtoul(file + stem_n + 1, NULL, 10) + 1;
    }
    return next;
}

static bool write_file(const char *path, const char *mode, struct cq_span text)
{
    FILE *f = fopen(path, mode);
    bool written = f && fwrite(text.p, 1, text.n, f) == text.n;

    if (f && fclose(f) != 0)
        written = false;
    if (!written)
        complain("%s: cannot be written", path);
    return written;
}

static void lock(const char *path)
{
    cq_auto(buf) struct cq_buf whole = { 0 };
    struct cq_span text = read_whole(path, &whole);
    cq_auto(schema) struct schema_doc *doc = parse(path, text);
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path;
    size_t stem_n = strcspn(stem, ".");
    struct version *version = &versions[versions_n];
    char line[256];
    int n;

    if (!doc || find_id(schema_id(schema_root(doc))))
        return;
    if (versions_n == VERSIONS_MAX || stem_n > FILE_NAME_MAX - 32) {
        complain("%s: too many versions, or too long a name", path);
        return;
    }
    version->id = schema_id(schema_root(doc));
    version->bytes = fingerprint64(text.p, text.n);
    snprintf(version->file, sizeof version->file, "%.*s-%lu.avsc", (int)stem_n, stem,
             next_number(stem, stem_n));
    n = snprintf(line, sizeof line, "%s %08x %016" PRIx64 "\n", version->file, version->id,
                 version->bytes);
    if (!write_file(IN_FOLDER(version->file), "w", text) ||
        !write_file(IN_FOLDER("ids"), "a", span_of(line, (size_t)n)))
        return;
    versions_n++;
    printf("%s: locked as %s\n", schema_root(doc)->name, IN_FOLDER(version->file));
}

int main(int argc, char **argv)
{
    bool adds = argc > 3 && strcmp(argv[1], "lock") == 0;

    if (argc < 5 || (!adds && strcmp(argv[1], "check") != 0)) {
        fputs("use: schemas_history check|lock DIR TYPES FILE.avsc...\n", stderr);
        return 2;
    }
    folder = argv[2];
    load_types(argv[3]);
    load_ids();
    for (int i = 4; i < argc; i++)
        if (adds)
            lock(argv[i]);
        else
            check_current(argv[i]);
    for (size_t i = 0; !adds && i < versions_n; i++)
        check_version(&versions[i]);
    if (!adds)
        check_strangers();
    schema_types_free(shared);
    return complaints ? 1 : 0;
}
