/* Signals the process tree below a subreaper.  Three facts carry it: a child that we have not reaped keeps its pid; a process group
 * with such a child in it keeps its number; and below a subreaper a descendant stays one for life. */
#define _GNU_SOURCE
#include "shim_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Called by number: the glibc of Ubuntu 18.04 and 20.04, common on rented machines, has no wrappers for them. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { STAT_MAX = 1024, FIELD_PARENT = 4, FIELD_START = 22 };

struct dirent_of_kernel {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* /proc/PID/stat; what stands before the last parenthesis is the program's own choice and may hold anything. */
static bool read_process(pid_t pid, struct process *out)
{
    char path[32], text[STAT_MAX];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    char *at = strrchr(text, ')');
    if (at == NULL)
        return false;
    out->pid = pid;
    for (int field = 3; field <= FIELD_START; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return false;
        at++;
        if (field == FIELD_PARENT)
            out->parent = (pid_t)strtol(at, NULL, 10);
    }
    out->start = strtoull(at, NULL, 10);
    return true;
}

/* Every process of the machine (of our pid namespace).  Returns how many. */
static size_t scan(struct tree *t)
{
    size_t count = 0;
    long n;
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while ((n = syscall(SYS_getdents64, fd, t->dirents, sizeof t->dirents)) > 0) {
        for (long at = 0; at < n && count < PROCESSES_MAX;) {
            struct dirent_of_kernel entry;
            memcpy(&entry, t->dirents + at, sizeof entry);
            const char *name = t->dirents + at + offsetof(struct dirent_of_kernel, name);
            at += entry.length;
            if (*name >= '1' && *name <= '9' && read_process((pid_t)strtol(name, NULL, 10), &t->process[count]))
                count++;
        }
    }
    close(fd);
    return count;
}

/* A scan may have touched many pages; they go back at once, so that a shim stays small for the rest of its life. */
static void forget(struct tree *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)t + page - 1) & ~(page - 1), to = ((uintptr_t)t + sizeof *t) & ~(page - 1);
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* if it fails, the pages just stay */
}

static void kill_children_by_scan(struct tree *t)
{
    pid_t self = getpid();
    size_t count = scan(t);
    for (size_t i = 0; i < count; i++)
        if (t->process[i].parent == self)
            (void)kill(t->process[i].pid, SIGKILL); /* EPERM (a set-user-ID child) cannot be helped; the caller keeps waiting for it */
    forget(t);
}

/* The kernel's own list, where it was built in (CONFIG_PROC_CHILDREN).  It is exact here: we have one thread, and nothing leaves the list
 * while we read because only we reap. */
void tree_kill_children(struct tree *t)
{
    char path[64], text[4096];
    ssize_t n;
    pid_t pid = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        kill_children_by_scan(t);
        return;
    }
    while ((n = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
            } else if (pid > 0) {
                (void)kill(pid, SIGKILL); /* as above */
                pid = 0;
            }
        }
    }
    close(fd);
}

/* Catches what forks faster than one can list it, as long as it stays in its group: the kernel holds off forks during a group signal.
 * A session, and so a group, that was made below us holds only our descendants. */
void tree_kill_group_of(pid_t dead)
{
    pid_t group = getpgid(dead);
    if (group > 1 && group != getpgrp())
        (void)kill(-group, SIGKILL); /* ESRCH: nobody else was in it */
}

/* Moves the descendants of the caller to the front of the table, parents before children.  Returns how many.  A parent older than its
 * child is demanded because the table is not one moment: a pid may have been reused between two reads. */
static size_t gather(struct process *p, size_t count)
{
    struct process self;
    size_t found = 0;
    if (!read_process(getpid(), &self))
        return 0;
    for (size_t next = 0; next <= found; next++) {
        struct process parent = next == 0 ? self : p[next - 1];
        for (size_t i = found; i < count; i++) {
            if (p[i].parent != parent.pid || p[i].start < parent.start)
                continue;
            struct process child = p[i];
            p[i] = p[found];
            p[found++] = child;
        }
    }
    return found;
}

/* The pidfd pins a process, the start time read after that proves it to be the one that was scanned. */
static int signal_pinned(const struct process *p, int signal)
{
    struct process again;
    int error = 0;
    int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    bool old_kernel = fd < 0 && (errno == ENOSYS || errno == EPERM); /* before Linux 5.3, or a seccomp filter that predates it */
    if (fd < 0 && !old_kernel)
        return errno == ESRCH ? 0 : errno;
    if (read_process(p->pid, &again) && again.start == p->start) {
        long sent = old_kernel ? kill(p->pid, signal) : syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
        error = sent < 0 && errno != ESRCH ? errno : 0;
    }
    if (fd >= 0)
        close(fd);
    return error;
}

int tree_signal(struct tree *t, int signal)
{
    int error = 0;
    size_t found = gather(t->process, scan(t));
    for (size_t i = 0; i < found; i++) {
        int wrong = signal_pinned(&t->process[i], signal);
        error = error != 0 ? error : wrong;
    }
    forget(t);
    return error;
}
