// The first look at a request: refused, answered by the proxy itself, or sent on along a route.
import { isAllowed } from '../core/address.js'
import { checkCredentials } from '../core/credentials.js'
import { isGrpcContentType } from '../core/grpc.js'
import { isWebPreflight, webPreflightFields } from '../core/grpc-web.js'
import { type Fields, fieldValue } from '../core/headers.js'
import { KnownClients } from '../core/known-clients.js'
import { forwardTarget, parseTarget, redirectTarget } from '../core/route.js'
import type { Refusal } from './answers.js'
import type { Route } from './routes.js'
import type { RequestHead } from './stream.js'
import type { Traffic } from './traffic.js'

export type Admission =
  | { kind: 'refuse'; refusal: Refusal }
  | { kind: 'health' }
  /** The whole answer, without a body. */
  | { kind: 'answer'; status: number; fields: Fields }
  | { kind: 'check'; route: Route }
  | { kind: 'forward'; route: Route; target: string }

const clients = new KnownClients()

/** Looks at a head without touching the request.  client: its address, as core/client-address.ts tells it. */
export function admit(head: RequestHead, client: string, traffic: Traffic): Admission {
  if (head.method === 'CONNECT') return refuse('REQUEST_REFUSED', 'CONNECT is not served here')
  if (traffic.access !== null && !isAllowed(traffic.access, clients.of(client).address))
    return refuse('ACCESS_DENIED', `${client} may not come in`)
  if (head.method === 'OPTIONS' && head.target === '*') return { kind: 'answer', status: 200, fields: ['content-length', '0'] }
  const allowed = head.method === 'OPTIONS' ? preflight(head, traffic) : null
  if (allowed !== null) return { kind: 'answer', status: 200, fields: allowed }
  const target = parseTarget(head.target)
  if (target.kind === 'bad') return refuse('REQUEST_MALFORMED', target.reason)
  if (target.authority !== null && target.authority.toLowerCase() !== head.authority.toLowerCase()) {
    return refuse('REQUEST_MALFORMED', 'the target and the Host field name different authorities')
  }
  const asksHealth = (head.method === 'GET' || head.method === 'HEAD') && !isGrpcContentType(fieldValue(head.fields, 'content-type'))
  if (asksHealth && target.path === '/health') return { kind: 'health' }
  const route = traffic.routes.find(target.path, head)
  if (route === undefined) return refuse('ROUTE_UNKNOWN', `no route for ${target.path.slice(0, SHOWN_PATH)}`)
  const { rules } = route
  const refusal = guard(route, head, client)
  if (refusal !== null) return { kind: 'refuse', refusal }
  if (rules.redirect !== null) {
    const location = redirectTarget({ prefix: rules.prefix, redirect: rules.redirect }, target.target)
    return { kind: 'answer', status: rules.redirect.status, fields: ['location', location, 'content-length', '0'] }
  }
  if (asksHealth && rules.protocol === 'h2c' && target.path === `${route.prefix}health`) return { kind: 'check', route }
  return { kind: 'forward', route, target: forwardTarget(rules, target.target) }
}

/** Does the route of this gRPC-Web call translate it? */
export function translates(head: RequestHead, { routes }: Traffic): boolean {
  const target = parseTarget(head.target)
  const route = target.kind === 'bad' ? undefined : routes.find(target.path, head)
  return route?.rules.protocol === 'h2c' && route.rules.grpcWeb
}

/** The answer to what a browser asks before a gRPC-Web call; null where this is another request.  It is given before credentials are asked for:
 *  browsers send none with it. */
function preflight(head: RequestHead, traffic: Traffic): Fields | null {
  return isWebPreflight(head.method, head.fields) && translates(head, traffic) ? webPreflightFields(head.fields) : null
}

const SHOWN_PATH = 200

/** The route's own rules, cheapest first. */
function guard(route: Route, head: RequestHead, client: string): Refusal | null {
  const { rules, access, credentials, memory } = route
  if (access !== null && !isAllowed(access, clients.of(client).address))
    return { code: 'ACCESS_DENIED', message: `${client} may not use ${rules.id}` }
  if (credentials !== null) {
    const verdict = checkCredentials(credentials, fieldValue(head.fields, 'authorization'))
    const fields = ['www-authenticate', credentials.challenge]
    if (verdict === 'missing') return { code: 'CREDENTIALS_MISSING', message: `${rules.id} asks for credentials`, fields }
    if (verdict === 'wrong') return { code: 'CREDENTIALS_WRONG', message: `${rules.id}: the credentials are not right`, fields }
  }
  const waitMs = memory.limiter?.take(clients.of(client).key, performance.now()) ?? 0
  if (waitMs > 0)
    return { code: 'RATE_LIMITED', message: `${client} asks ${rules.id} too often`, retryAfterS: Math.max(1, Math.ceil(waitMs / 1000)) }
  // Of a gRPC call each message is limited, not their sum (ledger.ts).
  if (rules.maxBodyBytes > 0 && head.contentLength > rules.maxBodyBytes && !isGrpcCall(head))
    return { code: 'REQUEST_BODY_TOO_LARGE', message: `the request body is larger than ${rules.maxBodyBytes} bytes` }
  return null
}

/** Only a call that came over HTTP/2 can read gRPC's form of an error (rule 1). */
export function isGrpcCall({ protocol, method, fields }: RequestHead): boolean {
  return protocol === 'h2c' && method === 'POST' && isGrpcContentType(fieldValue(fields, 'content-type'))
}

function refuse(code: Refusal['code'], message: string): Admission {
  return { kind: 'refuse', refusal: { code, message } }
}
