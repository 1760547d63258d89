// Sockets of the proxy's data plane, as a Node-API addon: one call into JavaScript per turn of the event loop, whatever number of sockets is ready.
//
//   poll callbacks (libuv)  ─►  recv into the arena, an event each  ─►  check callback: one call of `on_events`
//   JavaScript              ─►  connect, adopt, watch, slow, send, shutdown, close: each acts at once
//
// A socket is a number, its slot.  A slot is free again in libuv's closing phase, so the events of a turn never meet a newer socket on it.
// Levels, not edges: what a turn leaves unread is there in the next one, and each socket reads at most READ_BYTES a turn: nobody waits for a busy one.
// Bytes are not work: 4 KiB of resets cost more than 64 KiB of a body.  So a socket's reads begin small and double where they are filled; JavaScript, which sees
// what they cost, halves them, and from then on they grow by small steps.
// Of the process's main thread only: everything here belongs to one loop.
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <netinet/tcp.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

// Shared with src/proxy/sockets.ts.
enum { DATA = 0, END = 1, FAILED = 2, WRITABLE = 3 };
enum { EVENT_INTS = 4 };
enum { WATCH_READ = 1, WATCH_WRITE = 2 };

// A client's first read and a service's: the one may be anybody.
enum { READ_BYTES = 64 * 1024, CLIENT_READ_BYTES = 2 * 1024, SERVICE_READ_BYTES = 16 * 1024, LEAST_READ_BYTES = 1024, FIRST_SLOTS = 64 };

typedef struct {
  uv_poll_t poll;
  int fd;
  int32_t slot;
  int watched;
  // Of one read; the last one has filled it.
  size_t read_bytes;
  bool is_filled;
  bool was_slowed;
  bool is_closing;
} Socket;

static struct {
  napi_env env;
  napi_ref on_events;
  napi_ref arena_ref;
  napi_ref events_ref;
  napi_async_context async;
  uv_loop_t *loop;
  uv_check_t check;
  char *arena;
  size_t arena_bytes;
  size_t used;
  int32_t *events;
  size_t max_events;
  size_t count;
  Socket **sockets;
  int32_t *free_slots;
  int32_t slots;
  int32_t free_count;
} context;

static void look(Socket *subject);

// Hands over what has gathered.  An exception is told as uncaught: the proxy has its own answer to that.
static void deliver(void) {
  napi_env env = context.env;
  napi_handle_scope scope;
  napi_value receiver, callback, count, result, error;
  uint32_t gathered = (uint32_t)context.count;
  // Whatever becomes of the call, the room is free again.  Nothing gathers during it: sockets are read by the loop only.
  context.count = 0;
  context.used = 0;
  if (gathered == 0 || napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_global(env, &receiver) == napi_ok && napi_get_reference_value(env, context.on_events, &callback) == napi_ok &&
      napi_create_uint32(env, gathered, &count) == napi_ok &&
      napi_make_callback(env, context.async, receiver, callback, 1, &count, &result) == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok)
    (void)napi_fatal_exception(env, error);
  (void)napi_close_handle_scope(env, scope);
}

static void on_check(uv_check_t *check) {
  (void)check;
  deliver();
}

static void push(const Socket *subject, int32_t kind, int32_t first, int32_t second) {
  int32_t *event = context.events + context.count++ * EVENT_INTS;
  event[0] = subject->slot;
  event[1] = kind;
  event[2] = first;
  event[3] = second;
}

static void watch(Socket *subject, int watched) {
  if (subject->watched == watched) return;
  subject->watched = watched;
  look(subject);
}

static void receive(Socket *subject) {
  if (subject->is_filled) subject->read_bytes += subject->was_slowed ? LEAST_READ_BYTES : subject->read_bytes;
  if (subject->read_bytes > READ_BYTES) subject->read_bytes = READ_BYTES;
  ssize_t bytes;
  do bytes = recv(subject->fd, context.arena + context.used, subject->read_bytes, MSG_DONTWAIT);
  while (bytes < 0 && errno == EINTR);
  if (bytes > 0) {
    subject->is_filled = (size_t)bytes == subject->read_bytes;
    push(subject, DATA, (int32_t)context.used, (int32_t)(context.used + (size_t)bytes));
    context.used += (size_t)bytes;
  } else if (bytes == 0) {
    push(subject, END, 0, 0);
    watch(subject, subject->watched & ~WATCH_READ);
  } else if (errno != EAGAIN) {
    push(subject, FAILED, errno, 0);
    watch(subject, 0);
  }
}

