// Turns checked routes and the proxy section into what the proxy acts on.
import type { EndpointAddress, ProxySpec, RouteSpec } from '../spec.js'
import { checkValue } from './check.js'
import { resolvePath } from './path.js'
import { didYouMean, note, type Place, quoted, type Report, shownPlace } from './problem.js'
import { optionPlace, type Program } from './programs.js'
import { type ProxyOptions, type RouteOptions, routeSchema } from './schema.js'
import type { Item, Single } from './sections.js'
import { parseListen, parseUrl } from './units.js'

export interface KnownPrograms {
  /** Those that are right. */
  programs: Program[]
  /** Every name, broken programs too. */
  names: string[]
  complete: boolean
}

/** The proxy's settings; cpus: for `workers: auto`.  Throws nothing. */
export function resolveProxy({ options, base }: Single<ProxyOptions>, logDir: string, cpus: number): ProxySpec {
  const { access_log: log } = options
  const path = log.toUpperCase() === 'AUTO' ? `${logDir}/access.log` : resolvePath(base, log)
  return {
    listen: options.listen === 'none' ? null : parseListen(options.listen),
    workers: options.workers === 'auto' ? Math.min(Math.max(cpus, 1), 64) : options.workers,
    accessLog:
      log.toUpperCase() === 'NONE'
        ? null
        : { path, format: options.access_log_format, maxBytes: options.access_log_maxbytes, backups: options.access_log_backups },
    idleTimeoutMs: options.idle_timeout,
    headerTimeoutMs: options.header_timeout,
    maxHeaderBytes: options.max_header_bytes,
    maxConnections: options.max_connections,
    drainMs: options.drain,
  }
}

/** The routes that are right, in order; the rest goes to the report.  Throws nothing. */
export function resolveRoutes(items: Item[], known: KnownPrograms, report: Report): RouteSpec[] {
  const prefixes = new Map<string, Place>()
  return items.flatMap(item => {
    const title = titleOf(item)
    const options = checkValue(routeSchema, item.node, { about: { title, prefix: '' }, scope: item.source.scope, report })
    if (options === null) return []
    const place = optionPlace(item, 'prefix')
    const other = prefixes.get(options.prefix)
    if (other === undefined) prefixes.set(options.prefix, place)
    else note(report, place, `prefix "${options.prefix}" is doubled; the other is at ${shownPlace(report, other)}`)
    const target = targetOf(options, item, known, report)
    if (target === null) return []
    return [
      {
        prefix: options.prefix,
        to: target.to,
        protocol: target.protocol,
        strip: options.strip,
        holdMs: options.hold,
        timeoutMs: options.timeout,
        connectTimeoutMs: options.connect_timeout,
      },
    ]
  })
}

function titleOf(item: Item): string {
  const prefix = item.node.kind === 'map' ? item.node.entries.get('prefix')?.node : undefined
  return prefix?.kind === 'text' ? `route ${quoted(prefix.written)}` : `route ${item.name}`
}

type Target = Pick<RouteSpec, 'to' | 'protocol'>

function targetOf(options: RouteOptions, item: Item, known: KnownPrograms, report: Report): Target | null {
  const { to } = options
  if (typeof to === 'string' && !/[:/]/.test(to)) return programTarget(to, options, item, known, report)
  return addressTarget(typeof to === 'string' ? [to] : to, options, item, report)
}

function programTarget(name: string, options: RouteOptions, item: Item, known: KnownPrograms, report: Report): Target | null {
  const place = optionPlace(item, 'to')
  if (!known.names.includes(name)) {
    if (known.complete) {
      note(
        report,
        place,
        `unknown program ${quoted(name)} in ${titleOf(item)}${didYouMean(name, known.names) || '; expected a program, or an address such as http://host:port'}`,
      )
    }
    return null
  }
  const program = known.programs.find(each => each.name === name)
  if (program !== undefined && program.options.port === undefined) {
    note(report, place, `to is program "${name}", which has no port; give it one with "port:"`)
  }
  return { to: { program: name }, protocol: options.protocol ?? 'http1' }
}

function addressTarget(urls: string[], options: RouteOptions, item: Item, report: Report): Target | null {
  const endpoints: EndpointAddress[] = []
  let said: Target['protocol'] | null = null
  let wrong = false
  for (const [index, text] of urls.entries()) {
    const place = optionPlace(item, 'to', index)
    const url = parseUrl(text)
    const label = urls.length === 1 ? 'to' : `to[${index}]`
    const refuse = (message: string) => {
      wrong = true
      note(report, place, message)
    }
    if ('error' in url) refuse(`${label} is ${quoted(withoutUser(text))}; ${url.error}`)
    else if (url.protocolIsSaid && said !== null && said !== url.protocol)
      refuse(`${label} is ${quoted(text)}; expected the scheme of the addresses before it`)
    else if (url.protocolIsSaid && options.protocol !== undefined && options.protocol !== url.protocol) {
      refuse(`${label} is ${quoted(text)}, but protocol is ${options.protocol}`)
    } else {
      if (url.protocolIsSaid) said = url.protocol
      endpoints.push(url.address)
    }
  }
  return wrong ? null : { to: { endpoints }, protocol: options.protocol ?? said ?? 'http1' }
}

/** A user and password in an address are refused, and not repeated. */
function withoutUser(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//***@')
}
