// Turns the checked proxy section into the settings the proxy acts on.
import type { ProxySpec, TlsSpec } from '../spec.js'
import { placeOf } from './check.js'
import { resolvePath } from './path.js'
import { note, quoted, type Report } from './problem.js'
import type { ProxyOptions } from './proxy-schema.js'
import type { Single } from './sections.js'
import { parseListen } from './units.js'
import type { World } from './world.js'

/** The proxy's settings.  What does not fit together goes to the report.  Throws nothing. */
export function resolveProxy(single: Single<ProxyOptions>, logDir: string, world: World, report: Report): ProxySpec {
  const { options, base } = single
  return {
    listen: options.listen === 'none' ? null : parseListen(options.listen),
    tls: resolveTls(single, world, report),
    workers: options.workers === 'auto' ? Math.min(Math.max(world.cpus, 1), 64) : options.workers,
    accessLog: accessLogOf(options, base, logDir),
    idleTimeoutMs: options.idle_timeout,
    headerTimeoutMs: options.header_timeout,
    bodyTimeoutMs: options.body_timeout,
    sendTimeoutMs: options.send_timeout,
    maxHeaderBytes: options.max_header_bytes,
    maxHeaderFields: options.max_header_fields,
    maxConnections: options.max_connections,
    maxConnectionsPerClient: options.max_connections_per_client,
    maxStreams: options.max_streams,
    maxRequestsPerConnection: options.max_requests_per_connection,
    maxResetsPerSecond: options.max_resets_per_second ?? 2 * options.max_streams,
    maxControlFramesPerSecond: options.max_control_frames_per_second,
    maxContinuationFrames: options.max_continuation_frames,
    trustedHops: options.trusted_hops,
    forwarded: options.forwarded,
    proxyProtocol: options.proxy_protocol,
    proxyProtocolFrom: options.proxy_protocol_from,
    compression: { types: options.compression_types, minBytes: options.compression_min_bytes },
    allow: options.allow,
    deny: options.deny,
    drainMs: options.drain,
  }
}

function accessLogOf(options: ProxyOptions, base: string, logDir: string): ProxySpec['accessLog'] {
  const { access_log: log, access_log_format: format, access_log_maxbytes: maxBytes, access_log_backups: backups } = options
  if (log.toUpperCase() === 'NONE') return null
  return { path: log.toUpperCase() === 'AUTO' ? `${logDir}/access.log` : resolvePath(base, log), format, maxBytes, backups }
}

/** A door for TLS stands beside the plain one, with both files there. */
function resolveTls({ options, node, base }: Single<ProxyOptions>, world: World, report: Report): TlsSpec | null {
  if (options.listen_tls === 'none') return null
  const listen = parseListen(options.listen_tls)!
  const place = placeOf(node, ['listen_tls'])
  if (options.listen === 'none') note(report, place, 'proxy.listen_tls opens a second door, but proxy.listen is none')
  const file = (option: 'tls_certificate' | 'tls_key'): string => {
    const value = options[option]
    if (value === undefined) {
      note(report, place, `proxy.listen_tls needs proxy.${option}`)
      return ''
    }
    const path = resolvePath(base, value)
    const kind = world.kind(path)
    if (kind !== 'file')
      note(
        report,
        placeOf(node, [option]),
        `proxy.${option} is ${quoted(path)}, ${kind === 'missing' ? 'which does not exist' : 'which is a directory'}`,
      )
    return path
  }
  return { listen, certificate: file('tls_certificate'), key: file('tls_key') }
}
