/* SPDX-License-Identifier: MIT */
/*
 * Stands in for chasqui-thumbnail and behaves like one that a picture has taken over: attempt
 * number argv[1], from inside the same cage. `bare N` tries it without the cage, which shows that
 * the attempt itself is sound. Prints one line as chasqui-thumbnail does.
 */
#include "sinks/media/cage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_TRIED "/tmp/cage-probe"
static char victim[64], victim_new[80];

static long try_proc(const char *file, int flags)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", getppid(), file);
    return open(path, flags);
}

/* ---- secrets of the parent */
static long parent_environ(void)
{
    return try_proc("environ", O_RDONLY);
}
static long parent_memory(void)
{
    return try_proc("mem", O_RDONLY);
}
static long parent_memory_write(void)
{
    return try_proc("mem", O_RDWR);
}
static long parent_maps(void)
{
    return try_proc("maps", O_RDONLY);
}
static long parent_files(void)
{
    return try_proc("fd/0", O_RDONLY);
}
static long parent_command(void)
{
    return try_proc("cmdline", O_RDONLY);
}
static long own_environ(void)
{
    return open("/proc/self/environ", O_RDONLY);
}
static long read_parent(void)
{
    char byte;
    struct iovec to = { &byte, 1 }, from = { victim, 1 };

    return process_vm_readv(getppid(), &to, 1, &from, 1, 0);
}
static long trace_parent(void)
{
    return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}
static long hold_parent(void)
{
    return syscall(SYS_pidfd_open, getppid(), 0);
}
static long signal_parent(void)
{
    return kill(getppid(), 0);
}
static long signal_thread(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0);
}
static long signal_queue(void)
{
    siginfo_t info = { .si_code = SI_QUEUE };

    return syscall(SYS_rt_sigqueueinfo, getppid(), 0, &info);
}
static long limit_parent(void)
{
    struct rlimit got;

    return prlimit(getppid(), RLIMIT_NOFILE, NULL, &got);
}
static long renice_parent(void)
{
    return setpriority(PRIO_PROCESS, (id_t)getppid(), 19);
}
static long inherited(void)
{
    long open_n = 0;

    for (int fd = 4; fd < 1024; fd++)
        open_n += fcntl(fd, F_GETFD) >= 0;
    return open_n ? 0 : -1;
}
static long own_secrets(void)
{
    return getenv("DATABASE_URL") || getenv("PATH") || getenv("TMPDIR") ? 0 : -1;
}

/* ---- files */
static long read_passwd(void)
{
    return open("/etc/passwd", O_RDONLY);
}
static long open_by_openat2(void)
{
    uint64_t how[3] = { O_RDONLY, 0, 0 };

    return syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how);
}
static long open_plainly(void)
{
    return syscall(SYS_open, "/etc/passwd", O_RDONLY, 0);
}
static long list_folder(void)
{
    return open(".", O_RDONLY | O_DIRECTORY);
}
static long stat_file(void)
{
    struct stat info;

    return stat("/etc/passwd", &info);
}
static long make_file(void)
{
    return open(PATH_TRIED, O_WRONLY | O_CREAT, 0600);
}
static long make_nameless(void)
{
    return open("/tmp", O_TMPFILE | O_RDWR, 0600);
}
static long make_here(void)
{
    return open("x", O_WRONLY | O_CREAT, 0600);
}
static long make_folder(void)
{
    return mkdir(PATH_TRIED ".d", 0700);
}
static long truncate_file(void)
{
    return open(victim, O_WRONLY | O_TRUNC);
}
static long truncate_path(void)
{
    return truncate(victim, 0);
}
static long unlink_file(void)
{
    return syscall(SYS_unlink, victim);
}
static long unlink_at(void)
{
    return unlinkat(AT_FDCWD, victim, 0);
}
static long rename_file(void)
{
    return syscall(SYS_rename, victim, victim_new);
}
static long link_file(void)
{
    return link(victim, victim_new);
}
static long link_soft(void)
{
    return symlink("/etc", victim_new);
}
static long change_mode(void)
{
    return chmod(victim, 0777);
}
static long change_root(void)
{
    return chroot("/tmp");
}
static long make_memory_file(void)
{
    return memfd_create("x", 0);
}
static long watch(void)
{
    return syscall(SYS_inotify_init1, 0);
}

/* ---- network */
static long socket_inet(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}
static long socket_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}
static long socket_pair(void)
{
    int v[2];

    return socketpair(AF_UNIX, SOCK_STREAM, 0, v);
}
static long ring(void)
{
    struct io_uring_params params = { 0 };

    return syscall(SYS_io_uring_setup, 4, &params);
}
static long make_pipe(void)
{
    int v[2];

    return pipe(v);
}

/* ---- programs and processes */
static long run_program(void)
{
    char *none[] = { NULL };

    return execve("/bin/true", none, none);
}
static long run_by_descriptor(void)
{
    char *none[] = { NULL };

    return syscall(SYS_execveat, 0, "", none, none, AT_EMPTY_PATH);
}
static long fork_old(void)
{
    return syscall(SYS_fork);
}
static long fork_clone(void)
{
    return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}
static long fork_clone3(void)
{
    uint64_t args[8] = { [4] = SIGCHLD };

    return syscall(SYS_clone3, args, sizeof args);
}
static long code_in_memory(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : 0;
}
static long code_from_data(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

/* ---- the kernel */
static long spaces(void)
{
    return unshare(CLONE_NEWUSER);
}
static long mount_proc(void)
{
    return mount("proc", "/tmp", "proc", 0, NULL);
}
static long become_root(void)
{
    return geteuid() == 0 ? 0 : setuid(0);
}
static long filter_program(void)
{
    return syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM ? -1 : 0;
}
static long filter_again(void)
{
    uint32_t action = SECCOMP_RET_ALLOW;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}
static long measure_performance(void)
{
    struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
                                    .size = sizeof attr,
                                    .config = PERF_COUNT_SW_TASK_CLOCK };

    return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}
