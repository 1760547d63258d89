/* The bench's own clients, where wrk and h2load cannot say what is asked for: they check every answer and print one JSON line.
 *
 *   load rate PORT PATH CONNECTIONS SECONDS RATE AUTHORIZATION   gRPC-shaped h2c calls on a fixed schedule; times count from when a call was due
 *   load ws PORT PATH CONNECTIONS SECONDS 0 AUTHORIZATION        WebSocket echoes of 32 bytes, one under way per connection
 *   load idle-h1|idle-h2 PORT PATH CONNECTIONS 0 0 AUTHORIZATION one request on each connection, then "idle", then silence until stdin ends
 *
 * The header table is announced as empty, so that "200" and "grpc-status: 0" can be told without decoding a table. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES = 1 << 16, RING = 1 << 12, CONNECT_BATCH = 64 };
enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, MAX_CONCURRENT_STREAMS = 3 };
enum mode { RATE, WEBSOCKET, IDLE_H1, IDLE_H2 };

struct call {
  uint32_t id;
  int ok;
  uint64_t due_ns;
};

struct connection {
  int fd, greeted;
  uint32_t next_id, open, limit;
  uint64_t due, begun;
  size_t in_end;
  uint64_t due_ns;
  struct call *calls;
  uint8_t in[IN_BYTES];
};

static enum mode mode;
static const char *path, *authorization;
static int count, port, poll_fd, switched;
static struct connection *all;
static uint64_t begun_ns, interval_ns, sent, done, errors, samples, room;
static float *times_ms;

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(111);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void transmit(struct connection *c, const void *bytes, size_t length) {
  if (send(c->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) die("send");
}

static void finished(uint64_t due_ns, int ok) {
  done++;
  if (!ok) errors++;
  if (samples == room && (times_ms = realloc(times_ms, (room = room * 2 + 4096) * sizeof *times_ms)) == NULL) die("realloc");
  times_ms[samples++] = (now_ns() - due_ns) / 1e6;
}

static size_t frame(uint8_t *to, int type, int flags, uint32_t id, const void *payload, size_t length) {
  uint8_t head[9] = {0, length >> 8, length, type, flags, id >> 24, id >> 16, id >> 8, id};
  memcpy(to, head, 9);
  memcpy(to + 9, payload, length);
  return 9 + length;
}

static size_t field(uint8_t *to, const char *prefix, size_t prefix_length, const char *value) {
  size_t length = strlen(value);
  memcpy(to, prefix, prefix_length);
  to[prefix_length] = length;
  memcpy(to + prefix_length + 1, value, length);
  return prefix_length + 1 + length;
}

/* POST PATH with 20 bytes of message: the whole call in one write. */
static void call(struct connection *c, uint64_t due_ns) {
  static uint8_t block[256];
  static size_t block_length;
  if (block_length == 0) {
    char authority[32];
    snprintf(authority, sizeof authority, "127.0.0.1:%d", port);
    block_length = 2 + field(memcpy(block, "\x83\x86", 2) + 2, "\x04", 1, path);
    block_length += field(block + block_length, "\x01", 1, authority);
    block_length += field(block + block_length, "\x0f\x10", 2, "application/grpc");
    block_length += field(block + block_length, "\0\2te", 4, "trailers");
    block_length += field(block + block_length, "\x0f\x08", 2, authorization);
  }
  uint8_t bytes[512], message[20] = {0, 0, 0, 0, 15};
  size_t length = frame(bytes, HEADERS, 0x4, c->next_id, block, block_length);
  length += frame(bytes + length, DATA, 0x1, c->next_id, message, sizeof message);
  struct call *slot = &c->calls[(c->next_id >> 1) % RING];
  if (slot->id != 0) errno = ENOBUFS, die("calls without an answer");
  *slot = (struct call){c->next_id, 0, due_ns};
  c->next_id += 2, c->open++, sent++;
  transmit(c, bytes, length);
}

/* Calls that are due, as many as the peer lets us have open; those that wait lose no time of theirs. */
static void pump(struct connection *c) {
  for (uint64_t place = c - all; c->begun < c->due && c->open < c->limit; c->begun++)
    call(c, begun_ns + (c->begun * count + place + 1) * interval_ns);
}

