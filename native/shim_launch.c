/* The guard-shim command: forks one shim per directory and waits until each of them listens, so that nobody needs to poll. */
#define _GNU_SOURCE
#include "shim_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* by number, as in shim_tree.c */
#endif

enum {
    LOCK_TRIES = 100,
    LOCK_WAIT_US = 10000,
    LAST_SIGNAL = 64,
    LAST_CLOSED_FD = 65535,     /* where close_range is missing */
};

/* Returns 1 when the directory is ours now, 0 when a live shim has it, -1 with errno.  A holder without a socket is about to leave
 * (or about to listen): wait for either.  A lock file that was unlinked under us does not count. */
static int take_lock(void)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        struct stat ours, there;
        int lock = open("lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock < 0)
            return -1;
        if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
            if (errno != EWOULDBLOCK)
                return -1;
            if (access("shim.sock", F_OK) == 0)
                return 0;
            usleep(LOCK_WAIT_US);
        } else if (fstat(lock, &ours) == 0 && stat("lock", &there) == 0 && ours.st_ino == there.st_ino) {
            return 1;
        }
        close(lock);
    }
    errno = EWOULDBLOCK;
    return -1;
}

/* Bound by its relative name: sun_path ends at 107 bytes, run directories may not. */
static const char *start_listening(struct place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "shim.sock"};
    int fd = place->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return "socket";
    if (unlink("shim.sock") < 0 && errno != ENOENT)
        return "unlink";
    mode_t mask = umask(0177);
    int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (bound < 0)
        return "bind";
    if (listen(fd, 16) < 0)
        return "listen";
    return NULL;
}

/* Everything is blocked, nothing ignored: a blocked signal cannot hurt us, and a child starts with default dispositions and loses no
 * signal sent to it before its exec.  Faults stay open so that they kill us with a core, not silently. */
static const char *take_signals_by_fd(struct place *place)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all, child;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return "sigprocmask";
    place->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    return place->signals < 0 ? "signalfd" : NULL;
}

const char *take_place(const char *dir, struct place *place)
{
    *place = (struct place){false, -1, -1};
    if (setsid() < 0)
        return "setsid";
    if (prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0)
        return "subreaper";
    if (chdir(dir) < 0)
        return "chdir";
    int lock = take_lock();
    place->alive = lock == 0;
    if (lock <= 0)
        return lock < 0 ? "lock" : NULL;
    const char *stage = take_signals_by_fd(place);
    return stage != NULL ? stage : start_listening(place);
}

/* So that `ps` shows which instance a shim belongs to: all were forked from one command line. */
static void show_directory(char **argv, int argc, const char *dir)
{
    char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
    size_t length = strlen(dir) + 1;
    memmove(argv[1], dir, length);
    memset(argv[1] + length, 0, (size_t)(end - argv[1]) - length);
}

/* stage is an address in our own image, the same in parent and child. */
struct outcome { int index, error; const char *stage; };

static void start_one(const struct life *life, char **argv, int argc, int index, int report)
{
    bool alive = false;
    struct outcome outcome = {index, 0, NULL};
    outcome.stage = life->become(argv[index], &alive);
    outcome.error = errno;
    if (write(report, &outcome, sizeof outcome) != (ssize_t)sizeof outcome || outcome.stage != NULL)
        _exit(EXIT_SYSTEM);
    if (alive)
        _exit(0);
    show_directory(argv, argc, argv[index]);
    (void)dup2(0, 2); /* cannot fail: both are open */
    close(report);
    life->work();
}

/* Descriptors 0-2 become /dev/null (2 later), nothing else stays open, no signal stays ignored. */
static bool clean_up_inheritance(void)
{
    int fd;
    for (int i = 1; i <= LAST_SIGNAL; i++)
        (void)signal(i, SIG_DFL); /* refused for KILL, STOP and libc's own two */
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd < 2);
    if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0)
        return false;
    if (syscall(SYS_close_range, 3U, ~0U, 0U) < 0)
        for (int i = 3; i <= LAST_CLOSED_FD; i++)
            close(i);
    return true;
}

int launch(const struct life *life, int argc, char **argv)
{
    int report[2], code = 0;
    struct outcome outcome;
    if (!clean_up_inheritance() || pipe2(report, O_CLOEXEC) < 0) {
        fprintf(stderr, "guard-shim: %s\n", strerror(errno));
        return EXIT_SYSTEM;
    }
    for (int i = 1; i < argc; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            close(report[0]);
            start_one(life, argv, argc, i, report[1]);
        }
        if (pid < 0) {
            fprintf(stderr, "%s: fork: %s\n", argv[i], strerror(errno));
            argv[i] = NULL;
            code = EXIT_SYSTEM;
        }
    }
    close(report[1]);
    while (read(report[0], &outcome, sizeof outcome) == (ssize_t)sizeof outcome) {
        if (outcome.stage != NULL) {
            fprintf(stderr, "%s: %s: %s\n", argv[outcome.index], outcome.stage, strerror(outcome.error));
            code = EXIT_SYSTEM;
        }
        argv[outcome.index] = NULL;
    }
    for (int i = 1; i < argc; i++) {
        if (argv[i] == NULL)
            continue;
        fprintf(stderr, "%s: died before it listened\n", argv[i]);
        code = EXIT_SYSTEM;
    }
    return code;
}
