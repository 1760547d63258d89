/* The child's way from fork to exec: one table of steps, each of which can fail under its own name. */
#define _GNU_SOURCE
#include "shim_run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct { const char *name; int resource; } limit_names[] = {
    {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"core", RLIMIT_CORE}, {"memlock", RLIMIT_MEMLOCK}, {"as", RLIMIT_AS},
    {"stack", RLIMIT_STACK}, {"data", RLIMIT_DATA}, {"fsize", RLIMIT_FSIZE}, {"cpu", RLIMIT_CPU},
};

int run_add_limit(struct run *r, const char *text)
{
    const char *colon = strchr(text, ':');
    char *end = NULL;
    if (colon == NULL || r->limits == LIMITS_MAX)
        return colon == NULL ? EINVAL : E2BIG;
    bool infinite = strcmp(colon + 1, "infinity") == 0;
    errno = 0;
    unsigned long long value = strtoull(colon + 1, &end, 10);
    if (!infinite && (colon[1] < '0' || colon[1] > '9' || *end != '\0' || errno != 0))
        return EINVAL;
    size_t length = (size_t)(colon - text);
    for (size_t i = 0; i < sizeof limit_names / sizeof *limit_names; i++) {
        if (strlen(limit_names[i].name) != length || memcmp(limit_names[i].name, text, length) != 0)
            continue;
        r->limit[r->limits].resource = limit_names[i].resource;
        r->limit[r->limits++].value = infinite ? RLIM_INFINITY : (rlim_t)value;
        return 0;
    }
    return EINVAL;
}

static int new_session(struct run *r)
{
    (void)r;
    return setsid() < 0 ? -1 : 0;
}

/* Standard input stays the shim's /dev/null; every other descriptor of the shim closes itself on exec. */
static int take_pipes(struct run *r) { return dup2(r->out, 1) < 0 || dup2(r->err, 2) < 0 ? -1 : 0; }

/* Looked up before the limits: NSS opens files and maps libraries.  A number needs an entry, too: that is where the group comes from. */
static int look_up_user(struct run *r)
{
    if (r->user == NULL)
        return 0;
    errno = 0;
    struct passwd *entry = strspn(r->user, "0123456789") == strlen(r->user) ? getpwuid((uid_t)strtoul(r->user, NULL, 10)) : getpwnam(r->user);
    if (entry == NULL) {
        if (errno == 0 || errno == ESRCH || errno == EBADF || errno == EPERM)
            errno = ENOENT; /* getpwnam(3) lists all of these for "no such user" */
        return -1;
    }
    r->uid = entry->pw_uid;
    r->gid = entry->pw_gid;
    r->login = entry->pw_name;
    r->switch_user = r->uid != geteuid();
    if (r->switch_user) {
        /* So that the program may open /dev/stdout and /dev/stderr anew; it works without as long as it only writes. */
        (void)!fchown(1, r->uid, (gid_t)-1);
        (void)!fchown(2, r->uid, (gid_t)-1);
    }
    return 0;
}

/* Before the limits, too: it reads the group file. */
static int set_groups(struct run *r) { return r->switch_user ? initgroups(r->login, r->gid) : 0; }

static int set_oom(struct run *r)
{
    char text[16];
    if (!r->has_oom)
        return 0;
    int length = snprintf(text, sizeof text, "%d", r->oom);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, (size_t)length);
    int error = errno;
    close(fd);
    errno = error;
    return n < 0 ? -1 : 0;
}

static int set_nice(struct run *r) { return r->has_nice ? setpriority(PRIO_PROCESS, 0, r->nice) : 0; }

static int set_limits(struct run *r)
{
    for (size_t i = 0; i < r->limits; i++) {
        struct rlimit limit = {r->limit[i].value, r->limit[i].value};
        if (setrlimit(r->limit[i].resource, &limit) < 0)
            return -1;
    }
    return 0;
}

static int set_umask(struct run *r)
{
    if (r->has_umask)
        umask(r->umask);
    return 0;
}

static int set_gid(struct run *r) { return r->switch_user ? setgid(r->gid) : 0; }
static int set_uid(struct run *r) { return r->switch_user ? setuid(r->uid) : 0; }
static int change_directory(struct run *r) { return r->directory != NULL ? chdir(r->directory) : 0; }

/* First of all, for a step may hang, and again after setuid, which clears it.  A shim that died before it took hold shows as another
 * parent. */
static int die_with_shim(struct run *r)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -1;
    if (getppid() != r->shim)
        _exit(111);
    return 0;
}

/* All dispositions are default already (the shim only ever blocks).  A signal sent since the fork is delivered here, not lost. */
static int become_program(struct run *r)
{
    extern char **environ;
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return -1;
    environ = r->environment;
    execvp(r->argv[0], r->argv);
    return -1;
}

static const struct { const char *name; int (*take)(struct run *); } steps[] = {
    {"pdeathsig", die_with_shim},
    {"setsid", new_session},
    {"pipe", take_pipes},
    {"user", look_up_user},
    {"groups", set_groups},
    {"oom", set_oom},
    {"nice", set_nice},
    {"limits", set_limits},
    {"umask", set_umask},
    {"setgid", set_gid},
    {"setuid", set_uid},
    {"chdir", change_directory},
    {"pdeathsig", die_with_shim},
    {"exec", become_program},
};
enum { STEPS = sizeof steps / sizeof *steps };

_Noreturn void run_exec(struct run *r, int report)
{
    for (int stage = 0; stage < STEPS; stage++) {
        if (steps[stage].take(r) == 0)
            continue;
        struct failure failure = {stage, errno};
        (void)!write(report, &failure, sizeof failure); /* smaller than PIPE_BUF; if it fails, the exit code is all there is */
        break;
    }
    _exit(111);
}

const char *run_stage_name(int stage) { return stage >= 0 && stage < STEPS ? steps[stage].name : "fork"; }
