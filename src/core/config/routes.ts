// Turns checked routes into what the proxy acts on.
import type { EndpointAddress, RouteConditions, RouteSpec } from '../spec.js'
import { checkValue } from './check.js'
import { didYouMean, note, type Place, quoted, type Report, shownPlace } from './problem.js'
import { optionPlace, type Program } from './programs.js'
import { FIELD_NAME, type RouteOptions, routeSchema } from './route-schema.js'
import type { Item } from './sections.js'
import { parseUrl } from './units.js'

export interface KnownPrograms {
  /** Those that are right. */
  programs: Program[]
  /** Every name, broken programs too. */
  names: string[]
  complete: boolean
}

/** What a route takes from the proxy's section where it says nothing itself. */
export interface ProxyDefaults {
  compression: boolean
}

/** The routes that are right, in order; the rest goes to the report.  Throws nothing. */
export function resolveRoutes(items: Item[], known: KnownPrograms, defaults: ProxyDefaults, report: Report): RouteSpec[] {
  const ids = new Map<string, Place>()
  return items.flatMap(item => {
    const title = titleOf(item)
    const options = checkValue(routeSchema, item.node, { about: { title, prefix: '' }, scope: item.source.scope, report })
    if (options === null) return []
    const conditions = conditionsOf(options, item, report)
    if (conditions === null) return []
    const id = routeId(conditions)
    const place = optionPlace(item, options.grpc === undefined ? 'prefix' : 'grpc')
    const other = ids.get(id)
    if (other === undefined) ids.set(id, place)
    else note(report, place, `${doubled(options, id)} is doubled; the other is at ${shownPlace(report, other)}`)
    const target = targetOf(options, item, known, report)
    if (target === null) return []
    return [{ ...conditions, id, ...target, ...rulesOf(options, defaults) }]
  })
}

function titleOf(item: Item): string {
  const named = (option: string) => (item.node.kind === 'map' ? item.node.entries.get(option)?.node : undefined)
  const name = named('prefix') ?? named('grpc')
  return name?.kind === 'text' ? `route ${quoted(name.written)}` : `route ${item.name}`
}

/** prefix, or what grpc stands for, and the conditions besides. */
function conditionsOf(options: RouteOptions, item: Item, report: Report): RouteConditions | null {
  const { prefix, grpc } = options
  if ((prefix === undefined) === (grpc === undefined)) {
    const found =
      prefix === undefined
        ? 'has no prefix; expected a path that starts and ends with "/", such as /web/'
        : 'has both prefix and grpc; expected one of them'
    note(report, item.node.place, `${titleOf(item)} ${found}`)
    return null
  }
  const headers: RouteConditions['headers'] = []
  for (const [name, value] of Object.entries(options.headers)) {
    const known = headers.some(header => header.name === name.toLowerCase())
    if (FIELD_NAME.test(name) && !known) headers.push({ name: name.toLowerCase(), value })
    else note(report, optionPlace(item, 'headers', name), `headers has the name ${quoted(name)}; expected each header once, by its name`)
  }
  headers.sort((a, b) => (a.name < b.name ? -1 : 1))
  const hosts = [...new Set(options.hosts.map(host => host.toLowerCase()))]
  return { prefix: prefix ?? `/${grpc}/`, hosts, headers }
}

/** `/web/`, or with its conditions `/web/ host=a.org,b.org x-env=beta`. */
function routeId({ prefix, hosts, headers }: RouteConditions): string {
  const host = hosts.length === 0 ? '' : ` host=${hosts.toSorted().join(',')}`
  return prefix + host + headers.map(({ name, value }) => ` ${name}=${value}`).join('')
}

function doubled({ prefix, grpc }: RouteOptions, id: string): string {
  if (id === prefix) return `prefix "${prefix}"`
  return grpc !== undefined && id === `/${grpc}/` ? `grpc "${grpc}"` : `the route ${quoted(id)}`
}

type Rules = Omit<RouteSpec, keyof RouteConditions | keyof Target | 'id'>

function rulesOf(options: RouteOptions, defaults: ProxyDefaults): Rules {
  const { redirect, retry, rate_limit: limit } = options
  return {
    strip: options.strip && options.grpc === undefined,
    rewrite: options.rewrite ?? null,
    redirect: redirect === undefined ? null : { status: redirect.status, target: redirect.to },
    holdMs: options.hold,
    timeoutMs: options.timeout,
    connectTimeoutMs: options.connect_timeout,
    idleTimeoutMs: options.idle_timeout,
    totalTimeoutMs: options.total_timeout,
    maxBodyBytes: options.max_body_bytes,
    balance: balanceOf(options),
    retries:
      retry === undefined
        ? { count: 0, statuses: [], grpcStatuses: [] }
        : { count: retry.count, statuses: retry.statuses, grpcStatuses: retry.grpc_statuses },
    auth: authOf(options.auth),
    allow: options.allow,
    deny: options.deny,
    rateLimit: limit === undefined ? null : { requests: limit.requests, perMs: limit.per, burst: limit.burst ?? limit.requests },
    compression: options.compression ?? defaults.compression,
    grpcWeb: options.grpc_web,
    maxConnectionsPerEndpoint: options.max_connections_per_endpoint,
  }
}

function balanceOf({ balance, hash_key: key }: RouteOptions): RouteSpec['balance'] {
  if (balance !== 'hash') return { kind: balance }
  const [from, name = ''] = key.split(':')
  if (from === 'header') return { kind: 'hash', key: { from, name: name.toLowerCase() } }
  return { kind: 'hash', key: from === 'cookie' ? { from, name } : { from: 'client_ip' } }
}

function authOf(auth: RouteOptions['auth']): RouteSpec['auth'] {
  if (auth === undefined) return null
  const { realm, bearer, basic } = auth
  if (bearer !== undefined) return { kind: 'bearer', tokens: bearer, realm }
  return { kind: 'basic', users: Object.entries(basic ?? {}).map(([name, password]) => ({ name, password })), realm }
}

type Target = Pick<RouteSpec, 'to' | 'weights' | 'protocol'>

function targetOf(options: RouteOptions, item: Item, known: KnownPrograms, report: Report): Target | null {
  const { to, redirect } = options
  const protocol = options.protocol ?? (options.grpc === undefined ? undefined : 'h2c')
  if ((to === undefined) === (redirect === undefined)) {
    const found =
      to === undefined
        ? 'has no to; expected a program, an address or a list of addresses'
        : 'has both to and redirect; expected one of them'
    note(report, item.node.place, `${titleOf(item)} ${found}`)
    return null
  }
  if (to === undefined) return { to: { endpoints: [] }, weights: [], protocol: protocol ?? 'http1' }
  if (typeof to === 'string' && !/[:/]/.test(to)) return programTarget(to, { ...options, protocol }, item, known, report)
  return addressTarget(typeof to === 'string' ? [to] : to, { ...options, protocol }, item, report)
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
  return { to: { program: name }, weights: options.weights, protocol: options.protocol ?? 'http1' }
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
  if (options.weights.length > urls.length) {
    note(
      report,
      optionPlace(item, 'weights'),
      `weights has ${options.weights.length} numbers for ${urls.length === 1 ? '1 address' : `${urls.length} addresses`}`,
    )
  }
  return wrong ? null : { to: { endpoints }, weights: options.weights, protocol: options.protocol ?? said ?? 'http1' }
}

/** A user and password in an address are refused, and not repeated. */
function withoutUser(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//***@')
}
