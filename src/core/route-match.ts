// Which route a request belongs to: prefix, host and headers, in one precedence that does not depend on chance.
//
// Of the routes that fit: the longest prefix, then the more exact host (a name, a longer *.suffix, a shorter one, any), then more
// headers, then the first in the files.  The rows stand in this order, so the first that fits is the one.
import { type Fields, fieldValue } from './headers.js'
import type { RouteConditions } from './spec.js'

/** One route under one of its hosts. */
interface Row<R> {
  prefix: string
  /** '': any; `.example.org`: every name below it; else the name itself. */
  host: string
  headers: RouteConditions['headers']
  route: R
}

export interface RouteIndex<R> {
  readonly rows: readonly Row<R>[]
}

/** Made once per table.  routes: in the order of the files where their prefixes are equally long. */
export function routeIndex<R extends RouteConditions>(routes: readonly R[]): RouteIndex<R> {
  const rows = routes.flatMap(route => {
    const hosts = route.hosts.length === 0 ? [''] : route.hosts.map(host => (host.startsWith('*.') ? host.slice(1) : host))
    return hosts.map((host): Row<R> => ({ prefix: route.prefix, host, headers: route.headers, route }))
  })
  rows.sort((a, b) => b.prefix.length - a.prefix.length || exactness(b.host) - exactness(a.host) || b.headers.length - a.headers.length)
  return { rows }
}

function exactness(host: string): number {
  if (host === '') return 0
  return host.startsWith('.') ? host.length : Number.MAX_SAFE_INTEGER
}

/** The route of a request; undefined where none fits.  path: raw, as parseTarget gives it.  authority: Host or :authority, with its port. */
export function matchRoute<R>(index: RouteIndex<R>, path: string, request: { authority: string; fields: Fields }): R | undefined {
  let host: string | null = null
  for (const row of index.rows) {
    if (!path.startsWith(row.prefix)) continue
    if (row.host !== '') {
      host ??= hostOf(request.authority)
      if (!hostFits(row.host, host)) continue
    }
    if (row.headers.length === 0 || headersFit(row.headers, request.fields)) return row.route
  }
  return undefined
}

/** An authority without its port, in lower case; an IPv6 literal keeps its brackets. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':')
  const bare = colon > authority.lastIndexOf(']') ? authority.slice(0, colon) : authority
  return bare.toLowerCase()
}

/** `.example.org` is not `example.org` itself, and needs something before it. */
function hostFits(pattern: string, host: string): boolean {
  return pattern.startsWith('.') ? host.length > pattern.length && host.endsWith(pattern) : host === pattern
}

function headersFit(headers: RouteConditions['headers'], fields: Fields): boolean {
  for (const { name, value } of headers) if (fieldValue(fields, name) !== value) return false
  return true
}
