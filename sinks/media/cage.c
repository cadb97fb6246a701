/* SPDX-License-Identifier: MIT */
#include "sinks/media/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int empty_folder = -1;
static pid_t starter;

/* ---- before libraries start ----------------------------------------------------------- */

/* A folder that is deleted while we hold it: it is empty, and nothing can be made in it. */
static int make_empty_folder(void)
{
    char path[] = "/tmp/chasqui-cage-XXXXXX";
    int fd;

    if (!mkdtemp(path))
        return -1;
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    rmdir(path);
    return fd;
}

unsigned cage_open(void)
{
    bool root = geteuid() == 0;
    bool alone;

    starter = getppid();
    empty_folder = make_empty_folder(); /* a user namespace could not make it */
    alone = unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER)) == 0;
    /* elsewhere the limit would count all processes of the user who started us */
    if (root || alone)
        setrlimit(RLIMIT_NPROC, &(struct rlimit){ CAGE_THREADS, CAGE_THREADS });
    return alone ? CAGE_NAMESPACES : 0;
}

/* ---- the second wall ------------------------------------------------------------------ */

static bool enter_empty_root(void)
{
    bool good = empty_folder >= 0 && fchdir(empty_folder) == 0 && chroot(".") == 0;

    if (empty_folder >= 0)
        close(empty_folder);
    empty_folder = -1;
    return good;
}

static bool forbid_paths(void)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct landlock_ruleset_attr all = { .handled_access_fs =
                                             (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
    int fd = abi < 1 ? -1 : (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    bool good = fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

/* ---- the first wall ------------------------------------------------------------------- */

static bool drop_user(unsigned *layers)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

    if (geteuid() == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(CAGE_UID, CAGE_UID, CAGE_UID) != 0 ||
            setresuid(CAGE_UID, CAGE_UID, CAGE_UID) != 0)
            return false;
        *layers |= CAGE_OWN_USER;
    }
    return syscall(SYS_capset, &head, none) == 0; /* those of a user namespace, too */
}

static bool allow_plain(scmp_filter_ctx filter)
{
    static const int calls[] = {
        /* the descriptors it has */
        SCMP_SYS(read),
        SCMP_SYS(pread64),
        SCMP_SYS(write),
        SCMP_SYS(lseek),
        SCMP_SYS(close),
        SCMP_SYS(fstat),
        SCMP_SYS(dup),
        /* memory */
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(brk),
        SCMP_SYS(madvise),
        /* its own threads */
        SCMP_SYS(futex),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(sched_yield),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sigaltstack),
        /* time and chance */
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getrandom),
    };
    bool good = true;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) == 0;
    return good;
}

static bool allow_some(scmp_filter_ctx filter)
{
    const scmp_datum_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    const scmp_datum_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    static const int fcntls[] = { F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC };
    bool good = true;

    for (size_t i = 0; i < sizeof fcntls / sizeof *fcntls; i++)
        good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                        SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntls[i])) == 0;
    return good &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                            SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, /* abort() */
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, thread | spaces, thread)) == 0 &&
           /* its flags cannot be looked at; libc takes clone() then */
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

/* Libraries never call these. Code that does has broken out of a decoder, and is killed. */
static bool kill_hostile(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(fork),
        SCMP_SYS(vfork),
        SCMP_SYS(ptrace),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(socket),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(bpf),
        SCMP_SYS(mount),
        SCMP_SYS(unshare),
        SCMP_SYS(setns),
        SCMP_SYS(pidfd_open),
        SCMP_SYS(kill),
    };
    bool good = true;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        good = good && seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0) == 0;
    return good;
}

/* Set again, since a change of user clears it: the process is killed when its parent ends. */
static bool end_with_starter(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == starter;
}

/* Calls that are not listed fail with EPERM; calls of another architecture kill the process. */
static bool load_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    bool good = filter && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
                seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
                allow_plain(filter) && allow_some(filter) && kill_hostile(filter) &&
                seccomp_load(filter) == 0; /* sets no_new_privs */

    seccomp_release(filter);
    return good;
}

bool cage_close(unsigned *layers)
{
    if (enter_empty_root())
        *layers |= CAGE_EMPTY_ROOT;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    if (forbid_paths())
        *layers |= CAGE_LANDLOCK;
    if (!drop_user(layers) || prctl(PR_SET_DUMPABLE, 0) != 0 || !end_with_starter() ||
        !load_filter())
        return false;
    *layers |= CAGE_FILTER;
    return true;
}
