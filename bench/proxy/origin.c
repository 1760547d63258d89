/* The backend of every proxy in the bench: answers HTTP/1, h2c (with gRPC trailers) and WebSocket echoes on one port, for a few µs each.
 *
 *   origin PORT REPLY_BYTES     prints "ready" and serves until it is killed
 *
 * It knows its clients: it never decodes a header (replies do not depend on the request), so what it costs is the system calls.
 * Its h2 replies index content-type and grpc-status like real servers do, unless the proxy forbids it (nginx announces a table of 0). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_BYTES = 1 << 17, OUT_BYTES = 1 << 18, SLOTS = 4096, FRAME_BYTES = 16384, STREAM_WINDOW = 4 << 20, GRANT_BYTES = 1 << 20 };
enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum mode { SNIFFING, HTTP1, HTTP2, WEBSOCKET };

/* What is still to be sent on a stream; free where left == -1 and id == 0. */
struct stream {
  uint32_t id;
  int64_t window, left;
};

struct connection {
  int fd, waiting, first, literal, announce_empty, over;
  enum mode mode;
  size_t in_end, out_start, out_end;
  int64_t window, stream_window, taken;
  int pending;
  uint32_t pending_ids[SLOTS];
  struct stream *streams;
  uint8_t in[IN_BYTES], out[OUT_BYTES];
};

static int poll_fd;
static int64_t reply_bytes;
static uint8_t zeros[FRAME_BYTES];

static void die(const char *what) {
  fprintf(stderr, "origin: %s: %s\n", what, strerror(errno));
  exit(111);
}

static void put(struct connection *c, const void *bytes, size_t length) {
  if (c->out_end + length > OUT_BYTES) {
    memmove(c->out, c->out + c->out_start, c->out_end - c->out_start);
    c->out_end -= c->out_start;
    c->out_start = 0;
    if (c->out_end + length > OUT_BYTES) errno = ENOBUFS, die("a client that does not read");
  }
  memcpy(c->out + c->out_end, bytes, length);
  c->out_end += length;
}

static void put_frame(struct connection *c, int type, int flags, uint32_t id, const void *payload, size_t length) {
  uint8_t head[9] = {length >> 16, length >> 8, length, type, flags, id >> 24, id >> 16, id >> 8, id};
  put(c, head, 9);
  put(c, payload, length);
}

static void put_number(struct connection *c, int type, uint32_t id, uint32_t value) {
  uint8_t payload[4] = {value >> 24, value >> 16, value >> 8, value};
  put_frame(c, type, 0, id, payload, 4);
}

/* :status 200, content-type application/grpc. Small replies come in one piece, so the table is the same for every one after the first. */
static void put_head(struct connection *c, uint32_t id) {
  uint8_t block[32];
  size_t n = 0;
  if (c->announce_empty) block[n++] = 0x20, c->announce_empty = 0;
  block[n++] = 0x88;
  if (!c->literal && !c->first) block[n++] = 0xbf;
  else {
    if (c->literal) block[n++] = 0x0f, block[n++] = 0x10;
    else block[n++] = 0x5f;
    block[n++] = 16;
    memcpy(block + n, "application/grpc", 16);
    n += 16;
  }
  put_frame(c, HEADERS, 0x4, id, block, n);
}

static void put_trailers(struct connection *c, uint32_t id) {
  if (!c->literal && !c->first) put_frame(c, HEADERS, 0x5, id, "\xbe", 1);
  else put_frame(c, HEADERS, 0x5, id, c->literal ? "\0\013grpc-status\0010" : "\100\013grpc-status\0010", 15);
  c->first = 0;
}

static struct stream *stream_of(struct connection *c, uint32_t id) {
  struct stream *s = &c->streams[(id >> 1) % SLOTS];
  return s->id == id ? s : NULL;
}

static struct stream *open_stream(struct connection *c, uint32_t id) {
  struct stream *s = &c->streams[(id >> 1) % SLOTS];
  if (s->id != 0) errno = EMFILE, die("more streams than announced");
  *s = (struct stream){id, c->stream_window, -1};
  return s;
}

