// Which field values go into the encoder's dynamic table, by name.
import { STATIC_BY_NAME } from './static-table.js'

/** Indexed from its second sight on: a value that came twice comes again, a value that comes once pushes nothing out. */
export const INDEX_REPEATED = 0
/** As above, but not with a query behind a `?`. */
export const INDEX_PATH = 1
/** One-off values, or large ones of a single client: not worth a look at the table. */
export const INDEX_NEVER = 2
/** Secrets: marked never indexed, so that no hop behind us indexes them either (RFC 7541 7.1.3). */
export const SECRET = 3
/** Short cookies can be guessed byte by byte and are secrets; long ones are one client's. */
export const COOKIE = 4

/** A cookie of fewer bytes is a secret that can be guessed (the bound nghttp2 uses as well). */
export const SHORT_COOKIE_BYTES = 20

const ONE_OFF = `content-length content-range date etag last-modified age expires location range if-match if-none-match if-modified-since
  if-unmodified-since if-range set-cookie retry-after grpc-timeout grpc-message grpc-trace-bin grpc-status-details-bin traceparent tracestate baggage
  x-request-id x-correlation-id x-b3-traceid x-b3-spanid x-b3-parentspanid b3 x-amzn-trace-id x-cloud-trace-context uber-trace-id cf-ray
  idempotency-key server-timing x-runtime x-response-time x-envoy-upstream-service-time x-request-start`.split(/\s+/)

const SECRETS = 'authorization proxy-authorization x-api-key api-key x-auth-token x-csrf-token x-xsrf-token'.split(' ')

/** What is known of a name before any connection.  index: of its first static entry, 0 where it has none. */
export interface KnownName {
  readonly policy: number
  readonly index: number
  readonly values: readonly string[]
}

const policies = new Map<string, number>([
  [':path', INDEX_PATH],
  ['cookie', COOKIE],
  ...ONE_OFF.map((name): [string, number] => [name, INDEX_NEVER]),
  ...SECRETS.map((name): [string, number] => [name, SECRET]),
])

export const KNOWN_NAMES: ReadonlyMap<string, KnownName> = new Map(
  [...new Set([...STATIC_BY_NAME.keys(), ...policies.keys()])].map(name => {
    const { index, values } = STATIC_BY_NAME.get(name) ?? { index: 0, values: [] }
    return [name, { policy: policies.get(name) ?? INDEX_REPEATED, index, values }]
  }),
)
