/* Finding and signalling the descendants of a subreaper without ever hitting a stranger. */
#ifndef SHIM_TREE_H
#define SHIM_TREE_H

#include <sys/types.h>

enum {
    PROCESSES_MAX = 128 << 10, /* processes looked at in one scan of the machine; pages that stay untouched cost nothing */
    DIRENTS = 32 << 10,
};

struct process {
    pid_t pid, parent;
    unsigned long long start; /* clock ticks since boot */
};

struct tree {
    struct process process[PROCESSES_MAX];
    char dirents[DIRENTS];
};

/* SIGKILL to every direct child of the caller, who must be their only reaper. */
void tree_kill_children(struct tree *t);
/* SIGKILL to the process group of a dead child that is not reaped yet. */
void tree_kill_group_of(pid_t dead);
/* One signal to every descendant that is there now.  Returns 0 or the first errno. */
int tree_signal(struct tree *t, int signal);

#endif
