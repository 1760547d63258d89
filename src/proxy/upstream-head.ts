// The head of a request as it goes to its service.
import { isGrpcContentType } from '../core/grpc.js'
import { fieldListHas, fieldValue, requestFields } from '../core/headers.js'
import type { TableRoute } from '../core/route-table.js'
import type { EndpointAddress, ForwardedStyle } from '../core/spec.js'
import { endpointAuthority } from './authority.js'
import type { RequestHead, UpstreamHead } from './stream.js'
import { askUpgrade } from './websocket.js'

export interface UpstreamHeadFacts {
  rules: TableRoute
  /** Where it goes. */
  endpoint: EndpointAddress
  /** As the service gets it. */
  target: string
  requestId: string
  deadlineLeftMs: number | null
  forwarded: ForwardedStyle
}

/** Runs the header passes over a client's head. */
export function upstreamHead(head: RequestHead, facts: UpstreamHeadFacts): UpstreamHead {
  const { method, scheme, authority, bodyless, client } = head
  const { protocol } = facts.rules
  const fields = requestFields(head.fields, {
    to: protocol,
    client,
    scheme,
    authority,
    requestId: facts.requestId,
    grpc: isGrpcContentType(fieldValue(head.fields, 'content-type')),
    acceptsTrailers: acceptsTrailers(head),
    deadlineLeftMs: facts.deadlineLeftMs,
    forwarded: facts.forwarded,
    authorization: facts.rules.auth === null ? 'passed on' : 'taken',
  })
  const { upgrade, neverIndexed } = head
  return {
    method,
    target: facts.target,
    scheme,
    authority: authority === '' ? endpointAuthority(facts.endpoint) : authority,
    fields: upgrade === null ? fields : askUpgrade(fields, protocol),
    bodyless,
    upgrade,
    neverIndexed,
  }
}

/** Has the client said that it reads trailers?  RFC 9110 6.5.1. */
export function acceptsTrailers(head: RequestHead): boolean {
  const te = fieldValue(head.fields, 'te')
  return te !== undefined && (te === 'trailers' || fieldListHas(head.fields, 'te', 'trailers'))
}
