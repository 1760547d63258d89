/* Writes one stream of a program to its log file: byte-exact, rotated by size at line ends, with every lost byte counted. */
#define _GNU_SOURCE
#include "shim_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROTATE_RETRY_MS = 1000, NOTE_MAX = 256 };

void log_init(struct log *l, const char *stream)
{
    memset(l, 0, sizeof *l);
    l->stream = stream;
    l->fd = -1;
}

static void close_file(struct log *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* O_NONBLOCK: a fifo without a reader or a full one must count as loss, not stop the program's output (and with it the program). */
static bool open_file(struct log *l, int64_t now)
{
    struct stat st;
    int fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    l->fd = fd;
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    l->regular = S_ISREG(st.st_mode);
    l->size = l->regular ? (uint64_t)st.st_size : 0;
    l->tail = '\n';
    l->look_at = now + LOG_LOOK_MS;
    return true;
}

/* Makes sure that what is written lands behind the path.  A deleted file shows at once in its link count, so that no byte goes into a
 * file nobody can open; a moved one keeps its bytes and is looked for only once a second.  The size is read anew each time because
 * others may truncate the file (logrotate's copytruncate). */
static bool usable(struct log *l, int64_t now)
{
    struct stat st;
    if (l->fd >= 0 && l->regular) {
        if (fstat(l->fd, &st) < 0 || st.st_nlink == 0)
            close_file(l);
        else
            l->size = (uint64_t)st.st_size;
    }
    if (l->fd >= 0 && now >= l->look_at) {
        l->look_at = now + LOG_LOOK_MS;
        if (stat(l->path, &st) < 0 || st.st_dev != l->dev || st.st_ino != l->ino)
            close_file(l);
    }
    return l->fd >= 0 || open_file(l, now);
}

/* Returns the bytes that reached the file; when they are fewer than n, errno says why. */
static size_t put(struct log *l, const char *buf, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t k = write(l->fd, buf + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k == 0)
            errno = EIO;
        if (k <= 0)
            break;
        done += (size_t)k;
    }
    if (done > 0)
        l->tail = buf[done - 1];
    if (l->regular)
        l->size += done;
    return done;
}

static void drop(struct log *l, const char *buf, size_t n)
{
    if (n == 0)
        return;
    l->lost += n;
    l->gap += n;
    l->torn = buf[n - 1] != '\n';
}

static void fail(struct log *l, int error, int64_t now)
{
    l->error = l->last_error = error;
    l->retry_at = now + LOG_RETRY_MS;
}

static void backup_name(const struct log *l, unsigned number, char name[PATH_MAX + LOG_SUFFIX])
{
    if (number == 0)
        snprintf(name, PATH_MAX + LOG_SUFFIX, "%s", l->path);
    else
        snprintf(name, PATH_MAX + LOG_SUFFIX, "%s.%u", l->path, number);
}

/* log.1 -> log.2 and so on up to the first free number, then log -> log.1.  Stopping at a gap keeps what lies above it. */
static int shift_backups(const struct log *l)
{
    char from[PATH_MAX + LOG_SUFFIX], to[PATH_MAX + LOG_SUFFIX];
    unsigned top = 1;
    for (; top < l->backups; top++) {
        backup_name(l, top, to);
        if (access(to, F_OK) < 0)
            break;
    }
    for (; top > 0; top--) {
        backup_name(l, top - 1, from);
        backup_name(l, top, to);
        if (rename(from, to) < 0 && errno != ENOENT)
            return errno;
    }
    return 0;
}

/* Returns 0, or the errno that forbade the rotation (the file then grows on and the attempt is repeated a second later).
 * With 0 the new file may still have failed to open: then fd is -1 and errno says why. */
static int rotate(struct log *l, int64_t now)
{
    struct stat st;
    int error = 0;
    bool moved = stat(l->path, &st) < 0 || st.st_dev != l->dev || st.st_ino != l->ino;
    if (l->backups == 0)
        error = ftruncate(l->fd, 0) < 0 ? errno : 0;
    else if (!moved)
        error = shift_backups(l);
    if (error != 0) {
        l->rotate_at = now + ROTATE_RETRY_MS;
        return error;
    }
    l->size = 0;
    l->rotate_due = false;
    l->rotated = l->rotated || !moved;
    if (l->backups > 0) {
        close_file(l);
        (void)open_file(l, now); /* who calls looks at fd */
    }
    return 0;
}

