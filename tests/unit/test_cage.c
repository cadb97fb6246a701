/* SPDX-License-Identifier: MIT */
#include "sinks/media/cage.h"
#include "sinks/media/look.h"

#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ATTEMPTS_MAX = 200 };

static struct look_found run(const char *program, const char *type)
{
    cq_auto(buf) struct cq_buf jpeg = { 0 };
    struct look_found found = { 0 };
    int fd = open("/dev/null", O_RDONLY);

    buf_init(&jpeg, LOOK_THUMBNAIL_MAX);
    if (fd < 0 || look_into(program, fd, type, 100, NULL, &found, &jpeg) != CQ_OK)
        snprintf(found.fault, sizeof found.fault, "did not run");
    close(fd);
    return found;
}

/* What attempts that were killed in the cage could not tidy up. */
static void tidy(void)
{
    DIR *folder = opendir("/tmp");
    char path[300];

    for (struct dirent *dirent; folder && (dirent = readdir(folder));)
        if (strncmp(dirent->d_name, "cage-probe-", 11) == 0) {
            snprintf(path, sizeof path, "/tmp/%s", dirent->d_name);
            unlink(path);
        }
    if (folder)
        closedir(folder);
}

/* Each attempt of cage_probe.c, inside. Returns how many failed as they have to; -1: one did
 * not. */
static int attempt_all(void)
{
    int tried = 0;

    for (; tried < ATTEMPTS_MAX; tried++) {
        char type[24];
        struct look_found found;

        snprintf(type, sizeof type, "%d", tried);
        found = run(CAGE_PROBE, type);
        if (strcmp(found.fault, "end") == 0)
            break;
        if (strncmp(found.fault, "refused: ", 9) != 0 && found.end != LOOK_FILTERED) {
            fprintf(stderr, "attempt %d: %s\n", tried, found.fault);
            tried = -1;
            break;
        }
    }
    tidy();
    return tried;
}

/* T42, and what a hostile picture must not be able to do. */
TEST(nothing_gets_out)
{
    int tried;

    setenv("DATABASE_URL", "postgresql://secret", 1);
    tried = attempt_all();
    CHECK(tried > 60 && tried < ATTEMPTS_MAX);
}

/* In a child: a plain container, which forbids the layers of best effort. */
static void forbid_best_effort(void)
{
    static const int calls[] = { SCMP_SYS(unshare), SCMP_SYS(chroot),
                                 SCMP_SYS(landlock_create_ruleset) };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool good = filter != NULL;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        good = good && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0) == 0;
    if (!good || seccomp_load(filter) != 0)
        _exit(2);
}

TEST(required_layers_are_enough)
{
    const int32_t want = CAGE_FILTER | (geteuid() == 0 ? CAGE_OWN_USER : 0);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        forbid_best_effort();
        if (run(THUMBNAIL, "cage").width != want)
            _exit(3);
        _exit(attempt_all() > 60 ? 0 : 4);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_EQ(status, 0);
}

/* The same attempts succeed without the cage: the test above can fail. */
TEST(attempts_are_sound)
{
    int sound = 0;

    for (int i = 0; geteuid() == 0 && i < ATTEMPTS_MAX; i++) {
        char type[24];
        struct look_found found;

        snprintf(type, sizeof type, "bare %d", i);
        found = run(CAGE_PROBE, type);
        if (strcmp(found.fault, "end") == 0)
            break;
        if (strncmp(found.fault, "skipped", 7) == 0)
            continue;
        if (strncmp(found.fault, "ALLOWED", 7) != 0)
            fprintf(stderr, "attempt %d: %s\n", i, found.fault);
        CHECK(strncmp(found.fault, "ALLOWED", 7) == 0);
        sound++;
    }
    tidy();
    CHECK(sound > 35 || geteuid() != 0);
}

/* A role that is killed leaves no process behind, though a file may make its process hang. */
TEST(nobody_outlives_the_role)
{
    char path[64], children[16] = "";
    int status = 0;
    pid_t role, orphan;

    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    role = fork();
    if (role == 0) {
        run(CAGE_PROBE, "hang");
        _exit(0);
    }
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", role, role);
    for (FILE *f = NULL; !*children && (f = fopen(path, "r")); fclose(f))
        if (!fgets(children, sizeof children, f))
            sched_yield();
    CHECK(kill(role, SIGKILL) == 0 && waitpid(role, &status, 0) == role);
    orphan = waitpid(-1, &status, 0);
    CHECK(orphan > 0);
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 126);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* The program itself says which layers it has; those that are required are there. */
TEST(required_layers)
{
    struct look_found found = run(THUMBNAIL, "cage");

    CHECK_STR(found.fault, "");
    CHECK(found.width & CAGE_FILTER);
    CHECK(geteuid() != 0 || found.width & CAGE_OWN_USER);
    printf("layers here: %d\n", found.width);
}