/* One gRPC message: 5 bytes of head, then zeros. */
static void reply(struct connection *c, struct stream *s) {
  put_head(c, s->id);
  if (reply_bytes > FRAME_BYTES) {
    s->left = reply_bytes;
    c->pending_ids[c->pending++] = s->id;
    return;
  }
  uint8_t message[FRAME_BYTES] = {0, 0, 0, (reply_bytes - 5) >> 8, reply_bytes - 5};
  put_frame(c, DATA, 0, s->id, message, reply_bytes);
  put_trailers(c, s->id);
  s->id = 0;
}

/* Large replies: a frame of each in turn, as far as windows and the buffer go. */
static void continue_replies(struct connection *c) {
  for (int moved = 1; moved && c->pending > 0;) {
    moved = 0;
    for (int at = 0; at < c->pending; at++) {
      struct stream *s = stream_of(c, c->pending_ids[at]);
      if (s != NULL && (s->window <= 0 || c->window <= 0)) continue;
      if (c->out_end - c->out_start > OUT_BYTES - 4 * FRAME_BYTES) return;
      if (s != NULL) {
        int64_t part = s->left < FRAME_BYTES ? s->left : FRAME_BYTES;
        if (part > s->window) part = s->window;
        if (part > c->window) part = c->window;
        uint8_t head[5] = {0, (reply_bytes - 5) >> 24, (reply_bytes - 5) >> 16, (reply_bytes - 5) >> 8, reply_bytes - 5};
        if (s->left == reply_bytes && part >= 5) memcpy(zeros, head, 5);
        put_frame(c, DATA, 0, s->id, zeros, part);
        memset(zeros, 0, 5);
        s->left -= part, s->window -= part, c->window -= part, moved = 1;
        if (s->left > 0) continue;
        put_trailers(c, s->id);
        s->id = 0;
      }
      c->pending_ids[at--] = c->pending_ids[--c->pending];
    }
  }
}

static uint32_t number(const uint8_t *at) { return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }

static void settings(struct connection *c, const uint8_t *payload, size_t length) {
  for (size_t at = 0; at + 6 <= length; at += 6) {
    int64_t value = number(payload + at + 2);
    if (payload[at + 1] == 1 && value < 256) c->literal = c->announce_empty = 1;
    if (payload[at + 1] != 4) continue;
    for (int slot = 0; slot < SLOTS; slot++) c->streams[slot].window += value - c->stream_window;
    c->stream_window = value;
  }
  put_frame(c, SETTINGS, 1, 0, "", 0);
}

static void on_frame(struct connection *c, int type, int flags, uint32_t id, const uint8_t *payload, size_t length) {
  struct stream *s = id == 0 ? NULL : stream_of(c, id);
  if (type == SETTINGS && !(flags & 1)) settings(c, payload, length);
  if (type == PING && !(flags & 1)) put_frame(c, PING, 1, 0, payload, 8);
  if (type == WINDOW_UPDATE && id == 0) c->window += number(payload);
  if (type == WINDOW_UPDATE && s != NULL) s->window += number(payload);
  if (type == RST_STREAM && s != NULL) s->id = 0;
  if (type == DATA && (c->taken += length) >= GRANT_BYTES) put_number(c, WINDOW_UPDATE, 0, c->taken), c->taken = 0;
  if (type == HEADERS && s == NULL) s = open_stream(c, id);
  if ((type == HEADERS || type == DATA) && (flags & 1) && s != NULL) reply(c, s);
}

static size_t on_http2(struct connection *c) {
  size_t at = 0;
  while (c->in_end - at >= 9) {
    const uint8_t *head = c->in + at;
    size_t length = (size_t)head[0] << 16 | head[1] << 8 | head[2];
    if (length > FRAME_BYTES) errno = EPROTO, die("a frame that is too long");
    if (c->in_end - at < 9 + length) break;
    on_frame(c, head[3], head[4], number(head + 5) & 0x7fffffff, head + 9, length);
    at += 9 + length;
  }
  continue_replies(c);
  return at;
}

