/* The log writer of guard-shim: one log file, rotated at line ends, that never blocks and accounts for every byte it could not write. */
#ifndef SHIM_LOG_H
#define SHIM_LOG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    LOG_SLACK = 1 << 20,    /* a line may run this far past the size limit before it is cut */
    LOG_RETRY_MS = 100,     /* between two attempts while writing fails */
    LOG_LOOK_MS = 1000,     /* between two looks whether the path still leads to our file */
    LOG_SUFFIX = 16,        /* room for ".<backup number>" behind a path */
};

struct log {
    const char *stream;     /* "stdout" or "stderr", for the note about lost bytes */
    char path[PATH_MAX];    /* empty: the stream is thrown away */
    uint64_t max;           /* rotate before the file grows past this; 0: never */
    unsigned backups;       /* 0: the file is emptied where others are renamed */
    int fd;                 /* -1: not open */
    uint64_t size;
    dev_t dev;
    ino_t ino;
    bool regular;           /* only regular files are rotated */
    char tail;              /* last byte in this file, meaningful when size > 0 */
    bool line_open;         /* the stream stands within a line: rotating here would tear it */
    bool rotate_due;        /* `rotate` came within a line: done at its end, or LOG_SLACK later */
    uint64_t due_size;      /* the file's size when rotate_due was set */
    int64_t rotate_at;      /* a rotation failed: not again before this */
    int64_t retry_at;
    int64_t look_at;
    int error;              /* errno of the failure that lasts, 0: writing works */
    int last_error;         /* errno of the last failure */
    bool torn;              /* the last byte dropped was within a line */
    uint64_t gap;           /* bytes dropped since writing last worked */
    uint64_t lost;          /* bytes dropped since the shim began */
    bool rotated;           /* set by every rotation, cleared by who tells the daemon */
};

/* All times are CLOCK_MONOTONIC ms.  The int results are 0 or an errno. */
void log_init(struct log *l, const char *stream);
void log_set(struct log *l, const char *path, uint64_t max, unsigned backups, int64_t now);
void log_write(struct log *l, const char *buf, size_t n, int64_t now);
void log_end_run(struct log *l, int64_t now);
int log_rotate(struct log *l, int64_t now);
int log_reopen(struct log *l, int64_t now);
int log_clear(struct log *l, int64_t now);

#endif