/* How much of buf may go into the file as it stands; 0: rotate first.  After a rotation the answer is never 0. */
static size_t portion(const struct log *l, const char *buf, size_t n, int64_t now)
{
    if (!l->regular || now < l->rotate_at || (!l->rotate_due && (l->max == 0 || l->size + n <= l->max)))
        return n;
    uint64_t limit = l->rotate_due ? l->due_size : l->max;
    size_t room = l->size < limit ? (size_t)(limit - l->size) : 0;
    if (room > n)
        room = n;
    const char *newline = memrchr(buf, '\n', room);
    if (newline != NULL)
        return (size_t)(newline - buf) + 1;
    if (!l->line_open && l->size > 0)
        return 0;
    if (l->size >= limit + LOG_SLACK)
        return 0;
    uint64_t most = limit + LOG_SLACK - l->size;
    newline = memchr(buf + room, '\n', n - room);
    size_t take = newline != NULL ? (size_t)(newline - buf) + 1 : n;
    return take <= most ? take : (size_t)most;
}

/* The first write after a loss: says how much is missing, on a line of its own.  What follows begins at a line start where this chunk
 * has one; the rest of a torn line counts as lost.  Returns the bytes of buf to leave out, or -1 with errno. */
static ssize_t say_loss(struct log *l, const char *buf, size_t n)
{
    char note[NOTE_MAX];
    const char *newline = l->torn ? memchr(buf, '\n', n) : NULL;
    size_t skip = newline != NULL ? (size_t)(newline - buf) + 1 : 0;
    int length = snprintf(note, sizeof note, "%s[guard-shim] lost %llu bytes of %s (%s)\n", l->size > 0 && l->tail != '\n' ? "\n" : "",
                          (unsigned long long)(l->gap + skip), l->stream, strerror(l->error));
    if (length < 0 || put(l, note, (size_t)length) < (size_t)length)
        return -1;
    drop(l, buf, skip);
    l->gap = 0;
    l->error = 0;
    l->torn = false;
    l->line_open = false;
    return (ssize_t)skip;
}

/* Takes the whole chunk: writes it, or counts what it could not write. */
void log_write(struct log *l, const char *buf, size_t n, int64_t now)
{
    if (l->path[0] == '\0' || n == 0)
        return;
    if (l->error != 0 && now < l->retry_at) {
        drop(l, buf, n);
        return;
    }
    if (!usable(l, now))
        goto failed;
    if (l->gap > 0) {
        ssize_t skip = say_loss(l, buf, n);
        if (skip < 0)
            goto failed;
        buf += skip;
        n -= (size_t)skip;
    }
    l->error = 0;
    while (n > 0) {
        size_t take = portion(l, buf, n, now);
        if (take == 0) {
            if (rotate(l, now) == 0 && l->fd < 0)
                goto failed;
            continue;
        }
        size_t done = put(l, buf, take);
        if (done > 0)
            l->line_open = buf[done - 1] != '\n';
        buf += done;
        n -= done;
        if (done < take)
            goto failed;
    }
    return;
failed:
    fail(l, errno, now);
    drop(l, buf, n);
}

/* New path or limits, at once.  The file is opened now so that it exists from the start; if that fails, the first chunk tries again. */
void log_set(struct log *l, const char *path, uint64_t max, unsigned backups, int64_t now)
{
    bool same = strcmp(l->path, path) == 0;
    l->max = max;
    l->backups = backups;
    l->rotate_at = 0;
    if (!same) {
        close_file(l);
        snprintf(l->path, sizeof l->path, "%s", path);
        l->rotate_due = false;
        l->retry_at = 0;
    }
    if (l->path[0] != '\0' && l->fd < 0)
        (void)open_file(l, now); /* an unopened log is no failure until a byte is lost for it */
}

/* The program is gone: its last line has ended, with or without a newline. */
void log_end_run(struct log *l, int64_t now)
{
    l->line_open = false;
    if (l->rotate_due && l->fd >= 0)
        (void)rotate(l, now); /* a failure stays due and is tried again with the next chunk */
}

/* An empty file is left alone: it would only push a full backup out. */
int log_rotate(struct log *l, int64_t now)
{
    if (l->path[0] == '\0')
        return 0;
    l->rotate_at = 0;
    if (!usable(l, now))
        return errno;
    if (!l->regular || l->size == 0)
        return 0;
    if (l->line_open) {
        l->due_size = l->rotate_due ? l->due_size : l->size;
        l->rotate_due = true;
        return 0;
    }
    int error = rotate(l, now);
    return error == 0 && l->fd < 0 ? errno : error;
}

int log_reopen(struct log *l, int64_t now)
{
    close_file(l);
    l->retry_at = 0;
    if (l->path[0] == '\0' || open_file(l, now))
        return 0;
    return errno;
}

int log_clear(struct log *l, int64_t now)
{
    char name[PATH_MAX + LOG_SUFFIX];
    if (l->path[0] == '\0')
        return 0;
    if (!usable(l, now))
        return errno;
    if (!l->regular)
        return 0;
    if (ftruncate(l->fd, 0) < 0)
        return errno;
    l->size = 0;
    l->rotate_due = false;
    l->retry_at = 0;
    for (unsigned number = 1; number <= l->backups; number++) {
        backup_name(l, number, name);
        if (unlink(name) < 0 && errno != ENOENT)
            return errno;
    }
    return 0;
}
