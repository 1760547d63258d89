/* Turning a forked child into the program, step by step. */
#ifndef SHIM_RUN_H
#define SHIM_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { LIMITS_MAX = 16 };

struct run {
    char **argv, **environment;
    const char *directory, *user; /* user: name or number; NULL: stay who we are */
    bool has_umask, has_nice, has_oom;
    mode_t umask;
    int nice, oom;
    size_t limits;
    struct { int resource; rlim_t value; } limit[LIMITS_MAX];
    int out, err;                 /* write ends of the log pipes */
    pid_t shim;
    uid_t uid;                    /* looked up in the child */
    gid_t gid;
    const char *login;
    bool switch_user;
};

/* What the child writes into its report pipe when it cannot go on; nothing at all when exec succeeded. */
struct failure { int stage, error; };

/* Reads "nofile:1024" or "nofile:infinity" into r.  Returns 0 or an errno. */
int run_add_limit(struct run *r, const char *text);
/* Called in the child; never returns.  report: a close-on-exec pipe. */
_Noreturn void run_exec(struct run *r, int report);
const char *run_stage_name(int stage);

#endif
