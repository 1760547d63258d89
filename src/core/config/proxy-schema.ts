// The options of the proxy: the open door, its guards, and what it tells services about the client.
import * as z from 'zod'
import { parseNetwork } from '../address.js'
import { choice, duration, flag, option, options, size, text, texts, whole } from './option.js'
import { parseListen } from './units.js'

const WORKERS_EXPECTED = 'expected a number from 1 to 64, or auto'
const LISTEN_EXPECTED = 'expected host:port such as 0.0.0.0:6006, or none'

const listenText = z
  .string({ error: LISTEN_EXPECTED })
  .refine(value => value === 'none' || parseListen(value) !== null, { error: LISTEN_EXPECTED })

/** Addresses and networks, for the proxy and for routes. */
export const networks = () =>
  texts(item => parseNetwork(item) !== null, 'expected IP addresses or networks such as 10.0.0.0/8 or 2001:db8::/32')

const CONTENT_TYPE = /^[a-z0-9!#$&^_.+-]+\/(?:\*|[a-z0-9!#$&^_.+-]+)$/

const doors = {
  listen: option(listenText.default('0.0.0.0:6006'), {
    text: 'The one open door. Port 0 takes a free one; the log says which. none: no proxy.',
    type: 'host:port or none',
  }),
  listen_tls: option(listenText.default('none'), {
    text: 'A second door, for TLS (HTTP/1.1 and HTTP/2 by ALPN). Needs tls_certificate and tls_key.',
    type: 'host:port or none',
  }),
  tls_certificate: option(text('expected a path').optional(), {
    text: 'PEM file with the certificate and its chain. Read again when it changes; connections stay.',
    type: 'path',
    fallback: 'none',
  }),
  tls_key: option(text('expected a path').optional(), { text: 'PEM file with its private key.', type: 'path', fallback: 'none' }),
  proxy_protocol: option(choice('off', 'required').default('off'), {
    text: 'required: every connection must begin with a PROXY header (version 1 or 2), which says who the peer is; for a TCP load balancer in front.',
    type: 'off or required',
  }),
  proxy_protocol_from: option(networks().prefault([]), {
    text: 'Who may send one; connections from elsewhere are closed. None named: anybody who can reach the port.',
    type: 'list of addresses and networks',
  }),
  workers: option(z.union([whole(1, 64, WORKERS_EXPECTED), z.literal('auto')], { error: WORKERS_EXPECTED }).default(1), {
    text: 'Proxy processes. auto: one per processor.',
    type: 'number or auto',
  }),
}

const accessLog = {
  access_log: option(text('expected AUTO, NONE or a path').prefault('AUTO'), {
    text: 'One line per request. AUTO: access.log in guard.log_dir. NONE: not written.',
    type: 'AUTO, NONE or path',
  }),
  access_log_format: option(choice('combined', 'json').default('combined'), {
    text: 'The form of its lines. combined: what every log tool reads, and behind the user agent key=value: id, route, endpoint, grpc_status, bytes_in, duration_ms, head_ms, attempts, retries and end, each where it has a value. json: the same keys and more.',
    type: 'combined or json',
  }),
  access_log_maxbytes: option(size().prefault('50MB'), { text: 'It is rotated before it grows past this; 0: never.', type: 'size' }),
  access_log_backups: option(whole(0, 1000).default(10), { text: 'Rotated access logs that are kept.', type: 'number' }),
}

const guards = {
  idle_timeout: option(duration(1).prefault('60s'), {
    text: 'A client connection without a request is closed, with HTTP/2 politely, after this.',
    type: 'duration',
  }),
  header_timeout: option(duration(1).prefault('10s'), {
    text: 'The head of a request must be complete within this; so must a PROXY header, a TLS handshake, and the first byte of a new connection be here.',
    type: 'duration',
  }),
  body_timeout: option(duration(1).prefault('60s'), {
    text: 'A request whose body stands still this long, while the service would take more, is ended. gRPC: only within a message; between two, a call may rest as long as its route’s timeout allows.',
    type: 'duration',
  }),
  send_timeout: option(duration(1).prefault('60s'), {
    text: 'A client that takes nothing of its answer for this long loses it. However little it takes counts; what bounds the whole is the route’s total_timeout.',
    type: 'duration',
  }),
  max_header_bytes: option(size(1024, 2 ** 20).prefault('64KB'), { text: 'The largest head of a request or an answer.', type: 'size' }),
  max_header_fields: option(whole(10, 10_000).default(256), { text: 'Fields one head may have.', type: 'number' }),
  max_connections: option(whole(1, 1_000_000).default(10_000), {
    text: 'Client connections of both doors, all workers together; each worker holds its share, at least one. One more is closed without an answer, and the log of guard says so. A retiring worker’s come on top.',
    type: 'number',
  }),
  max_connections_per_client: option(whole(0, 1_000_000).default(0), {
    text: 'Connections from one address, per worker, counted when they are accepted, with proxy_protocol when the header names the client; one more is closed without an answer. 0: no limit. None by default, because behind a tunnel or a load balancer all clients have one address.',
    type: 'number',
  }),
  max_streams: option(whole(1, 10_000).default(250), {
    text: 'Requests one HTTP/2 connection may have open at once. A connection is all a gRPC client has, and many streams wait on models.',
    type: 'number',
  }),
  max_requests_per_connection: option(whole(0, 1_000_000_000).default(0), {
    text: 'A client connection is ended politely after this many requests; 0: never. Each such end is a race that a careless client loses as UNAVAILABLE.',
    type: 'number',
  }),
  max_resets_per_second: option(whole(1, 1_000_000).optional(), {
    text: 'Streams an HTTP/2 connection may open and reset in a second; above it is slowed down, far above closed.',
    type: 'number',
    fallback: 'twice max_streams',
  }),
  max_control_frames_per_second: option(whole(10, 1_000_000).default(500), {
    text:
      'Frames that carry nothing an HTTP/2 connection may send in a second, four times as many at once, beyond what its requests and their answers account for: ' +
      'PING, PRIORITY, empty DATA, window updates below 1 KB, and SETTINGS, which count ten times. Above it is closed with ENHANCE_YOUR_CALM.',
    type: 'number',
  }),
  max_continuation_frames: option(whole(0, 100_000).default(128), {
    text: 'CONTINUATION frames of one HTTP/2 head; one more closes the connection with ENHANCE_YOUR_CALM. A head of 64 KB in full frames has three.',
    type: 'number',
  }),
  allow: option(networks().prefault([]), {
    text: 'Only these clients are served, where any are named. A route may have lists of its own besides.',
    type: 'list of addresses and networks',
  }),
  deny: option(networks().prefault([]), {
    text: 'These clients are refused, whatever allow says.',
    type: 'list of addresses and networks',
  }),
}

const passing = {
  trusted_hops: option(whole(0, 32).default(0), {
    text:
      'Proxies of yours in front of this one. The client (in the log, for allow and deny, rate_limit and hash_key) is the peer of the connection with 0, ' +
      'else the entry so many places from the end of X-Forwarded-For or Forwarded. The peer is added to these lists in any case.',
    type: 'number',
  }),
  forwarded: option(choice('x-forwarded', 'forwarded', 'both').default('x-forwarded'), {
    text: 'How services are told about the client: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239). What is not chosen is taken off requests, so that no service believes a client’s own word.',
    type: 'x-forwarded, forwarded or both',
  }),
  compression: option(flag().default(false), {
    text: 'Compress answers with gzip or brotli where the client takes it; the default of every route. Never gRPC. Off: most services send little text, and it costs the worker 10 to 50 ms per MB.',
    type: 'true or false',
  }),
  compression_types: option(
    texts(item => CONTENT_TYPE.test(item), 'expected content types such as application/json or text/*').prefault([
      'text/*',
      'application/json',
      'application/javascript',
      'application/xml',
      'application/wasm',
      'image/svg+xml',
    ]),
    { text: 'What is compressed.', type: 'list of content types' },
  ),
  compression_min_bytes: option(size().prefault('1KB'), { text: 'Smaller answers go as they are.', type: 'size' }),
  drain: option(duration().prefault('30s'), { text: 'How long a retiring worker may finish its requests.', type: 'duration' }),
}

export const proxySchema = options({ ...doors, ...accessLog, ...guards, ...passing })

export type ProxyOptions = z.output<typeof proxySchema>
