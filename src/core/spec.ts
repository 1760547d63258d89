// The resolved configuration: what the daemon, the supervisor and the proxy act on, after expansion and defaults.

/** One whole configuration, checked.  `files`: every file that was read, absolute, the main one first. */
export interface Config {
  file: string
  files: string[]
  guard: GuardSpec
  /** One entry per supervised copy, sorted by the group's priority, its own, then by place in the files. */
  instances: InstanceSpec[]
  groups: GroupSpec[]
  proxy: ProxySpec
  routes: RouteSpec[]
}

export interface GuardSpec {
  /** Sockets and shim directories; absolute. */
  runDir: string
  /** What must survive a restart of the machine; absolute. */
  stateDir: string
  /** AUTO log files; absolute. */
  logDir: string
  /** The daemon's own log. */
  log: LogSpec
}

/** A group's instances start and stop together; every program that no group names is a group of its own. */
export interface GroupSpec {
  name: string
  /** Lowest starts first. */
  priority: number
  programs: string[]
}

export interface InstanceSpec {
  /** `name` where the group bears the same name, else `group:name`: what people type and read. */
  id: string
  name: string
  group: string
  program: string
  /** 0-based copy number plus numprocs_start. */
  num: number
  priority: number
  autostart: boolean
  /** Programs whose every instance must have reached the condition before this one starts. */
  dependsOn: { program: string; condition: 'started' | 'ready' }[]
  /** Where the instance listens, for the proxy and the probes; null where the program has no port. */
  address: { host: string; port: number } | null
  policy: Policy
  run: RunSpec
  /** `null`: the stream is thrown away (`NONE`). `stderr: 'stdout'`: redirect_stderr. */
  logs: { stdout: LogSpec | null; stderr: LogSpec | null | 'stdout' }
  probe: ProbeSpec | null
}

/** What the state machine needs to know; durations in ms. */
export interface Policy {
  autorestart: 'always' | 'never' | 'unexpected'
  exitcodes: number[]
  startMs: number
  /** Deaths in STARTING in a row that are forgiven. */
  startRetries: number
  /** Deaths of any kind inside one crash window that are forgiven. */
  crashRetries: number
  backoffBaseMs: number
  backoffMaxMs: number
  /** This long in RUNNING closes the crash window. */
  backoffResetMs: number
  /** 0: FATAL is left by a start request only. */
  fatalRetryMs: number
  stopSignal: SignalName
  stopWaitMs: number
  stopAsGroup: boolean
  killAsGroup: boolean
}

export type SignalName = 'TERM' | 'HUP' | 'INT' | 'QUIT' | 'KILL' | 'USR1' | 'USR2' | 'CONT' | 'STOP'

/** What the shim needs to run the program. */
export interface RunSpec {
  argv: string[]
  environment: Record<string, string>
  directory: string
  user: string | null
  /** Octal value, as in umask(2); null keeps the daemon's. */
  umask: number | null
  nice: number | null
  oomScoreAdj: number | null
  /** Soft and hard limit alike; 'infinity' lifts it. */
  limits: Partial<Record<LimitName, number | 'infinity'>>
}

export type LimitName = 'nofile' | 'nproc' | 'core' | 'memlock' | 'as' | 'stack'

export interface LogSpec {
  path: string
  /** 0: never rotated by size. */
  maxBytes: number
  backups: number
}

export type ProbeTarget =
  | { kind: 'http'; path: string }
  | { kind: 'tcp' }
  | { kind: 'grpc'; service: string }
  /** account: that of the program; null where it is the daemon's. */
  | { kind: 'exec'; argv: string[]; account: { uid: number; gid: number } | null }

export interface ProbeSpec {
  target: ProbeTarget
  intervalMs: number
  timeoutMs: number
  /** Failures in a row that make a ready instance unready. */
  failures: number
}

export interface ProxySpec {
  /** null: no proxy at all (`listen: none`). */
  listen: { host: string; port: number } | null
  workers: number
  accessLog: { path: string; format: 'combined' | 'json'; maxBytes: number; backups: number } | null
  /** An idle client connection is closed after this. */
  idleTimeoutMs: number
  /** The head of a request must be complete within this. */
  headerTimeoutMs: number
  maxHeaderBytes: number
  maxConnections: number
  /** How long a retiring worker may finish its requests. */
  drainMs: number
}

export interface RouteSpec {
  /** Starts and ends with '/'; compared with the raw bytes of the path. */
  prefix: string
  /** A program's ready instances, or fixed addresses. */
  to: { program: string } | { endpoints: EndpointAddress[] }
  protocol: 'h2c' | 'http1'
  /** true: the prefix's path is taken off before the request goes on (`/web/a` arrives as `/a`). */
  strip: boolean
  /** How long a request may wait for a ready endpoint. */
  holdMs: number
  /** Response head must have come within this. For gRPC: no activity for this long ends the call. */
  timeoutMs: number
  connectTimeoutMs: number
}

export type EndpointAddress = { host: string; port: number } | { socket: string }
