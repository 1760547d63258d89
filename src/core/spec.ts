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

/** The open door.  Every number is a guard with a default; 0 is "no limit" only where it says so. */
export interface ProxySpec {
  /** null: no proxy at all (`listen: none`), TLS neither. */
  listen: { host: string; port: number } | null
  /** A second door, for TLS; null: there is none. */
  tls: TlsSpec | null
  workers: number
  accessLog: { path: string; format: 'combined' | 'json'; maxBytes: number; backups: number } | null
  /** A client connection without a request is closed after this. */
  idleTimeoutMs: number
  /** The head of a request must be complete within this. */
  headerTimeoutMs: number
  /** A request body of which nothing comes for this long ends its request. */
  bodyTimeoutMs: number
  /** A client that takes nothing of its answer for this long loses it. */
  sendTimeoutMs: number
  /** Of a request's or an answer's head, and of its trailers: names, values, and HPACK's 32 bytes per field. */
  maxHeaderBytes: number
  /** Fields in one head. */
  maxHeaderFields: number
  /** Of all workers together. */
  maxConnections: number
  /** From one address, per worker; 0: no limit. */
  maxConnectionsPerClient: number
  /** Open streams of one HTTP/2 client connection: MAX_CONCURRENT_STREAMS. */
  maxStreams: number
  /** Then the connection is ended politely; 0: never. */
  maxRequestsPerConnection: number
  /** Streams one connection may open and reset in a second before it is slowed down; far above it, GOAWAY. */
  maxResetsPerSecond: number
  /** Frames of HTTP/2 without use that one connection may send in a second, four times as many at once; above it, GOAWAY. */
  maxControlFramesPerSecond: number
  /** CONTINUATION frames of one head; above it, GOAWAY. */
  maxContinuationFrames: number
  /** Proxies of ours in front of this one: how many entries of X-Forwarded-For, from its end, are believed. */
  trustedHops: number
  /** Which fields tell the service who asked. */
  forwarded: ForwardedStyle
  /** `required`: every connection begins with a PROXY header (v1 or v2), which says who the peer is. */
  proxyProtocol: 'off' | 'required'
  /** Addresses and networks that may send one; []: any. */
  proxyProtocolFrom: string[]
  /** For the routes that compress. */
  compression: CompressionSpec
  /** Addresses and networks.  Denied ones are refused; where `allow` has any, so is everybody else. */
  allow: string[]
  deny: string[]
  /** How long a retiring worker may finish its requests. */
  drainMs: number
}

export interface TlsSpec {
  listen: { host: string; port: number }
  /** PEM files, absolute; read again when they change. */
  certificate: string
  key: string
}

export type ForwardedStyle = 'x-forwarded' | 'forwarded' | 'both'

export interface CompressionSpec {
  /** Content types, lower case; `text/*` is all of text. */
  types: string[]
  /** Answers known to be smaller go as they are. */
  minBytes: number
}

/** Which requests, where to, and under which rules.  The worker gets all but `to` and `weights` (TableRoute). */
export interface RouteSpec extends RouteRules {
  /** A program's ready instances, or fixed addresses; no addresses where `redirect` answers. */
  to: { program: string } | { endpoints: EndpointAddress[] }
  /** In the order of the addresses or instances, 1-1000; where there are too few, 1. */
  weights: number[]
}

export interface RouteRules extends RouteConditions {
  /** The prefix, with its conditions where it has any: unique, and what logs and errors call the route. */
  id: string
  protocol: 'h2c' | 'http1'
  /** true: the prefix's path is taken off before the request goes on (`/web/a` arrives as `/a`). */
  strip: boolean
  /** Stands in for the prefix (`/v2/`); null: `strip` decides. */
  rewrite: string | null
  /** Answers instead of a service.  A target that ends with '/' gets what follows the prefix. */
  redirect: { status: RedirectStatus; target: string } | null
  /** How long a request may wait for a ready endpoint. */
  holdMs: number
  /** Response head must have come within this. For gRPC: no activity for this long ends the call. */
  timeoutMs: number
  connectTimeoutMs: number
  /** No byte in either direction for this long ends the exchange, tunnels too; 0: no limit (gRPC: timeoutMs). */
  idleTimeoutMs: number
  /** From its head to its last byte; 0: no limit. */
  totalTimeoutMs: number
  /** 0: no limit. */
  maxBodyBytes: number
  balance: BalanceSpec
  retries: RetrySpec
  auth: AuthSpec | null
  /** In addition to the proxy's own. */
  allow: string[]
  deny: string[]
  /** Per client; null: no limit. */
  rateLimit: RateLimitSpec | null
  compression: boolean
  /** gRPC-Web is translated to gRPC. */
  grpcWeb: boolean
  /** HTTP/1 connections to one endpoint, per worker. */
  maxConnectionsPerEndpoint: number
}

export interface RouteConditions {
  /** Starts and ends with '/'; compared with the raw bytes of the path. */
  prefix: string
  /** Lower case, without port: a name, or `*.suffix` for every name below it; []: any. */
  hosts: string[]
  /** Every one must be there with exactly this value.  name: lower case. */
  headers: { name: string; value: string }[]
}

export type RedirectStatus = 301 | 302 | 303 | 307 | 308

export type BalanceSpec = { kind: 'round_robin' } | { kind: 'least_requests' } | { kind: 'hash'; key: HashKey }

/** name: of a header, lower case; of a cookie, as it is. */
export type HashKey = { from: 'header' | 'cookie'; name: string } | { from: 'client_ip' }

/** Beyond what is always repeated because it never left (rule 18).  count 0: nothing. */
export interface RetrySpec {
  count: number
  /** HTTP statuses of an answer that is not passed on but asked for again. */
  statuses: number[]
  /** The same for the grpc-status of a trailers-only answer. */
  grpcStatuses: number[]
}

/** Secrets: never in a log, a status or an error text. */
export type AuthSpec =
  | { kind: 'bearer'; tokens: string[]; realm: string }
  | { kind: 'basic'; users: { name: string; password: string }[]; realm: string }

/** A bucket of `burst` requests per client that fills with `requests` every `perMs`. */
export interface RateLimitSpec {
  requests: number
  perMs: number
  burst: number
}

export type EndpointAddress = { host: string; port: number } | { socket: string }
