/* A request frame's payload, read and checked: a verb and key=value fields, separated by NUL. */
#ifndef SHIM_REQUEST_H
#define SHIM_REQUEST_H

#include "shim_run.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    FRAME_MAX = 2 << 20,        /* bytes of payload */
    FRAME_HEAD = 8,             /* seven digits and the colon */
    WORDS_MAX = 16384,          /* arguments, and as many environment entries */
    BACKUPS_MAX = 10000,
    LAST_SIGNAL = 64,
};

enum key { K_ID, K_DIR, K_USER, K_UMASK, K_NICE, K_OOM, K_SIGNAL, K_SCOPE, K_STREAM, K_STDOUT, K_STDOUT_MAX, K_STDOUT_BACKUPS,
           K_STDERR, K_STDERR_MAX, K_STDERR_BACKUPS, K_REDIRECT, KEYS };


/* Where the arguments and the environment are kept: pointers into the payload, closed by NULL. */
struct words {
    char *args[WORDS_MAX + 1], *envs[WORDS_MAX + 1];
};

struct request {
    const char *verb;
    const char *value[KEYS];    /* NULL: not given */
    long long id;               /* -1: none */
    size_t args, envs;
    struct run run;
    struct { const char *path; long long max, backups; } log[2];
};

/* Returns 1 and the payload's place for a whole frame, 0 when more must come, -1 for what can never become one. */
int find_frame(const char *in, size_t length, size_t *head, size_t *payload);
/* Splits a payload in place; payload[length] must be ours to overwrite.  Returns 0 or the errno of the first thing wrong. */
int read_request(struct request *r, struct words *words, char *payload, size_t length);
/* Decimal, nothing around it, least <= *out <= most. */
bool read_number(const char *text, long long least, long long most, long long *out);
/* "TERM" or "15"; -1: no such signal. */
int signal_number(const char *text);
/* "TERM"; NULL where it has no name. */
const char *signal_name(int number);

#endif
