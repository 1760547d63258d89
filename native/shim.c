/* guard-shim: parent of one supervised program.  Runs it when told to, writes its output to the log files, ends its whole process tree,
 * and tells the daemon in one JSON line per event.  It decides nothing.
 *
 *             run                exec done            program died            tree gone, output drained
 *   IDLE ───────────▶ STARTING ───────────▶ RUNNING ───────────────▶ ENDING ───────────────────────────▶ IDLE   (event `exited`)
 *                        │ a step failed                                                                  ▲
 *                        └──────────────▶ FAILED ──────────── child reaped, reply says stage and errno ───┘
 *
 * IDLE: no child.  STARTING, FAILED: one child, not yet or never the program.  RUNNING: `pid` is ours and unreaped, so it and
 * its process group cannot be anyone else's.  ENDING: `pid` is reaped, every descendant is being killed.
 * Protocol: netstring frames in, JSON lines out; src/supervisor/shim.ts is the other end.  Exit codes: 100 called wrongly, 111 the system refused. */
#define _GNU_SOURCE
#include "shim_launch.h"
#include "shim_log.h"
#include "shim_request.h"
#include "shim_run.h"
#include "shim_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PROTOCOL_VERSION = 1,
    KEEP_FRAME = 64 << 10,      /* a buffer that grew past this gives its pages back */
    OUT_MAX = 64 << 10,         /* a daemon that lets more than this wait is disconnected */
    CHUNK = 64 << 10,           /* one read of program output, one write to its log */
    PIPE_BYTES = 256 << 10,
    ROUND_MS = 100,             /* ENDING: look again for children at least this often */
    TELL_MS = 1000,             /* between two log_lost events of one stream */
    IDLE_S = 60,
    ACCEPT_RETRY_US = 1000,
    EXIT_JSON_MAX = 512,
};

enum phase { IDLE, STARTING, FAILED, RUNNING, ENDING };
enum tag { TAG_SIGNAL, TAG_LISTEN, TAG_DAEMON, TAG_EXEC, TAG_STDOUT, TAG_STDERR, TAGS };
struct asker { long long id; unsigned daemon; }; /* who waits for a late reply */

static struct shim {
    enum phase phase;
    pid_t self, pid;
    int epoll, fd[TAGS];
    unsigned daemon;            /* counts connections, so that a late reply never reaches another daemon */
    struct asker run, bye;
    bool hello_due;
    bool blocked;               /* the daemon's socket is full: wait for room */
    struct failure failure;
    struct timespec started, started_at, ended, ended_at;
    int status;
    struct rusage usage;
    struct log log[2];
    bool redirect;
    uint64_t told[2];           /* what the daemon knows of log[i].lost */
    int64_t tell_at[2];
    bool telling[2];            /* a log_ok is owed */
    int64_t round_at, idle_at, idle_ms;
    char exit_json[EXIT_JSON_MAX];
    size_t in_length, out_length;
    struct words words;
    char out[OUT_MAX], chunk[CHUNK];
    struct tree tree;
    _Alignas(4096) char in[FRAME_HEAD + FRAME_MAX + 4096];
} c;

/* ---- time ---- */

static struct timespec clock_now(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t); /* cannot fail: both clocks exist and the pointer is ours */
    return t;
}