static void greet(struct connection *c) {
  char text[512];
  if (mode == RATE || mode == IDLE_H2) {
    size_t length = sprintf(text, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    length += frame((uint8_t *)text + length, SETTINGS, 0, 0, "\0\1\0\0\0\0\0\2\0\0\0\0", 12);
    length += frame((uint8_t *)text + length, 8, 0, 0, "\x3f\0\0\0", 4);
    transmit(c, text, length);
  } else {
    static const char UPGRADE[] = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const char *form = "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: %s\r\n%s\r\n";
    transmit(c, text, snprintf(text, sizeof text, form, path, port, authorization, mode == WEBSOCKET ? UPGRADE : ""));
  }
}

static int holds(const uint8_t *in, size_t length, const char *what, size_t what_length) {
  return memmem(in, length, what, what_length) != NULL;
}

/* Both spellings of each: plain and Huffman-coded (RFC 7541, appendix B). */
static int has_grpc_ok(const uint8_t *block, size_t length) {
  static const char *const SPELLINGS[] = {"\013grpc-status\0010", "\013grpc-status\x81\x07", "\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\0010",
                                          "\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x81\x07"};
  for (int each = 0; each < 4; each++)
    if (holds(block, length, SPELLINGS[each], strlen(SPELLINGS[each]))) return 1;
  return 0;
}

static int has_200(const uint8_t *block, size_t length) {
  size_t at = 0;
  while (at < length && (block[at] & 0xe0) == 0x20) at++;
  return at < length && block[at] == 0x88;
}

static void on_frame(struct connection *c, int type, int flags, uint32_t id, const uint8_t *payload, size_t length) {
  if (type == SETTINGS && !(flags & 1)) {
    for (size_t at = 0; at + 6 <= length; at += 6)
      if (payload[at + 1] == MAX_CONCURRENT_STREAMS) memcpy(&c->limit, payload + at + 2, 4), c->limit = ntohl(c->limit);
    transmit(c, "\0\0\0\4\1\0\0\0\0", 9);
  }
  if (type == PING && !(flags & 1)) {
    uint8_t bytes[17];
    transmit(c, bytes, frame(bytes, PING, 1, 0, payload, 8));
  }
  if (type == GOAWAY) errno = ECONNRESET, die("GOAWAY");
  struct call *slot = &c->calls[(id >> 1) % RING];
  if (id == 0 || slot->id != id) return;
  if (type == HEADERS && slot->ok == 0) slot->ok = has_200(payload, length) ? 1 : -1;
  int ends = (type == HEADERS || type == DATA) && (flags & 1);
  if (!ends && type != RST_STREAM) return;
  slot->id = 0, c->open--;
  finished(slot->due_ns, type == HEADERS && slot->ok == 1 && has_grpc_ok(payload, length));
}

static size_t on_http2(struct connection *c) {
  size_t at = 0;
  while (c->in_end - at >= 9) {
    const uint8_t *head = c->in + at;
    size_t length = (size_t)head[0] << 16 | head[1] << 8 | head[2];
    if (c->in_end - at < 9 + length) break;
    on_frame(c, head[3], head[4], (head[5] & 0x7fu) << 24 | head[6] << 16 | head[7] << 8 | head[8], head + 9, length);
    at += 9 + length;
  }
  pump(c);
  return at;
}

static size_t on_http1(struct connection *c) {
  if (!holds(c->in, c->in_end, "hello, world!!\n", 15)) return 0;
  finished(c->due_ns, memcmp(c->in, "HTTP/1.1 200", 12) == 0);
  return c->in_end;
}

/* The mask is all zeros: 32 masked bytes are the 32 bytes. */
static void say(struct connection *c) {
  uint8_t bytes[38] = {0x81, 0x80 | 32};
  memcpy(bytes + 6, "thirty-two bytes for each message", 32);
  c->due_ns = now_ns();
  sent++;
  transmit(c, bytes, sizeof bytes);
}

static size_t on_websocket(struct connection *c) {
  if (!c->greeted) {
    const uint8_t *end = memmem(c->in, c->in_end, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    if (memcmp(c->in, "HTTP/1.1 101", 12) != 0) errno = EPROTO, die("no 101");
    c->greeted = 1;
    switched++;
    return end - c->in + 4;
  }
  if (c->in_end < 34) return 0;
  finished(c->due_ns, memcmp(c->in, "\x81\x20thirty-two bytes for each message", 34) == 0);
  say(c);
  return 34;
}

static void on_bytes(struct connection *c) {
  ssize_t got = recv(c->fd, c->in + c->in_end, IN_BYTES - c->in_end, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) die("a connection was closed");
  c->in_end += got;
  size_t used = mode == WEBSOCKET ? on_websocket(c) : mode == IDLE_H1 ? on_http1(c) : on_http2(c);
  memmove(c->in, c->in + used, c->in_end - used);
  c->in_end -= used;
}

static void open_one(struct connection *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event event = {EPOLLIN, {.ptr = c}};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl");
  c->next_id = 1, c->limit = UINT32_MAX, c->due_ns = now_ns();
  if ((mode == RATE || mode == IDLE_H2) && (c->calls = calloc(RING, sizeof *c->calls)) == NULL) die("calloc");
  greet(c);
}

/* Returns when nothing came for this long.  < 0: waits for something. */
static int turn(int wait_ms) {
  struct epoll_event ready[256];
  int got = epoll_wait(poll_fd, ready, 256, wait_ms), timer = 0;
  for (int at = 0; at < got; at++)
    if (ready[at].data.ptr == NULL) timer = 1;
    else on_bytes(ready[at].data.ptr);
  return got == 0 ? -1 : timer;
}

static void run_rate(double seconds, double rate) {
  uint64_t total = seconds * rate, due = 0, ticks;
  interval_ns = 1e9 / rate;
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &event);
  struct itimerspec every = {{0, interval_ns}, {0, interval_ns}};
  timerfd_settime(timer, 0, &every, NULL);
  while (done < total) {
    if (turn(10000) < 0) errno = ETIMEDOUT, die("no answer");
    if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timerfd");
    for (; due < total && begun_ns + (due + 1) * interval_ns <= now_ns(); due++) {
      all[due % count].due++;
      pump(&all[due % count]);
    }
    if (due == total) timerfd_settime(timer, 0, &(struct itimerspec){0}, NULL);
  }
}

static void run_idle(void) {
  while (done < (uint64_t)count)
    if (turn(10000) < 0) errno = ETIMEDOUT, die("no answer");
  printf("idle\n"), fflush(stdout);
  while (getchar() != EOF) continue;
}

static int by_size(const void *a, const void *b) { return (*(const float *)a > *(const float *)b) - (*(const float *)a < *(const float *)b); }

static double part(double share) { return samples == 0 ? 0 : times_ms[(uint64_t)(share * (samples - 1))]; }

int main(int words, char **word) {
  if (words != 8) return fprintf(stderr, "usage: load rate|ws|idle-h1|idle-h2 PORT PATH CONNECTIONS SECONDS RATE AUTHORIZATION\n"), 100;
  mode = strcmp(word[1], "rate") == 0 ? RATE : strcmp(word[1], "ws") == 0 ? WEBSOCKET : strcmp(word[1], "idle-h1") == 0 ? IDLE_H1 : IDLE_H2;
  port = atoi(word[2]), path = word[3], count = atoi(word[4]), authorization = word[7], poll_fd = epoll_create1(0);
  double seconds = atof(word[5]);
  if ((all = calloc(count, sizeof *all)) == NULL) die("calloc");
  for (int each = 0; each < count; each++) {
    open_one(&all[each]);
    if (mode == IDLE_H2) call(&all[each], now_ns());
    if (each % CONNECT_BATCH == 0) turn(1);
  }
  for (uint64_t until = now_ns() + 50000000; mode == RATE && now_ns() < until;) turn(10);
  while (mode == WEBSOCKET && switched < count)
    if (turn(10000) < 0) errno = ETIMEDOUT, die("no 101");
  begun_ns = now_ns();
  if (mode == RATE) run_rate(seconds, atof(word[6]));
  else if (mode == WEBSOCKET) {
    for (int each = 0; each < count; each++) say(&all[each]);
    while (now_ns() - begun_ns < seconds * 1e9)
      if (turn(10000) < 0) errno = ETIMEDOUT, die("no answer");
  } else run_idle();
  double took = (now_ns() - begun_ns) / 1e9;
  qsort(times_ms, samples, sizeof *times_ms, by_size);
  printf("{\"requests\":%lu,\"errors\":%lu,\"seconds\":%.6f,\"p50Ms\":%.4f,\"p99Ms\":%.4f,\"p999Ms\":%.4f}\n", done, errors, took, part(0.5), part(0.99),
         part(0.999));
}
