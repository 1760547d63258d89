// A proxy and a route that say nothing: the configuration's own defaults, which resolved.test.ts holds to these.
import type { ProxySpec, RouteRules } from '../../src/core/spec.js'

/** The defaults, with the access log off and any free port. */
export const PLAIN_PROXY: ProxySpec = {
  listen: { host: '127.0.0.1', port: 0 },
  tls: null,
  workers: 1,
  accessLog: null,
  idleTimeoutMs: 60_000,
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 60_000,
  sendTimeoutMs: 60_000,
  maxHeaderBytes: 65_536,
  maxHeaderFields: 256,
  maxConnections: 10_000,
  maxConnectionsPerClient: 0,
  maxStreams: 250,
  maxRequestsPerConnection: 0,
  maxResetsPerSecond: 500,
  maxControlFramesPerSecond: 500,
  maxContinuationFrames: 128,
  trustedHops: 0,
  forwarded: 'x-forwarded',
  proxyProtocol: 'off',
  proxyProtocolFrom: [],
  compression: {
    types: ['text/*', 'application/json', 'application/javascript', 'application/xml', 'application/wasm', 'image/svg+xml'],
    minBytes: 1024,
  },
  allow: [],
  deny: [],
  drainMs: 30_000,
}

/** Every rule of a route but its prefix has its default. */
export function plainRules(prefix: string): RouteRules {
  return {
    id: prefix,
    prefix,
    hosts: [],
    headers: [],
    protocol: 'http1',
    strip: true,
    rewrite: null,
    redirect: null,
    holdMs: 30_000,
    timeoutMs: 60_000,
    connectTimeoutMs: 5000,
    idleTimeoutMs: 0,
    totalTimeoutMs: 0,
    maxBodyBytes: 0,
    balance: { kind: 'round_robin' },
    retries: { count: 0, statuses: [], grpcStatuses: [] },
    auth: null,
    allow: [],
    deny: [],
    rateLimit: null,
    compression: false,
    grpcWeb: true,
    maxConnectionsPerEndpoint: 1000,
  }
}
