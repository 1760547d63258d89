// Every failure a person can meet: one row per code, and the one error class that carries a code.

export interface ErrorRow {
  /** Whose fault it is. */
  source: 'caller' | 'upstream' | 'os' | 'internal'
  /** HTTP status, on port 6006 and on the control socket. */
  http: number
  /** gRPC status number. */
  grpc: number
  /** Exit code of guardctl (and of autodl-guard where it can happen at start). */
  exit: number
  /** May the same request be sent again?  unsent: only because it never left. */
  retry: 'never' | 'unsent' | 'always'
  /** What to do next. */
  hint: string
}

export const ERRORS = {
  CONFIG_INVALID: {
    source: 'caller',
    http: 422,
    grpc: 9,
    exit: 2,
    retry: 'never',
    hint: 'mend the lines named; `guardctl check FILE` shows them without touching what runs',
  },
  CONFIG_UNREADABLE: { source: 'caller', http: 422, grpc: 9, exit: 2, retry: 'never', hint: 'name a readable file with -c FILE' },
  DAEMON_NOT_RUNNING: {
    source: 'caller',
    http: 503,
    grpc: 14,
    exit: 7,
    retry: 'always',
    hint: 'start it with `autodl-guard -c FILE`, or name its socket with -s unix:///path/guard.sock',
  },
  DAEMON_ALREADY_RUNNING: {
    source: 'caller',
    http: 409,
    grpc: 9,
    exit: 1,
    retry: 'never',
    hint: 'use `guardctl` with the same -c FILE, or give this daemon its own guard.run_dir',
  },
  USAGE: {
    source: 'caller',
    http: 400,
    grpc: 3,
    exit: 2,
    retry: 'never',
    hint: '`guardctl help` lists the commands, `guardctl help COMMAND` one of them',
  },
  BAD_NAME: { source: 'caller', http: 404, grpc: 5, exit: 1, retry: 'never', hint: '`guardctl status` lists the names' },
  BAD_SIGNAL: { source: 'caller', http: 400, grpc: 3, exit: 1, retry: 'never', hint: 'one of TERM HUP INT QUIT KILL USR1 USR2 CONT STOP' },
  ALREADY_STARTED: { source: 'caller', http: 409, grpc: 9, exit: 0, retry: 'never', hint: 'nothing to do; `restart` starts it anew' },
  NOT_RUNNING: { source: 'caller', http: 409, grpc: 9, exit: 0, retry: 'never', hint: 'nothing to do' },
  SPAWN_ERROR: {
    source: 'os',
    http: 500,
    grpc: 13,
    exit: 7,
    retry: 'always',
    hint: 'mend what the message names (path, directory, user, limit), then `start` it again',
  },
  ABNORMAL_TERMINATION: {
    source: 'upstream',
    http: 500,
    grpc: 13,
    exit: 7,
    retry: 'always',
    hint: '`guardctl tail NAME stderr` shows its last words',
  },
  ALREADY_ADDED: { source: 'caller', http: 409, grpc: 9, exit: 0, retry: 'never', hint: 'nothing to do' },
  STILL_RUNNING: { source: 'caller', http: 409, grpc: 9, exit: 1, retry: 'always', hint: '`stop` it first' },
  NO_FILE: {
    source: 'caller',
    http: 404,
    grpc: 5,
    exit: 1,
    retry: 'always',
    hint: 'the program has written nothing yet, or its log option is NONE',
  },
  SHUTTING_DOWN: {
    source: 'caller',
    http: 503,
    grpc: 14,
    exit: 1,
    retry: 'always',
    hint: 'wait until the daemon is gone, then start it again',
  },
  PORT_TAKEN: {
    source: 'os',
    http: 500,
    grpc: 14,
    exit: 1,
    retry: 'always',
    hint: 'stop the holder, or choose another port with proxy.listen (or GUARD_PROXY_LISTEN=0.0.0.0:PORT)',
  },
  LISTEN_FAILED: {
    source: 'os',
    http: 500,
    grpc: 14,
    exit: 1,
    retry: 'always',
    hint: 'name an address of this machine and a port you may open (below 1024 only as root) with proxy.listen',
  },
  SOCKET_FAILED: {
    source: 'os',
    http: 500,
    grpc: 14,
    exit: 1,
    retry: 'always',
    hint: 'check that guard.run_dir is a writable directory on a file system that can hold sockets',
  },
  SHIM_FAILED: {
    source: 'os',
    http: 500,
    grpc: 13,
    exit: 1,
    retry: 'always',
    hint: 'run `npm run build`; check that guard.run_dir is writable and not on a noexec mount',
  },
  ROUTE_UNKNOWN: {
    source: 'caller',
    http: 404,
    grpc: 12,
    exit: 1,
    retry: 'never',
    hint: 'ask for one of the prefixes in the config’s routes',
  },
  UPSTREAM_NONE_READY: {
    source: 'upstream',
    http: 503,
    grpc: 14,
    exit: 1,
    retry: 'unsent',
    hint: '`guardctl status` shows why no instance is ready',
  },
  REQUEST_MALFORMED: {
    source: 'caller',
    http: 400,
    grpc: 13,
    exit: 1,
    retry: 'never',
    hint: 'send a request that only one reading fits: the message names the part that has two',
  },
  REQUEST_REFUSED: {
    source: 'caller',
    http: 405,
    grpc: 12,
    exit: 1,
    retry: 'never',
    hint: 'the proxy carries requests for its routes; it opens no tunnels to elsewhere',
  },
  REQUEST_QUEUE_FULL: {
    source: 'upstream',
    http: 503,
    grpc: 8,
    exit: 1,
    retry: 'unsent',
    hint: 'too many requests wait for this upstream: start it, or shorten the route’s `hold`',
  },
  UPSTREAM_UNREACHABLE: {
    source: 'upstream',
    http: 503,
    grpc: 14,
    exit: 1,
    retry: 'unsent',
    hint: 'the program is up but does not answer on its port: compare `port` with where it listens',
  },
  UPSTREAM_BROKEN: {
    source: 'upstream',
    http: 502,
    grpc: 14,
    exit: 1,
    retry: 'never',
    hint: 'the program closed the connection in the middle of the request: see `guardctl tail NAME stderr`',
  },
  UPSTREAM_PROTOCOL: {
    source: 'upstream',
    http: 502,
    grpc: 13,
    exit: 1,
    retry: 'never',
    hint: 'the program answered with something that is not the protocol of its route: compare `protocol` (h2c or http1)',
  },
  UPSTREAM_TIMEOUT: {
    source: 'upstream',
    http: 504,
    grpc: 14,
    exit: 1,
    retry: 'never',
    hint: 'the program took longer than the route’s `timeout`',
  },
  DEADLINE_PASSED: {
    source: 'upstream',
    http: 504,
    grpc: 4,
    exit: 1,
    retry: 'never',
    hint: 'the client’s own grpc-timeout ran out; give the call more time',
  },
  INTERNAL: { source: 'internal', http: 500, grpc: 13, exit: 1, retry: 'never', hint: 'a bug: please report it with the daemon’s log' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** The one error people see.  message: names and numbers, no full stop; the row's hint says what to do next. */
export class AppError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'AppError'
    this.code = code
  }
  get row(): ErrorRow {
    return ERRORS[this.code]
  }
}