static int64_t now_ms(void)
{
    struct timespec t = clock_now(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static double ms(struct timespec t) { return (double)t.tv_sec * 1e3 + (double)(t.tv_nsec / 1000) / 1e3; }
static double tv_ms(struct timeval t) { return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3; }

/* ---- talking to the daemon ---- */

static void watch(enum tag tag, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u32 = tag};
    c.fd[tag] = fd;
    if (epoll_ctl(c.epoll, EPOLL_CTL_ADD, fd, &e) < 0 && (errno != EEXIST || epoll_ctl(c.epoll, EPOLL_CTL_MOD, fd, &e) < 0))
        abort(); /* the kernel is out of memory for a handful of entries; the program ends with us, as with every death of ours */
}

/* Taken out by hand: as long as a child between fork and exec holds a copy, close leaves it in the set, and its end wakes us endlessly. */
static void unwatch(enum tag tag)
{
    if (c.fd[tag] < 0)
        return;
    (void)epoll_ctl(c.epoll, EPOLL_CTL_DEL, c.fd[tag], NULL); /* cannot fail: it is in there */
    close(c.fd[tag]);
    c.fd[tag] = -1;
}

/* shutdown, because a child between fork and exec still holds a copy: if its start hangs, close alone would tell the daemon nothing. */
static void hang_up(void)
{
    if (c.fd[TAG_DAEMON] >= 0)
        (void)shutdown(c.fd[TAG_DAEMON], SHUT_RDWR); /* ENOTCONN: it is gone already */
    unwatch(TAG_DAEMON);
    c.in_length = c.out_length = 0;
    c.hello_due = c.blocked = false;
}

static void flush_out(void)
{
    if (c.fd[TAG_DAEMON] < 0 || c.out_length == 0)
        return;
    ssize_t n = send(c.fd[TAG_DAEMON], c.out, c.out_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up();
        return;
    }
    if (n > 0) {
        memmove(c.out, c.out + n, c.out_length - (size_t)n);
        c.out_length -= (size_t)n;
    }
    if (c.blocked != (c.out_length > 0)) {
        c.blocked = !c.blocked;
        watch(TAG_DAEMON, c.fd[TAG_DAEMON], c.blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

/* Queues one whole line or hangs up: a line is never torn, and nothing ever waits for a daemon that does not read. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list list;
    if (c.fd[TAG_DAEMON] < 0)
        return;
    va_start(list, format);
    int n = vsnprintf(c.out + c.out_length, OUT_MAX - c.out_length, format, list);
    va_end(list);
    if (n < 0 || (size_t)n + 1 >= OUT_MAX - c.out_length) {
        hang_up();
        return;
    }
    c.out_length += (size_t)n;
    c.out[c.out_length++] = '\n';
}

/* error: an errno, or 0 for done. */
static void reply(long long id, const char *stage, int error)
{
    const char *text = strcmp(stage, "user") == 0 && error == ENOENT ? "no such user" : strerror(error);
    if (error == 0)
        say("{\"reply\":%lld,\"ok\":true}", id);
    else
        say("{\"reply\":%lld,\"ok\":false,\"stage\":\"%s\",\"errno\":%d,\"error\":\"%s\"}", id, stage, error, text);
}

static bool still_there(struct asker asker) { return asker.id >= 0 && asker.daemon == c.daemon && c.fd[TAG_DAEMON] >= 0; }

/* The hello object without its closing brace, so that `state` can carry it too. */
static void say_hello(const char *prefix, const char *suffix)
{
    bool runs = c.phase == RUNNING || c.phase == ENDING;
    say("%s{\"event\":\"hello\",\"version\":%d,\"shim\":%d,\"pid\":%d,\"started_ms\":%.3f,\"started_at_ms\":%.3f,\"exit\":%s,"
        "\"lost\":{\"stdout\":%llu,\"stderr\":%llu}}%s",
        prefix, PROTOCOL_VERSION, c.self, runs ? c.pid : 0, runs ? ms(c.started) : 0.0, runs ? ms(c.started_at) : 0.0,
        c.exit_json[0] != '\0' ? c.exit_json : "null", (unsigned long long)c.log[0].lost, (unsigned long long)c.log[1].lost, suffix);
}

/* ---- logs ---- */

/* Tells what happened in a log since the last call: at the first loss at once, then at most once per TELL_MS, and when it is over. */
static void tell_log(int i, int64_t now)
{
    struct log *l = &c.log[i];
    if (l->rotated)
        say("{\"event\":\"rotated\",\"stream\":\"%s\"}", l->stream);
    l->rotated = false;
    if (l->lost != c.told[i] && (l->error != 0 ? now >= c.tell_at[i] : !c.telling[i])) {
        say("{\"event\":\"log_lost\",\"stream\":\"%s\",\"bytes\":%llu,\"error\":\"%s\"}", l->stream, (unsigned long long)l->lost,
            strerror(l->last_error));
        c.telling[i] = true;
        c.told[i] = l->lost;
        c.tell_at[i] = now + TELL_MS;
    }
    if (c.telling[i] && l->error == 0) {
        say("{\"event\":\"log_ok\",\"stream\":\"%s\",\"bytes\":%llu}", l->stream, (unsigned long long)l->lost);
        c.telling[i] = false;
        c.told[i] = l->lost;
    }
}

/* One read, one write.  Returns whether there may be more. */
static bool pump(enum tag tag, int64_t now)
{
    ssize_t n = c.fd[tag] < 0 ? 0 : read(c.fd[tag], c.chunk, CHUNK);
    int i = tag == TAG_STDERR && !c.redirect;
    if (n > 0) {
        log_write(&c.log[i], c.chunk, (size_t)n, now);
        tell_log(i, now);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        unwatch(tag);
    }
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Every writer inside the tree is dead.  A descriptor that was handed to a stranger may still be open: EAGAIN ends the wait for it. */
static void drain(int64_t now)
{
    for (enum tag tag = TAG_STDOUT; tag <= TAG_STDERR; tag++) {
        while (pump(tag, now))
            continue;
        unwatch(tag);
    }
    for (int i = 0; i < 2; i++) {
        log_end_run(&c.log[i], now);
        c.tell_at[i] = 0;
        tell_log(i, now);
    }
}

/* ---- the program's life ---- */

static void leave(int code);

static void write_exit_record(void)
{
    /* A full disk loses the file, not the record: hello carries it from memory. */
    int fd = open("exit.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    size_t length = strlen(c.exit_json);
    bool whole = write(fd, c.exit_json, length) == (ssize_t)length;
    close(fd);
    if (!whole || rename("exit.json.new", "exit.json") < 0)
        (void)unlink("exit.json.new");
}

static void forget_exit_record(void)
{
    (void)unlink("exit.json"); /* gone already is as good */
    c.exit_json[0] = '\0';
}

static void make_exit_record(void)
{
    char signal_text[16] = "null", code_text[16] = "null";
    int number_of = WIFSIGNALED(c.status) ? WTERMSIG(c.status) : 0;
    if (signal_name(number_of) != NULL)
        snprintf(signal_text, sizeof signal_text, "\"%s\"", signal_name(number_of));
    else if (number_of > 0)
        snprintf(signal_text, sizeof signal_text, "\"%d\"", number_of);
    else
        snprintf(code_text, sizeof code_text, "%d", WEXITSTATUS(c.status));
    snprintf(c.exit_json, sizeof c.exit_json,
             "{\"event\":\"exited\",\"pid\":%d,\"code\":%s,\"signal\":%s,\"core\":%s,\"user_ms\":%.3f,\"system_ms\":%.3f,\"max_rss_kb\":%ld,"
             "\"started_ms\":%.3f,\"ended_ms\":%.3f,\"started_at_ms\":%.3f,\"ended_at_ms\":%.3f}",
             c.pid, code_text, signal_text, number_of > 0 && WCOREDUMP(c.status) ? "true" : "false", tv_ms(c.usage.ru_utime),
             tv_ms(c.usage.ru_stime), c.usage.ru_maxrss, ms(c.started), ms(c.ended), ms(c.started_at), ms(c.ended_at));
}

/* The whole tree is gone. */
static void end_run(int64_t now)
{
    bool was_program = c.phase == ENDING;
    drain(now);
    if (was_program) {
        make_exit_record();
        write_exit_record();
        say("%s", c.exit_json);
    } else if (still_there(c.run)) {
        reply(c.run.id, run_stage_name(c.failure.stage), c.failure.error);
    }
    c.phase = IDLE;
    c.pid = 0;
    c.run.id = -1;
    if (c.hello_due)
        say_hello("", "");
    c.hello_due = false;
    if (c.bye.id >= 0)
        leave(0);
}

/* The report pipe has closed (exec succeeded, or the child died before it) or says which step failed. */
static void settle_exec(void)
{
    if (c.phase != STARTING)
        return;
    ssize_t n = read(c.fd[TAG_EXEC], &c.failure, sizeof c.failure);
    if (n < 0 && errno == EAGAIN)
        return;
    unwatch(TAG_EXEC);
    if (n == sizeof c.failure) {
        c.phase = FAILED;
        return;
    }
    c.phase = RUNNING;
    if (still_there(c.run))
        say("{\"reply\":%lld,\"ok\":true,\"pid\":%d}", c.run.id, c.pid);
    if (c.hello_due)
        say_hello("", "");
    c.hello_due = false;
}

/* Called while the dead program is a zombie: its pid, and so its group's number, cannot be anyone else's yet. */
static void bury_program(void)
{
    settle_exec();
    (void)kill(-c.pid, SIGKILL); /* ESRCH: it was alone */
    (void)wait4(c.pid, &c.status, __WALL, &c.usage); /* cannot block or fail: waitid has just shown it dead */
    c.ended = clock_now(CLOCK_MONOTONIC);
    c.ended_at = clock_now(CLOCK_REALTIME);
    if (c.phase == RUNNING)
        c.phase = ENDING;
}

/* While the program lives, orphans live on and are only reaped; when it is dead, this goes on until nobody is left. */
static void reap(int64_t now)
{
    siginfo_t dead;
    for (;;) {
        memset(&dead, 0, sizeof dead);
        if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0) {
            if (c.phase == ENDING || c.phase == FAILED)
                end_run(now);
            return;
        }
        if (dead.si_pid == 0)
            break;
        if (dead.si_pid == c.pid && (c.phase == STARTING || c.phase == FAILED || c.phase == RUNNING)) {
            bury_program();
            continue;
        }
        if (c.phase == ENDING)
            tree_kill_group_of(dead.si_pid);
        (void)waitpid(dead.si_pid, NULL, __WALL); /* as above */
    }
    if (c.phase == ENDING) {
        tree_kill_children(&c.tree);
        c.round_at = now + ROUND_MS;
    }
}

/* ---- verbs ---- */

static int set_logs(const struct request *r, int64_t now)
{
    for (int i = 0; i < 2; i++)
        if (strlen(r->log[i].path) + LOG_SUFFIX > PATH_MAX)
            return ENAMETOOLONG;
    c.redirect = r->value[K_REDIRECT] != NULL && strcmp(r->value[K_REDIRECT], "1") == 0;
    for (int i = 0; i < 2; i++)
        log_set(&c.log[i], i == 1 && c.redirect ? "" : r->log[i].path, (uint64_t)r->log[i].max, (unsigned)r->log[i].backups, now);
    return 0;
}

/* stdout, stderr and the exec report.  With `redirect` both streams share one pipe, so that their order is kept. */
static int make_pipes(int pipes[3][2])
{
    for (int i = 0; i < 3; i++)
        pipes[i][0] = pipes[i][1] = -1;
    for (int i = 0; i < 3; i++) {
        if (i == 1 && c.redirect)
            continue;
        if (pipe2(pipes[i], O_CLOEXEC) < 0 || fcntl(pipes[i][0], F_SETFL, O_NONBLOCK) < 0)
            return errno;
        if (i < 2)
            (void)fcntl(pipes[i][0], F_SETPIPE_SZ, PIPE_BYTES); /* a wish: past the user's quota the pipe stays small */
    }
    return 0;
}

static void close_ends(int pipes[3][2], int end)
{
    for (int i = 0; i < 3; i++)
        if (pipes[i][end] >= 0)
            close(pipes[i][end]);
}

static void do_run(struct request *r, int64_t now)
{
    int pipes[3][2];
    int error = c.phase != IDLE || c.bye.id >= 0 ? EBUSY : r->args == 0 ? EINVAL : 0;
    if (error != 0) {
        reply(r->id, "run", error);
        return;
    }
    error = set_logs(r, now);
    if (error != 0) {
        reply(r->id, "log", error);
        return;
    }
    error = make_pipes(pipes);
    if (error == 0) {
        r->run.argv = c.words.args;
        r->run.environment = c.words.envs;
        r->run.directory = r->value[K_DIR];
        r->run.user = r->value[K_USER];
        r->run.out = pipes[0][1];
        r->run.err = c.redirect ? pipes[0][1] : pipes[1][1];
        r->run.shim = c.self;
        c.started = clock_now(CLOCK_MONOTONIC);
        c.started_at = clock_now(CLOCK_REALTIME);
        c.pid = fork();
        if (c.pid == 0)
            run_exec(&r->run, pipes[2][1]);
        error = c.pid < 0 ? errno : 0;
    }
    close_ends(pipes, 1);
    if (error != 0) {
        reply(r->id, pipes[2][1] >= 0 ? "fork" : "pipe", error);
        close_ends(pipes, 0);
        c.pid = 0;
        return;
    }
    watch(TAG_STDOUT, pipes[0][0], EPOLLIN);
    if (!c.redirect)
        watch(TAG_STDERR, pipes[1][0], EPOLLIN);
    watch(TAG_EXEC, pipes[2][0], EPOLLIN);
    c.phase = STARTING;
    c.run = (struct asker){r->id, c.daemon};
    forget_exit_record();
}

static void do_signal(const struct request *r)
{
    const char *scope = r->value[K_SCOPE] != NULL ? r->value[K_SCOPE] : "process";
    int signal = signal_number(r->value[K_SIGNAL]);
    bool group = strcmp(scope, "group") == 0, tree = strcmp(scope, "tree") == 0;
    int error = signal < 0 || (!group && !tree && strcmp(scope, "process") != 0) ? EINVAL : 0;
    if (error == 0 && c.phase != STARTING && c.phase != RUNNING)
        error = ESRCH;
    if (error == 0 && tree && signal != SIGKILL)
        error = tree_signal(&c.tree, signal);
    /* KILL to the tree is KILL to its head: what follows when the head is dead reaches everyone, whatever they do meanwhile.
     * A child that has no group of its own yet has no children either. */
    else if (error == 0 && (!(group || tree) || kill(-c.pid, signal) < 0) && kill(c.pid, signal) < 0)
        error = errno;
    reply(r->id, "signal", error);
}

static void do_files(const struct request *r, int (*act)(struct log *, int64_t), int64_t now)
{
    const char *stream = r->value[K_STREAM];
    int error = stream != NULL && strcmp(stream, "stdout") != 0 && strcmp(stream, "stderr") != 0 ? EINVAL : 0;
    for (int i = 0; i < 2 && error != EINVAL; i++) {
        if (stream != NULL && strcmp(stream, c.log[i].stream) != 0)
            continue;
        int wrong = act(&c.log[i], now);
        error = error != 0 ? error : wrong;
        tell_log(i, now);
    }
    reply(r->id, "log", error);
}

static void do_state(const struct request *r)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "{\"reply\":%lld,\"ok\":true,\"hello\":", r->id);
    say_hello(prefix, "}");
}

static void do_bye(const struct request *r)
{
    c.bye = (struct asker){r->id, c.daemon};
    if (c.phase == IDLE)
        leave(0); /* ENDING: everyone is being killed already, and the pid is no longer ours */
    if (c.phase == ENDING)
        return;
    (void)kill(-c.pid, SIGKILL); /* ESRCH: no group of its own yet */
    (void)kill(c.pid, SIGKILL);
}

static void act_on(struct request *r, int64_t now)
{
    if (strcmp(r->verb, "run") == 0) {
        do_run(r, now);
    } else if (strcmp(r->verb, "logs") == 0) {
        reply(r->id, "log", set_logs(r, now));
    } else if (strcmp(r->verb, "signal") == 0) {
        do_signal(r);
    } else if (strcmp(r->verb, "rotate") == 0) {
        do_files(r, log_rotate, now);
    } else if (strcmp(r->verb, "reopen") == 0) {
        do_files(r, log_reopen, now);
    } else if (strcmp(r->verb, "clear") == 0) {
        do_files(r, log_clear, now);
    } else if (strcmp(r->verb, "state") == 0) {
        do_state(r);
    } else if (strcmp(r->verb, "took") == 0) {
        forget_exit_record();
        reply(r->id, "took", 0);
    } else if (strcmp(r->verb, "bye") == 0) {
        do_bye(r);
    } else {
        reply(r->id, "verb", ENOSYS);
    }
}

/* ---- frames and connections ---- */

static void refuse_peer(const char *why)
{
    say("{\"event\":\"error\",\"error\":\"%s\"}", why);
    flush_out();
    hang_up();
}

/* Acts on every whole frame in the buffer and keeps the rest. */
static void serve_frames(int64_t now)
{
    int found;
    unsigned daemon = c.daemon;
    size_t at = 0, head = 0, payload = 0;
    while ((found = find_frame(c.in + at, c.in_length - at, &head, &payload)) > 0) {
        struct request r;
        int error = read_request(&r, &c.words, c.in + at + head, payload);
        at += head + payload + 1;
        if (r.id < 0) {
            refuse_peer("request without a usable id");
            return;
        }
        if (error != 0)
            reply(r.id, "request", error);
        else
            act_on(&r, now);
        if (c.daemon != daemon || c.fd[TAG_DAEMON] < 0)
            return;
    }
    if (found < 0) {
        refuse_peer("not a frame");
        return;
    }
    memmove(c.in, c.in + at, c.in_length - at);
    c.in_length -= at;
    if (at > KEEP_FRAME && c.in_length == 0)
        (void)madvise(c.in, sizeof c.in, MADV_DONTNEED); /* if it fails, the pages just stay */
}

static void hear_daemon(int64_t now)
{
    if (c.fd[TAG_DAEMON] < 0)
        return;
    ssize_t n = recv(c.fd[TAG_DAEMON], c.in + c.in_length, FRAME_HEAD + FRAME_MAX + 1 - c.in_length, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        n == 0 && c.in_length > 0 ? refuse_peer("torn frame") : hang_up();
        return;
    }
    c.in_length += (size_t)n;
    serve_frames(now);
}

/* The newest daemon is the daemon. */
static void meet_daemon(void)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    int fd = accept4(c.fd[TAG_LISTEN], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED)
            usleep(ACCEPT_RETRY_US); /* the machine is out of files or memory: try again, but do not spin */
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || (peer.uid != geteuid() && peer.uid != 0)) {
        close(fd);
        return;
    }
    hang_up();
    c.daemon++;
    watch(TAG_DAEMON, fd, EPOLLIN);
    c.hello_due = c.phase == STARTING || c.phase == FAILED;
    if (!c.hello_due)
        say_hello("", "");
}

/* ---- the loop ---- */

static void leave(int code)
{
    (void)unlink("shim.sock"); /* the directory may be gone already, in these three */
    if (c.bye.id >= 0)
        forget_exit_record();
    (void)unlink("lock");
    if (still_there(c.bye))
        reply(c.bye.id, "bye", 0);
    flush_out();
    exit(code);
}

static int64_t earlier(int64_t at, int64_t other) { return at < 0 || other < at ? other : at; }

/* Does what is due.  Returns the ms until the next thing is, or -1: an idle shim never wakes up. */
static int keep_time(int64_t now)
{
    int64_t at = -1;
    if (c.phase == ENDING && now >= c.round_at)
        reap(now); /* a signal for a child that could not be killed yet never comes; look again */
    if (c.phase == ENDING)
        at = earlier(at, c.round_at);
    for (int i = 0; i < 2; i++) {
        if (c.log[i].lost != c.told[i])
            tell_log(i, now);
        if (c.log[i].lost != c.told[i])
            at = earlier(at, c.tell_at[i]);
    }
    if (c.phase != IDLE || c.fd[TAG_DAEMON] >= 0) {
        c.idle_at = -1;
    } else {
        if (c.idle_at < 0)
            c.idle_at = now + c.idle_ms;
        if (now >= c.idle_at)
            leave(0);
        at = earlier(at, c.idle_at);
    }
    return at < 0 ? -1 : at <= now ? 0 : (int)(at - now);
}

static void take_signals(void)
{
    struct signalfd_siginfo info[8];
    while (read(c.fd[TAG_SIGNAL], info, sizeof info) > 0)
        continue; /* who died is waitid's to say: signals of one kind merge */
}

static _Noreturn void work(void)
{
    struct epoll_event events[TAGS];
    for (;;) {
        int count = epoll_wait(c.epoll, events, TAGS, keep_time(now_ms()));
        int64_t now = now_ms();
        for (int i = 0; i < count; i++) {
            switch ((enum tag)events[i].data.u32) {
            case TAG_SIGNAL: take_signals(); reap(now); break;
            case TAG_LISTEN: meet_daemon(); break;
            case TAG_DAEMON: hear_daemon(now); break;
            case TAG_EXEC: settle_exec(); break;
            case TAG_STDOUT: case TAG_STDERR: pump((enum tag)events[i].data.u32, now); break;
            case TAGS: break;
            }
        }
        flush_out();
    }
}

/* ---- becoming a shim ---- */

/* Returns NULL when it listens, or the stage that failed, with errno.  *alive: another shim has this directory. */
static const char *become_shim(const char *dir, bool *alive)
{
    const char *idle = getenv("GUARD_SHIM_IDLE_S");
    long long idle_s = IDLE_S;
    if (idle != NULL && !read_number(idle, 1, 86400, &idle_s))
        idle_s = IDLE_S;
    c.self = getpid();
    c.idle_at = c.run.id = c.bye.id = -1;
    c.idle_ms = idle_s * 1000;
    for (int tag = 0; tag < TAGS; tag++)
        c.fd[tag] = -1;
    log_init(&c.log[0], "stdout");
    log_init(&c.log[1], "stderr");
    struct place place;
    const char *stage = take_place(dir, &place);
    *alive = place.alive;
    if (stage != NULL || place.alive)
        return stage;
    c.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c.epoll < 0)
        return "epoll";
    watch(TAG_SIGNAL, place.signals, EPOLLIN);
    watch(TAG_LISTEN, place.listener, EPOLLIN);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct life life = {become_shim, work};
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: guard-shim DIR [DIR ...]\nMakes one shim per directory; autodl-guard calls it, people need not.\n");
        return EXIT_USAGE;
    }
    return launch(&life, argc, argv);
}
