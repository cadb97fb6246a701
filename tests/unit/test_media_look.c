/* SPDX-License-Identifier: MIT */
#include "sinks/media/look.h"

#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Look by a shell script in place of the program. */
static enum cq_status look_by(const char *script, const atomic_bool *stop, struct look_found *ret)
{
    char path[] = "/tmp/look-test-XXXXXX", text[200];
    cq_auto(buf) struct cq_buf jpeg = { 0 };
    int fd = mkstemp(path), null = open("/dev/null", O_RDONLY);
    enum cq_status st = CQ_FATAL;

    buf_init(&jpeg, LOOK_THUMBNAIL_MAX);
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    if (fd >= 0 && write(fd, text, strlen(text)) > 0 && fchmod(fd, 0700) == 0 && close(fd) == 0)
        st = look_into(path, null, "image/png", 1, stop, ret, &jpeg);
    unlink(path);
    close(null);
    return st;
}

/* How a process ended says whether another try could go well. */
TEST(ends)
{
    static const struct {
        const char *script, *fault;
        enum look_end end;
    } rows[] = {
        { "echo ok 3 4 5", "", LOOK_SAID },
        { "echo fault too many pixels", "too many pixels", LOOK_SAID },
        { "echo ok 3 4", "ended with code 0", LOOK_SAID },
        { "echo ok 3 4 -5", "ended with code 0", LOOK_SAID },
        { "echo ok 99999999999 4 5", "ended with code 0", LOOK_SAID },
        { "exit 3", "ended with code 3", LOOK_SAID },
        { "kill -KILL $$", "ended by signal 9", LOOK_KILLED },
        { "kill -SEGV $$", "ended by signal 11", LOOK_KILLED },
        { "kill -TERM $$", "ended by signal 15", LOOK_KILLED },
        { "kill -SYS $$", "ended by signal 31", LOOK_FILTERED },
        { "kill -XCPU $$", "takes too long", LOOK_LIMIT },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct look_found found = { 0 };

        CHECK_EQ_ROW(rows[i].script, look_by(rows[i].script, NULL, &found), CQ_OK);
        CHECK_STR(found.fault, rows[i].fault);
        CHECK_EQ_ROW(rows[i].script, found.end, rows[i].end);
    }
}

TEST(what_is_found)
{
    struct look_found found = { 0 };

    CHECK_EQ(look_by("echo ok 3 4 5", NULL, &found), CQ_OK);
    CHECK(found.width == 3 && found.height == 4 && found.duration_ms == 5 && found.cpu_ms >= 0);
    CHECK_EQ(look_into("/nowhere/at/all", 0, "image/png", 1, NULL, &found, &(struct cq_buf){ 0 }),
             CQ_AGAIN);
}

/* The role ends: nobody waits for the rest of a look, and nothing is said of the file. */
TEST(stops)
{
    const atomic_bool stop = true;
    struct look_found found = { 0 };

    CHECK_EQ(look_by("exec sleep 1000", &stop, &found), CQ_AGAIN);
}
