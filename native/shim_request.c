/* Reads request frames: everything in them is input, nothing is taken on trust, nothing is copied. */
#include "shim_request.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const key_names[KEYS] = {
    "id", "dir", "user", "umask", "nice", "oom", "signal", "scope", "stream", "stdout", "stdout_max", "stdout_backups",
    "stderr", "stderr_max", "stderr_backups", "redirect",
};
static const char *const signal_names[] = {
    "0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
    "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
};
enum { SIGNAL_NAMES = sizeof signal_names / sizeof *signal_names };
int find_frame(const char *in, size_t length, size_t *head, size_t *payload)
{
    size_t digits = 0, value = 0;
    while (digits < length && in[digits] >= '0' && in[digits] <= '9' && digits < FRAME_HEAD)
        value = value * 10 + (size_t)(in[digits++] - '0');
    if (digits == FRAME_HEAD || (digits > 1 && in[0] == '0') || value > FRAME_MAX)
        return -1;
    if (digits == length)
        return 0;
    if (digits == 0 || in[digits] != ':')
        return -1;
    *head = digits + 1;
    *payload = value;
    if (length < *head + value + 1)
        return 0;
    return in[*head + value] == ',' ? 1 : -1;
}

bool read_number(const char *text, long long least, long long most, long long *out)
{
    char *end;
    if (text == NULL || *text == '\0' || *text == ' ' || *text == '+')
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && *out >= least && *out <= most;
}

int signal_number(const char *text)
{
    long long n;
    if (text == NULL)
        return -1;
    for (int i = 1; i < SIGNAL_NAMES; i++)
        if (strcmp(text, signal_names[i]) == 0)
            return i;
    return read_number(text, 1, LAST_SIGNAL, &n) ? (int)n : -1;
}

const char *signal_name(int number) { return number > 0 && number < SIGNAL_NAMES ? signal_names[number] : NULL; }

static int add_word(char **words, size_t *count, char *word)
{
    if (*count == WORDS_MAX)
        return E2BIG;
    words[(*count)++] = word;
    return 0;
}

static int read_field(struct request *r, struct words *words, char *field)
{
    char *value = strchr(field, '=');
    if (value == NULL)
        return EINVAL;
    *value++ = '\0';
    if (strcmp(field, "arg") == 0)
        return add_word(words->args, &r->args, value);
    if (strcmp(field, "env") == 0)
        return strchr(value, '=') != NULL ? add_word(words->envs, &r->envs, value) : EINVAL;
    if (strcmp(field, "limit") == 0)
        return run_add_limit(&r->run, value);
    for (int key = 0; key < KEYS; key++) {
        if (strcmp(field, key_names[key]) != 0)
            continue;
        if (r->value[key] != NULL)
            return EINVAL;
        r->value[key] = value;
        return 0;
    }
    return EINVAL;
}

static bool optional_number(const struct request *r, enum key key, long long least, long long most, long long *out)
{
    return r->value[key] == NULL || read_number(r->value[key], least, most, out);
}

/* Returns 0 or EINVAL. */
static int read_numbers(struct request *r)
{
    long long nice = 0, oom = 0, mask = 0;
    bool right = optional_number(r, K_NICE, -20, 19, &nice) && optional_number(r, K_OOM, -1000, 1000, &oom) &&
                 optional_number(r, K_UMASK, 0, 0777, &mask);
    r->run.has_nice = r->value[K_NICE] != NULL;
    r->run.has_oom = r->value[K_OOM] != NULL;
    r->run.has_umask = r->value[K_UMASK] != NULL;
    r->run.nice = (int)nice;
    r->run.oom = (int)oom;
    r->run.umask = (mode_t)mask;
    for (int i = 0; i < 2; i++) {
        static const enum key keys[2][3] = {{K_STDOUT, K_STDOUT_MAX, K_STDOUT_BACKUPS}, {K_STDERR, K_STDERR_MAX, K_STDERR_BACKUPS}};
        r->log[i].path = r->value[keys[i][0]] != NULL ? r->value[keys[i][0]] : "";
        right = right && optional_number(r, keys[i][1], 0, INT64_MAX, &r->log[i].max) &&
                optional_number(r, keys[i][2], 0, BACKUPS_MAX, &r->log[i].backups);
    }
    return right ? 0 : EINVAL;
}

int read_request(struct request *r, struct words *words, char *payload, size_t length)
{
    int error = 0;
    memset(r, 0, sizeof *r);
    r->verb = payload;
    payload[length] = '\0'; /* where the frame's comma was */
    for (char *field = payload + strlen(payload) + 1; field <= payload + length;) {
        char *next = field + strlen(field) + 1;
        int wrong = read_field(r, words, field);
        error = error != 0 ? error : wrong;
        field = next;
    }
    if (!read_number(r->value[K_ID], 0, INT64_MAX, &r->id))
        r->id = -1;
    words->args[r->args] = words->envs[r->envs] = NULL;
    int wrong = read_numbers(r);
    return error != 0 ? error : wrong;
}