static void on_ready(uv_poll_t *poll, int status, int ready) {
  Socket *subject = poll->data;
  // Room for one read and for the two events that one look at a socket can bring.
  if (context.used + READ_BYTES > context.arena_bytes || context.count + 2 > context.max_events) {
    deliver();
    if (subject->is_closing) return;
  }
  if (status < 0) {
    // An error is pending, and libuv has stopped to look.  recv tells which one behind the bytes that came before it; send does where nobody reads.
    look(subject);
    ready = subject->watched & WATCH_READ ? UV_READABLE : UV_WRITABLE;
  }
  if ((ready & UV_WRITABLE) && (subject->watched & WATCH_WRITE)) {
    push(subject, WRITABLE, 0, 0);
    watch(subject, subject->watched & ~WATCH_WRITE);
  }
  if ((ready & UV_READABLE) && (subject->watched & WATCH_READ)) receive(subject);
}

// Makes libuv look for what is watched.
static void look(Socket *subject) {
  int events = 0;
  if (subject->watched & WATCH_READ) events |= UV_READABLE;
  if (subject->watched & WATCH_WRITE) events |= UV_WRITABLE;
  // Neither fails for a socket that was taken by uv_poll_init and is not closing.
  if (events == 0) (void)uv_poll_stop(&subject->poll);
  else (void)uv_poll_start(&subject->poll, events, on_ready);
}

static napi_value throw_errno(napi_env env, int error) {
  (void)napi_throw_error(env, NULL, strerror(error));
  return NULL;
}

// Reads `count` arguments into values.  Returns false with an exception where one is missing.
static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given == count) return true;
  (void)napi_throw_type_error(env, NULL, "sockets: wrong number of arguments");
  return false;
}

static Socket *socket_of(napi_env env, napi_value value) {
  // Not as an int32: NaN would be slot 0, which is another one's.
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 && number < context.slots && number == (int32_t)number) {
    Socket *subject = context.sockets[(int32_t)number];
    if (subject != NULL && !subject->is_closing) return subject;
  }
  (void)napi_throw_range_error(env, NULL, "sockets: no such slot");
  return NULL;
}

static void on_closed(uv_handle_t *handle) {
  Socket *subject = handle->data;
  context.sockets[subject->slot] = NULL;
  context.free_slots[context.free_count++] = subject->slot;
  free(subject);
}