/* The bench's client sends the key of RFC 6455's example; its answer stands there too. */
static const char SWITCHING[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char HELLO[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 15\r\n\r\nhello, world!!\n";

static size_t on_http1(struct connection *c) {
  size_t at = 0;
  while (c->mode == HTTP1) {
    const uint8_t *end = memmem(c->in + at, c->in_end - at, "\r\n\r\n", 4);
    if (end == NULL) break;
    c->in[end - c->in] = 0;
    if (strcasestr((char *)c->in + at, "\nupgrade: websocket") != NULL) c->mode = WEBSOCKET, put(c, SWITCHING, sizeof SWITCHING - 1);
    else put(c, HELLO, sizeof HELLO - 1);
    at = end - c->in + 4;
  }
  return at;
}

/* Short masked frames, as the bench's client sends them; anything else (Caddy says goodbye for a client that left) ends the connection. */
static size_t on_websocket(struct connection *c) {
  size_t at = 0;
  while (c->in_end - at >= 6) {
    uint8_t *frame = c->in + at, length = frame[1] & 0x7f;
    if (length > 125 || !(frame[1] & 0x80) || frame[0] == 0x88) return c->over = 1, at;
    if (c->in_end - at < 6u + length) break;
    for (int each = 0; each < length; each++) frame[6 + each] ^= frame[2 + each % 4];
    put(c, (uint8_t[]){frame[0], length}, 2);
    put(c, frame + 6, length);
    at += 6 + length;
  }
  return at;
}

static size_t on_start(struct connection *c) {
  static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  if (c->in_end < 24) return 0;
  c->mode = memcmp(c->in, PREFACE, 24) == 0 ? HTTP2 : HTTP1;
  if (c->mode == HTTP1) return 0;
  c->streams = calloc(SLOTS, sizeof(struct stream));
  if (c->streams == NULL) die("calloc");
  put_frame(c, SETTINGS, 0, 0, (uint8_t[]){0, 3, 0, 0, 4, 0, 0, 4, 0, STREAM_WINDOW >> 16, 0, 0}, 12);
  put_number(c, WINDOW_UPDATE, 0, 64 << 20);
  return 24;
}

static int flush(struct connection *c) {
  while (c->out_end > c->out_start) {
    ssize_t sent = send(c->fd, c->out + c->out_start, c->out_end - c->out_start, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return -1;
    if (sent < 0) break;
    c->out_start += sent;
    if (c->out_start == c->out_end) c->out_start = c->out_end = 0;
    if (c->mode == HTTP2) continue_replies(c);
  }
  int waits = c->out_end > c->out_start;
  if (waits == c->waiting) return 0;
  c->waiting = waits;
  struct epoll_event event = {EPOLLIN | (waits ? EPOLLOUT : 0), {.ptr = c}};
  return epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static int serve(struct connection *c, uint32_t events) {
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    ssize_t got = recv(c->fd, c->in + c->in_end, IN_BYTES - c->in_end, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return -1;
    if (got > 0) c->in_end += got;
    for (enum mode before = c->mode;; before = c->mode) {
      static size_t (*const by_mode[])(struct connection *) = {on_start, on_http1, on_http2, on_websocket};
      size_t used = by_mode[c->mode](c);
      memmove(c->in, c->in + used, c->in_end - used);
      c->in_end -= used;
      if (c->mode == before) break;
    }
  }
  return c->over ? -1 : flush(c);
}

static void accept_one(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
  if (fd < 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct connection *c = malloc(sizeof *c);
  if (c == NULL) die("malloc");
  memset(c, 0, offsetof(struct connection, pending_ids));
  c->fd = fd, c->first = 1, c->window = c->stream_window = 65535, c->streams = NULL;
  struct epoll_event event = {EPOLLIN, {.ptr = c}};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

int main(int count, char **words) {
  if (count != 3) return fprintf(stderr, "usage: origin PORT REPLY_BYTES\n"), 100;
  reply_bytes = atoll(words[2]);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) die("listen");
  poll_fd = epoll_create1(0);
  struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, ready[256];
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
  printf("ready\n"), fflush(stdout);
  for (;;) {
    int got = epoll_wait(poll_fd, ready, 256, -1);
    for (int at = 0; at < got; at++) {
      struct connection *c = ready[at].data.ptr;
      if (c == NULL) accept_one(listener);
      else if (serve(c, ready[at].events) < 0) close(c->fd), free(c->streams), free(c);
    }
  }
}
