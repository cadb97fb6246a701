/* SPDX-License-Identifier: MIT */
/*
 * schemas/history.c - host tool: no version of a schema is forgotten.
 *
 *     schemas_history check DIR FILE.avsc...   say what is not as DIR/ids has it, and what to do
 *     schemas_history lock DIR FILE.avsc...    add to DIR the version of each FILE that it lacks
 *
 * A record names its schema by id, so a build reads what an earlier one wrote only as long as it
 * has the earlier schema. DIR/ids has a line for each version that was ever in use: its file in
 * DIR, its schema id, and the fingerprint of the file's bytes. Lines are added, never changed.
 */
#include "lib/base/auto.h"
#include "lib/base/hash.h"
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
    struct path r;

    snprintf(r.s, sizeof r.s, "%s/%s", folder, file);
    return r;
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

/* The record that `text` describes; NULL, and a complaint, when it describes none. */
static struct schema_doc *parse(const char *path, struct cq_span text)
{
    struct schema_doc *d = NULL;
    char why[256] = "";

    if (text.n == 0)
        complain("%s: cannot be read, or is too long", path);
    else if (schema_parse(text, &d, why, sizeof why) != CQ_OK)
        complain("%s: %s", path, why);
    if (d && schema_root(d)->kind != SCHEMA_RECORD) {
        complain("%s: the top is no record", path);
        schema_free(d);
        return NULL;
    }
    return d;
}

/* DIR/ids, which may be missing as long as nothing is listed. */
static void load_ids(void)
{
    FILE *f = fopen(IN_FOLDER("ids"), "r");
    char line[256];

    while (f && fgets(line, sizeof line, f)) {
        struct version *v = &versions[versions_n];
        char *end, *space = strchr(line, ' ');

        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (!space || space - line > FILE_NAME_MAX || versions_n == VERSIONS_MAX) {
            complain("%s: no line of ours, or too many: %s", IN_FOLDER("ids"), line);
            break;
        }
        memcpy(v->file, line, (size_t)(space - line));
        v->id = (uint32_t)strtoul(space, &end, 16);
        v->bytes = strtoull(end, &end, 16);
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

static void check_version(const struct version *v)
{
    struct cq_span text = read_file(IN_FOLDER(v->file));
    cq_auto(schema) struct schema_doc *d = NULL;

    if (text.n == 0) {
        complain("%s is listed in ids and is not there: %s", IN_FOLDER(v->file), REMEDY_BACK);
        return;
    }
    if (fingerprint64(text.p, text.n) != v->bytes) {
        complain("%s was edited: %s", IN_FOLDER(v->file), REMEDY_BACK);
        return;
    }
    d = parse(IN_FOLDER(v->file), text);
    if (d && schema_id(schema_root(d)) != v->id)
        complain("%s has the id %08x, ids says %08x: %s", IN_FOLDER(v->file),
                 schema_id(schema_root(d)), v->id, REMEDY_BACK);
}

static void check_current(const char *path)
{
    cq_auto(schema) struct schema_doc *d = parse(path, read_file(path));

    if (d && !find_id(schema_id(schema_root(d))))
        complain("%s has a version that %s does not list (id %08x; %s): no later build could read "
                 "what this one writes. %s",
                 schema_root(d)->name, IN_FOLDER("ids"), schema_id(schema_root(d)), path,
                 REMEDY_LOCK);
}

static void check_strangers(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;

    while (dir && (e = readdir(dir)))
        if (strstr(e->d_name, ".avsc") && !is_listed(e->d_name))
            complain("%s is not listed in ids: remove it; %s", IN_FOLDER(e->d_name), REMEDY_LOCK);
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
    struct cq_span text = read_file(path);
    cq_auto(schema) struct schema_doc *d = parse(path, text);
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path;
    size_t stem_n = strcspn(stem, ".");
    struct version *v = &versions[versions_n];
    char line[256];
    int n;

    if (!d || find_id(schema_id(schema_root(d))))
        return;
    if (versions_n == VERSIONS_MAX || stem_n > FILE_NAME_MAX - 32) {
        complain("%s: too many versions, or too long a name", path);
        return;
    }
    v->id = schema_id(schema_root(d));
    v->bytes = fingerprint64(text.p, text.n);
    snprintf(v->file, sizeof v->file, "%.*s-%lu.avsc", (int)stem_n, stem,
             next_number(stem, stem_n));
    n = snprintf(line, sizeof line, "%s %08x %016" PRIx64 "\n", v->file, v->id, v->bytes);
    if (!write_file(IN_FOLDER(v->file), "w", text) ||
        !write_file(IN_FOLDER("ids"), "a", span_of(line, (size_t)n)))
        return;
    versions_n++;
    printf("%s: locked as %s\n", schema_root(d)->name, IN_FOLDER(v->file));
}

int main(int argc, char **argv)
{
    bool adds = argc > 3 && strcmp(argv[1], "lock") == 0;

    if (argc < 4 || (!adds && strcmp(argv[1], "check") != 0)) {
        fputs("use: schemas_history check|lock DIR FILE.avsc...\n", stderr);
        return 2;
    }
    folder = argv[2];
    load_ids();
    for (int i = 3; i < argc; i++)
        if (adds)
            lock(argv[i]);
        else
            check_current(argv[i]);
    for (size_t i = 0; !adds && i < versions_n; i++)
        check_version(&versions[i]);
    if (!adds)
        check_strangers();
    return complaints ? 1 : 0;
}