static void close_socket(Socket *subject, bool is_reset) {
  if (is_reset) {
    // Where it fails the peer sees an end instead of a reset.
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(subject->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  subject->is_closing = true;
  // libuv forgets the descriptor at once, epoll's entry and what this turn still has of it; the number may be another socket's then.
  uv_close((uv_handle_t *)&subject->poll, on_closed);
  (void)close(subject->fd);
}

// The environment ends: nothing may call into it any more.
static void on_exit_of_env(void *unused) {
  (void)unused;
  for (int32_t slot = 0; slot < context.slots; slot++)
    if (context.sockets[slot] != NULL && !context.sockets[slot]->is_closing) close_socket(context.sockets[slot], false);
  uv_close((uv_handle_t *)&context.check, NULL);
}

// open(arena: Uint8Array, events: Int32Array, onEvents: (count) => void): once.
static napi_value open_sockets(napi_env env, napi_callback_info info) {
  napi_value values[3], name;
  void *arena, *events;
  size_t arena_bytes, ints;
  napi_typedarray_type arena_type, events_type;
  napi_valuetype callback_type;
  if (!arguments(env, info, 3, values)) return NULL;
  if (napi_get_typedarray_info(env, values[0], &arena_type, &arena_bytes, &arena, NULL, NULL) != napi_ok || arena_type != napi_uint8_array ||
      arena_bytes < READ_BYTES || arena_bytes > INT32_MAX ||
      napi_get_typedarray_info(env, values[1], &events_type, &ints, &events, NULL, NULL) != napi_ok || events_type != napi_int32_array ||
      ints < 2 * EVENT_INTS || napi_typeof(env, values[2], &callback_type) != napi_ok || callback_type != napi_function || context.loop != NULL) {
    (void)napi_throw_type_error(env, NULL, "sockets: open wants a Uint8Array, an Int32Array and a function, once");
    return NULL;
  }
  uv_loop_t *loop;
  if (napi_create_reference(env, values[0], 1, &context.arena_ref) != napi_ok || napi_create_reference(env, values[1], 1, &context.events_ref) != napi_ok ||
      napi_create_reference(env, values[2], 1, &context.on_events) != napi_ok || napi_create_string_utf8(env, "sockets", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &context.async) != napi_ok || napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_add_env_cleanup_hook(env, on_exit_of_env, NULL) != napi_ok) {
    (void)napi_throw_error(env, NULL, "sockets: this Node has no event loop for it");
    return NULL;
  }
  context.env = env;
  context.loop = loop;
  context.arena = arena;
  context.arena_bytes = arena_bytes;
  context.events = events;
  context.max_events = ints / EVENT_INTS;
  (void)uv_check_init(loop, &context.check);
  (void)uv_check_start(&context.check, on_check);
  uv_unref((uv_handle_t *)&context.check);
  return NULL;
}

static bool grow(void) {
  int32_t slots = context.slots == 0 ? FIRST_SLOTS : context.slots * 2;
  Socket **sockets = realloc(context.sockets, (size_t)slots * sizeof *sockets);
  if (sockets == NULL) return false;
  context.sockets = sockets;
  int32_t *free_slots = realloc(context.free_slots, (size_t)slots * sizeof *free_slots);
  if (free_slots == NULL) return false;
  context.free_slots = free_slots;
  for (int32_t slot = slots - 1; slot >= context.slots; slot--) {
    sockets[slot] = NULL;
    free_slots[context.free_count++] = slot;
  }
  context.slots = slots;
  return true;
}

// A slot for this descriptor, which is ours from here on.  NULL where it cannot be had: the descriptor is closed and *error says why.
static Socket *take(int fd, size_t read_bytes, int *error) {
  Socket *subject = NULL;
  *error = ENOMEM;
  if ((context.free_count > 0 || grow()) && (subject = calloc(1, sizeof *subject)) != NULL) {
    *error = -uv_poll_init(context.loop, &subject->poll, fd);
    if (*error == 0) {
      subject->fd = fd;
      subject->read_bytes = read_bytes;
      subject->poll.data = subject;
      subject->slot = context.free_slots[--context.free_count];
      context.sockets[subject->slot] = subject;
      return subject;
    }
  }
  free(subject);
  (void)close(fd);
  return NULL;
}

// adopt(fd): slot.  The descriptor is copied: the caller closes its own.  Nothing is watched yet.
static napi_value adopt(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int32_t given;
  int error;
  if (!arguments(env, info, 1, &value)) return NULL;
  if (context.loop == NULL || napi_get_value_int32(env, value, &given) != napi_ok) return throw_errno(env, EINVAL);
  int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return throw_errno(env, errno);
  Socket *subject = take(fd, CLIENT_READ_BYTES, &error);
  if (subject == NULL) return throw_errno(env, error);
  (void)napi_create_int32(env, subject->slot, &result);
  return result;
}

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un local;
} Address;

// Where to: a path where the port is 0, else the number of a host.  Returns the address's size; 0 where it is none.
static socklen_t parse_address(Address *address, const char *where, uint32_t port) {
  memset(address, 0, sizeof *address);
  if (port == 0) {
    address->local.sun_family = AF_UNIX;
    if (strlen(where) >= sizeof address->local.sun_path) return 0;
    strcpy(address->local.sun_path, where);
    return sizeof address->local;
  }
  if (inet_pton(AF_INET, where, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons((uint16_t)port);
    return sizeof address->v4;
  }
  if (inet_pton(AF_INET6, where, &address->v6.sin6_addr) != 1) return 0;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons((uint16_t)port);
  return sizeof address->v6;
}

// Returns a descriptor that is being connected, or -errno.
static int begin_connect(const Address *address, socklen_t size) {
  int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int on = 1;
  bool is_ready = address->any.sa_family == AF_UNIX || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
  if (is_ready && (connect(fd, &address->any, size) == 0 || errno == EINPROGRESS)) return fd;
  int error = errno;
  (void)close(fd);
  return -error;
}

// connect(where, port): slot, or -errno.  WRITABLE says that it is connected, FAILED that it will not be.
static napi_value connect_socket(napi_env env, napi_callback_info info) {
  napi_value values[2], result;
  // A path of the longest kind, and a byte by which a longer one shows.
  char where[sizeof(((Address *)0)->local.sun_path) + 1];
  size_t length;
  uint32_t port;
  Address address;
  if (!arguments(env, info, 2, values)) return NULL;
  if (context.loop == NULL || napi_get_value_string_utf8(env, values[0], where, sizeof where, &length) != napi_ok ||
      napi_get_value_uint32(env, values[1], &port) != napi_ok || port > UINT16_MAX || strlen(where) != length)
    return throw_errno(env, EINVAL);
  socklen_t size = parse_address(&address, where, port);
  int found = size == 0 ? -EINVAL : begin_connect(&address, size);
  if (found >= 0) {
    int error;
    Socket *subject = take(found, SERVICE_READ_BYTES, &error);
    found = subject == NULL ? -error : subject->slot;
    if (subject != NULL) watch(subject, WATCH_READ | WATCH_WRITE);
  }
  (void)napi_create_int32(env, found, &result);
  return result;
}

// watch(slot, what: 1 reading | 2 room to write)
static napi_value watch_socket(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int32_t watched;
  if (!arguments(env, info, 2, values)) return NULL;
  Socket *subject = socket_of(env, values[0]);
  if (subject == NULL) return NULL;
  if (napi_get_value_int32(env, values[1], &watched) != napi_ok || (watched & ~(WATCH_READ | WATCH_WRITE)) != 0) return throw_errno(env, EINVAL);
  watch(subject, watched);
  return NULL;
}

// slow(slot): what it has brought costs more than others should wait for.
static napi_value slow(napi_env env, napi_callback_info info) {
  napi_value value;
  if (!arguments(env, info, 1, &value)) return NULL;
  Socket *subject = socket_of(env, value);
  if (subject == NULL) return NULL;
  subject->is_filled = false;
  subject->was_slowed = true;
  if (subject->read_bytes > LEAST_READ_BYTES) subject->read_bytes /= 2;
  return NULL;
}

// send(slot, bytes: Uint8Array, start, end): how many bytes were taken, or -errno.  Where some were not, WRITABLE follows.
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value values[4], result;
  napi_typedarray_type type;
  void *bytes;
  size_t length;
  uint32_t start, end;
  if (!arguments(env, info, 4, values)) return NULL;
  Socket *subject = socket_of(env, values[0]);
  if (subject == NULL) return NULL;
  // Not napi_get_buffer_info: it ends the process where it is given something else.
  if (napi_get_typedarray_info(env, values[1], &type, &length, &bytes, NULL, NULL) != napi_ok || type != napi_uint8_array ||
      napi_get_value_uint32(env, values[2], &start) != napi_ok || napi_get_value_uint32(env, values[3], &end) != napi_ok || start > end || end > length) {
    (void)napi_throw_range_error(env, NULL, "sockets: send wants a buffer and a part of it");
    return NULL;
  }
  ssize_t sent;
  do sent = send(subject->fd, (char *)bytes + start, end - start, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) sent = errno == EAGAIN ? 0 : -errno;
  if (sent >= 0 && (size_t)sent < end - start) watch(subject, subject->watched | WATCH_WRITE);
  (void)napi_create_int32(env, (int32_t)sent, &result);
  return result;
}

// shutdown(slot): ends our direction.  A connection that is gone says so when it is read.
static napi_value shutdown_socket(napi_env env, napi_callback_info info) {
  napi_value value;
  if (!arguments(env, info, 1, &value)) return NULL;
  Socket *subject = socket_of(env, value);
  if (subject != NULL) (void)shutdown(subject->fd, SHUT_WR);
  return NULL;
}

// close(slot, isReset): gone at once.
static napi_value close_slot(napi_env env, napi_callback_info info) {
  napi_value values[2];
  bool is_reset;
  if (!arguments(env, info, 2, values)) return NULL;
  Socket *subject = socket_of(env, values[0]);
  if (subject == NULL) return NULL;
  if (napi_get_value_bool(env, values[1], &is_reset) != napi_ok) return throw_errno(env, EINVAL);
  close_socket(subject, is_reset);
  return NULL;
}

// trim(): memory that malloc has free goes back to the kernel.  A burst's sockets and handles leave holes in its heap, which only grows by itself.
static napi_value trim(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
  return NULL;
}

static napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"open", NULL, open_sockets, NULL, NULL, NULL, napi_enumerable, NULL},   {"adopt", NULL, adopt, NULL, NULL, NULL, napi_enumerable, NULL},
      {"connect", NULL, connect_socket, NULL, NULL, NULL, napi_enumerable, NULL},
      {"watch", NULL, watch_socket, NULL, NULL, NULL, napi_enumerable, NULL},  {"send", NULL, send_bytes, NULL, NULL, NULL, napi_enumerable, NULL},
      {"slow", NULL, slow, NULL, NULL, NULL, napi_enumerable, NULL},
      {"shutdown", NULL, shutdown_socket, NULL, NULL, NULL, napi_enumerable, NULL}, {"close", NULL, close_slot, NULL, NULL, NULL, napi_enumerable, NULL},
      {"trim", NULL, trim, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  if (gettid() != getpid() || napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions) != napi_ok)
    (void)napi_throw_error(env, NULL, "sockets: for the main thread only");
  return exports;
}

NAPI_MODULE(sockets, init)