static long page_faults(void)
{
    return syscall(SYS_userfaultfd, 1);
}
static long keys(void)
{
    return syscall(SYS_keyctl, 0, -3, 1);
}
static long shared_memory(void)
{
    return syscall(SYS_shmget, 0x43515051, 4096, 0600 | 01000);
}
static long queues(void)
{
    return syscall(SYS_msgget, 0x43515051, 0600 | 01000);
}
static long core_dumps(void)
{
    return setrlimit(RLIMIT_CORE, &(struct rlimit){ 1 << 20, 1 << 20 });
}
static long more_memory(void)
{
    return setrlimit(RLIMIT_AS, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
}
static long all_memory(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* they have no limit */
    return -1;
#else
    return mmap(NULL, (size_t)4 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED
               ? -1
               : 0;
#endif
}
static long other_call_table(void)
{
#if defined(__x86_64__)
    return syscall(0x40000000 | SYS_socket, AF_INET, SOCK_STREAM, 0); /* x32 */
#else
    return -1;
#endif
}
static long old_call_gate(void)
{
#if defined(__x86_64__)
    long ret;

    __asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory"); /* getpid of 32 bits */
    return ret;
#else
    return -1;
#endif
}

static const struct attempt {
    const char *name;
    long (*run)(void);
    bool sound; /* works without the cage for root on any kernel that we know */
} attempts[] = {
#define SOUND(fn)     \
    {                 \
#fn, fn, true \
    }
#define MAYBE(fn)      \
    {                  \
#fn, fn, false \
    }
    SOUND(parent_environ),
    SOUND(parent_memory),
    SOUND(parent_memory_write),
    SOUND(parent_maps),
    SOUND(parent_files),
    SOUND(parent_command),
    SOUND(own_environ),
    MAYBE(read_parent),
    SOUND(trace_parent),
    SOUND(hold_parent),
    SOUND(signal_parent),
    SOUND(signal_thread),
    SOUND(signal_queue),
    SOUND(limit_parent),
    MAYBE(renice_parent),
    MAYBE(inherited),
    MAYBE(own_secrets),
    SOUND(read_passwd),
    SOUND(open_by_openat2),
    SOUND(open_plainly),
    SOUND(list_folder),
    SOUND(stat_file),
    SOUND(make_file),
    SOUND(make_nameless),
    MAYBE(make_here),
    SOUND(make_folder),
    SOUND(truncate_file),
    SOUND(truncate_path),
    SOUND(unlink_file),
    SOUND(unlink_at),
    SOUND(rename_file),
    SOUND(link_file),
    SOUND(link_soft),
    SOUND(change_mode),
    SOUND(change_root),
    SOUND(make_memory_file),
    SOUND(watch),
    SOUND(socket_inet),
    SOUND(socket_unix),
    SOUND(socket_pair),
    MAYBE(ring),
    SOUND(make_pipe),
    MAYBE(run_program),
    MAYBE(run_by_descriptor),
    SOUND(fork_old),
    SOUND(fork_clone),
    SOUND(fork_clone3),
    SOUND(code_in_memory),
    SOUND(code_from_data),
    MAYBE(spaces),
    MAYBE(mount_proc),
    SOUND(become_root),
    MAYBE(filter_program),
    SOUND(filter_again),
    MAYBE(measure_performance),
    MAYBE(page_faults),
    MAYBE(keys),
    MAYBE(shared_memory),
    MAYBE(queues),
    MAYBE(core_dumps),
    MAYBE(more_memory),
    MAYBE(all_memory),
    MAYBE(other_call_table),
    MAYBE(old_call_gate),
};

/* Files for the attempts, made before the door closes. */
static void make_victim(void)
{
    int fd;

    snprintf(victim, sizeof victim, PATH_TRIED "-%d", getpid());
    snprintf(victim_new, sizeof victim_new, "%s.new", victim);
    fd = open(victim, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd >= 0)
        close(fd);
}

static void clean_up(void)
{
    unlink(victim);
    unlink(victim_new);
    unlink(PATH_TRIED);
    rmdir(PATH_TRIED ".d");
}

int main(int argc, char **argv)
{
    bool bare = argc > 1 && strncmp(argv[1], "bare ", 5) == 0;
    size_t i = argc > 1 ? (size_t)strtoul(argv[1] + (bare ? 5 : 0), NULL, 10) : 0;
    const struct attempt *attempt = &attempts[i];
    pid_t self = getpid();
    unsigned layers;
    long got;

    if (argc == 3 && strcmp(argv[1], "hang") == 0) {
        layers = cage_open();
        while (cage_close(&layers))
            for (;;)
                nanosleep(&(struct timespec){ 1000, 0 }, NULL);
        _exit(126);
    }
    if (argc != 3 || i >= sizeof attempts / sizeof *attempts) {
        dprintf(1, "fault end\n");
        return 0;
    }
    if (bare && !attempt->sound) {
        dprintf(1, "fault skipped: %s\n", attempt->name);
        return 0;
    }
    make_victim();
    if (!bare) {
        layers = cage_open();
        if (!cage_close(&layers)) {
            dprintf(1, "fault no cage: %s\n", strerror(errno));
            return 0;
        }
    }
    errno = 0;
    got = attempt->run();
    if (syscall(SYS_getpid) == self) /* the child of a fork says nothing */
        dprintf(1, "fault %s: %s: %s\n", got < 0 ? "refused" : "ALLOWED", attempt->name,
                strerror(errno));
    if (bare)
        clean_up();
    _exit(0);
}
