// Which route a request target belongs to, and what the target is for the service behind it: on raw bytes, nothing decoded.

/** An accepted target.  `path`: raw, begins with '/'.  `target`: path and query as they came.  `authority`: of an absolute-form target, else null. */
export interface Target {
  path: string
  target: string
  authority: string | null
}

export type TargetResult = ({ kind: 'ok' } & Target) | { kind: 'bad'; reason: string }

/** Checks a request target.  raw: the request line's second word or `:path`.
 *  Returns the parts, or why it is refused.  A refused target never reaches a service: two readers could understand it differently.
 *  Source: RFC 9112 3.2, RFC 3986 3.3 and 6.2.2.3, proxy.md section F rows 29-41. */
export function parseTarget(raw: string): TargetResult {
  let target = raw
  let authority: string | null = null
  const absolute = raw.charCodeAt(0) === SLASH ? null : ABSOLUTE.exec(raw)
  if (absolute !== null) {
    authority = absolute[1]!
    target = raw.slice(absolute[0].length)
    if (target === '' || target[0] === '?') target = `/${target}`
  }
  if (target[0] !== '/') return { kind: 'bad', reason: 'the target does not begin with /' }
  if (FORBIDDEN.test(target)) return { kind: 'bad', reason: 'the target has a space, a control byte, a # or a byte beyond ASCII' }
  const mark = target.indexOf('?')
  const path = mark === -1 ? target : target.slice(0, mark)
  if (path.includes('\\')) return { kind: 'bad', reason: 'the path has a backslash' }
  if (path.includes('%') && BAD_ESCAPE.test(path)) return { kind: 'bad', reason: 'the path has a broken or NUL percent escape' }
  if (hasDotSegment(path)) return { kind: 'bad', reason: 'the path has a dot segment' }
  return { kind: 'ok', path, target, authority }
}

const SLASH = 0x2f
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i
// Everything outside the visible ASCII characters, and '#', which no request target may carry.
const FORBIDDEN = /[^\x21\x22\x24-\x7e]/
const BAD_ESCAPE = /%(?![0-9a-f]{2})|%00/i

/** A segment that a decoding service would read as '.' or '..': plain, escaped (%2e), or cut out by an escaped separator (%2f, %5c). */
function hasDotSegment(path: string): boolean {
  // A gRPC path is full of dots, but none of them begins a segment.
  if (!path.includes('/.') && !path.includes('%')) return false
  for (const segment of path.split(SEPARATOR)) {
    const plain = segment.replace(ESCAPED_DOT, '.')
    if (plain === '.' || plain === '..') return true
  }
  return false
}

const SEPARATOR = /\/|%2f|%5c/i
const ESCAPED_DOT = /%2e/gi

/** The target as the service gets it: `/web/a?x` is `/a?x` behind a stripping route `/web/`, `/web/` is `/`; with `rewrite: /v2/` it is `/v2/a?x`. */
export function forwardTarget(route: { prefix: string; strip: boolean; rewrite?: string | null }, target: string): string {
  if (route.rewrite !== undefined && route.rewrite !== null) return route.rewrite + target.slice(route.prefix.length)
  return route.strip ? target.slice(route.prefix.length - 1) : target
}

/** Where a redirecting route sends the client.  to: what ends with '/' gets the rest of the target.  target: as checked by parseTarget. */
export function redirectTarget(route: { prefix: string; redirect: { target: string } }, target: string): string {
  const to = route.redirect.target
  return to.endsWith('/') ? to + target.slice(route.prefix.length) : to
}
