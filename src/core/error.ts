// Every failure a person can meet: one row per code, and the one error class that carries a code.
import { PROXY_ERRORS } from './proxy-errors.js'

export interface ErrorRow {
  /** Whose fault it is. */
  source: 'caller' | 'upstream' | 'os' | 'internal'
  /** HTTP status, on port 6006 and on the control socket; on 6006 a refusal may name a nearer one (414, 501, 505 for REQUEST_…). */
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
  TLS_UNREADABLE: {
    source: 'os',
    http: 500,
    grpc: 14,
    exit: 1,
    retry: 'always',
    hint: 'name PEM files that the daemon’s account can read and that belong together with proxy.tls_certificate and tls_key',
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
  ...PROXY_ERRORS,
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
