// What becomes of a message's header fields on their way through: one visible, ordered list of passes per direction.
import { formatGrpcTimeout } from './grpc.js'

/** Header fields in order: name, value, name, value…  Names are lower case; pseudo fields and `host` are not in here. */
export type Fields = string[]

/** What the passes over a request need to know. */
export interface RequestContext {
  to: 'h2c' | 'http1'
  /** Address of the client's end of the connection. */
  client: string
  scheme: string
  authority: string
  /** Goes on where the client sent none. */
  requestId: string
  /** The body's content type is gRPC's. */
  grpc: boolean
  /** The client said `te: trailers`. */
  acceptsTrailers: boolean
  /** Of a well-formed grpc-timeout, what is left now in ms; null: no such field. */
  deadlineLeftMs: number | null
}

export interface ResponseContext {
  acceptsTrailers: boolean
}

type Pass<C> = (fields: Fields, context: C) => Fields

const REQUEST_PASSES: readonly Pass<RequestContext>[] = [
  dropHopByHop,
  dropTrailerList,
  askForTrailers,
  joinCookies,
  tellForwarded,
  tellRequestId,
  tellDeadline,
]

const RESPONSE_PASSES: readonly Pass<ResponseContext>[] = [
  dropHopByHop,
  (fields, context) => (context.acceptsTrailers ? fields : dropTrailerList(fields)),
]

/** The fields of a request as its service gets them.  Returns a new list. */
export function requestFields(fields: Fields, context: RequestContext): Fields {
  return REQUEST_PASSES.reduce((now, pass) => pass(now, context), fields)
}

/** The fields of an answer as the client gets them.  Returns a new list. */
export function responseFields(fields: Fields, context: ResponseContext): Fields {
  return RESPONSE_PASSES.reduce((now, pass) => pass(now, context), fields)
}

/** Trailer fields of either direction without those that frame, route or authenticate (RFC 9110 6.5.1). */
export function trailerFields(fields: Fields): Fields {
  return without(dropHopByHop(fields), name => NEVER_TRAILER.has(name) || name.startsWith(':'))
}

/** The first value of a field; undefined where it is absent. */
export function fieldValue(fields: Fields, name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1]!
  return undefined
}

/** Every value of a field, in order. */
export function fieldValues(fields: Fields, name: string): string[] {
  const values: string[] = []
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) values.push(fields[at + 1]!)
  return values
}

/** Does one of the field's comma lists hold this word?  Case does not matter. */
export function fieldListHas(fields: Fields, name: string, word: string): boolean {
  return fieldValues(fields, name).some(value => listWords(value).includes(word))
}

/** Field names of a Connection header; they are hop-by-hop by nomination. */
export function listWords(value: string): string[] {
  const words: string[] = []
  for (const word of value.split(',')) if (word.trim() !== '') words.push(word.trim().toLowerCase())
  return words
}

// RFC 9110 7.6.1; proxy-authenticate and proxy-authorization are between us and the client.
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

const NEVER_TRAILER = new Set([
  'content-length',
  'host',
  'trailer',
  'content-encoding',
  'content-range',
  'content-type',
  'authorization',
  'set-cookie',
])

/** Takes off what belongs to one connection only, the names that Connection nominates included. */
function dropHopByHop(fields: Fields): Fields {
  const nominated = new Set<string>()
  for (const value of fieldValues(fields, 'connection')) for (const word of listWords(value)) nominated.add(word)
  return without(fields, name => HOP_BY_HOP.has(name) || nominated.has(name))
}

/** The announcement of trailers goes where they are not asked for. */
function dropTrailerList(fields: Fields): Fields {
  return without(fields, name => name === 'trailer')
}

/** `te: trailers` is the only TE value that goes on; a gRPC service must get it even where a hop before us lost it (rule 2). */
function askForTrailers(fields: Fields, context: RequestContext): Fields {
  return context.acceptsTrailers || context.grpc ? [...fields, 'te', 'trailers'] : fields
}

/** HTTP/2 may send a cookie in crumbs; HTTP/1 wants one field (RFC 9113 8.2.3). */
function joinCookies(fields: Fields, context: RequestContext): Fields {
  const crumbs = context.to === 'http1' ? fieldValues(fields, 'cookie') : []
  if (crumbs.length < 2) return fields
  return [...without(fields, name => name === 'cookie'), 'cookie', crumbs.join('; ')]
}

/** The client's address is added to the list; protocol and host stay as the first proxy said them: frameworks compare them as one word. */
function tellForwarded(fields: Fields, context: RequestContext): Fields {
  const earlier = fieldValues(fields, 'x-forwarded-for')
  const out = without(fields, name => name === 'x-forwarded-for')
  out.push('x-forwarded-for', [...earlier, context.client].join(', '))
  if (fieldValue(fields, 'x-forwarded-proto') === undefined) out.push('x-forwarded-proto', context.scheme)
  if (fieldValue(fields, 'x-forwarded-host') === undefined) out.push('x-forwarded-host', context.authority)
  return out
}

function tellRequestId(fields: Fields, context: RequestContext): Fields {
  return fieldValue(fields, 'x-request-id') === undefined ? [...fields, 'x-request-id', context.requestId] : fields
}

/** The time left, never more than the client gave (rule 17). */
function tellDeadline(fields: Fields, context: RequestContext): Fields {
  if (context.deadlineLeftMs === null) return fields
  return [...without(fields, name => name === 'grpc-timeout'), 'grpc-timeout', formatGrpcTimeout(context.deadlineLeftMs)]
}

function without(fields: Fields, drop: (name: string) => boolean): Fields {
  const out: Fields = []
  for (let at = 0; at < fields.length; at += 2) if (!drop(fields[at]!)) out.push(fields[at]!, fields[at + 1]!)
  return out
}
