// The first look at a request: refused, answered by the proxy itself, or sent on along a route.

import { isGrpcContentType } from '../core/grpc.js'
import { type Fields, fieldValue } from '../core/headers.js'
import { forwardTarget, parseTarget } from '../core/route.js'
import type { Refusal } from './answers.js'
import type { Route } from './routes.js'
import type { RequestHead } from './stream.js'
import type { Traffic } from './traffic.js'

export type Admission =
  | { kind: 'refuse'; refusal: Refusal }
  | { kind: 'health' }
  | { kind: 'answer'; status: number; fields: Fields }
  | { kind: 'check'; route: Route }
  | { kind: 'forward'; route: Route; target: string }

/** Looks at a head without touching the request. */
export function admit(head: RequestHead, { routes }: Traffic): Admission {
  if (head.method === 'CONNECT') return refuse('REQUEST_REFUSED', 'CONNECT is not served here')
  if (head.method === 'OPTIONS' && head.target === '*') return { kind: 'answer', status: 200, fields: ['content-length', '0'] }
  const target = parseTarget(head.target)
  if (target.kind === 'bad') return refuse('REQUEST_MALFORMED', target.reason)
  if (target.authority !== null && target.authority.toLowerCase() !== head.authority.toLowerCase()) {
    return refuse('REQUEST_MALFORMED', 'the target and the Host field name different authorities')
  }
  const asksHealth = (head.method === 'GET' || head.method === 'HEAD') && !isGrpcContentType(fieldValue(head.fields, 'content-type'))
  if (asksHealth && target.path === '/health') return { kind: 'health' }
  const route = routes.find(target.path)
  if (route === undefined) return refuse('ROUTE_UNKNOWN', `no route for ${target.path.slice(0, SHOWN_PATH)}`)
  if (asksHealth && route.rules.protocol === 'h2c' && target.path === `${route.prefix}health`) return { kind: 'check', route }
  return { kind: 'forward', route, target: forwardTarget(route.rules, target.target) }
}

/** Does the route of this gRPC-Web call translate it? */
export function translates(head: RequestHead, { routes }: Traffic): boolean {
  const target = parseTarget(head.target)
  const route = target.kind === 'bad' ? undefined : routes.find(target.path)
  return route?.rules.protocol === 'h2c' && route.rules.grpcWeb
}

const SHOWN_PATH = 200

function refuse(code: Refusal['code'], message: string): Admission {
  return { kind: 'refuse', refusal: { code, message } }
}
