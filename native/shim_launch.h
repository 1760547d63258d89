/* From one command line to one shim per directory, each of them listening when the command returns. */
#ifndef SHIM_LAUNCH_H
#define SHIM_LAUNCH_H

#include <stdbool.h>

enum { EXIT_USAGE = 100, EXIT_SYSTEM = 111 };

struct life {
    /* Returns NULL when it listens, or the stage that failed, with errno.  *alive: another shim has this directory. */
    const char *(*become)(const char *dir, bool *alive);
    /* Never returns. */
    void (*work)(void);
};

/* Returns the exit code of the command. */
int launch(const struct life *life, int argc, char **argv);
/* Makes the calling process the one holder of a run directory: a session of its own, subreaper, locked, listening, all signals blocked.
 * Returns NULL, or the stage that failed, with errno. */
struct place {
    bool alive;     /* another shim has this directory; nothing else was done */
    int listener, signals;
};
const char *take_place(const char *dir, struct place *place);

#endif
