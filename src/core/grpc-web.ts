// gRPC-Web as a proxy translates it: content types, trailers as a frame of the body, and what a browser asks before it calls.
import { type Fields, fieldValue } from './headers.js'

/** A gRPC-Web call's content type, and what it becomes on both sides. */
export interface WebType {
  /** text: base64, in pieces that may each be padded. */
  form: 'binary' | 'text'
  /** Towards the service. */
  grpc: string
  /** Towards the client; what Accept asks for is always the same form. */
  answer: string
}

/** null where the value is no gRPC-Web type.  Source: PROTOCOL-WEB.md; rule 27. */
export function webType(contentType: string | undefined): WebType | null {
  const match = contentType === undefined || contentType === 'application/grpc' ? null : WEB_TYPE.exec(contentType)
  if (match === null) return null
  const format = match[2] ?? ''
  const form = match[1] === undefined ? 'binary' : 'text'
  return {
    form,
    grpc: `application/grpc${format}`,
    answer: `application/grpc-web${form === 'text' ? '-text' : ''}${format === '' ? '+proto' : format}`,
  }
}

const WEB_TYPE = /^application\/grpc-web(-text)?(\+[a-z0-9.-]+)?(?:$|;| )/i

/** The trailers as the last frame of a gRPC-Web body: flag 0x80, length, `name: value CR LF` each.  trailers: with grpc-status. */
export function webTrailerFrame(trailers: Fields): Uint8Array {
  let text = ''
  for (let at = 0; at < trailers.length; at += 2) text += `${trailers[at]}: ${trailers[at + 1]}\r\n`
  const frame = new Uint8Array(5 + text.length)
  frame[0] = 0x80
  new DataView(frame.buffer).setUint32(1, text.length)
  for (let at = 0; at < text.length; at++) frame[5 + at] = text.charCodeAt(at)
  return frame
}

/** Is this what a browser asks before a gRPC-Web call from another origin? */
export function isWebPreflight(method: string, fields: Fields): boolean {
  if (method !== 'OPTIONS' || fieldValue(fields, 'access-control-request-method') !== 'POST') return false
  const headers = fieldValue(fields, 'access-control-request-headers')?.toLowerCase() ?? ''
  return headers.split(',').some(name => WEB_HEADERS.has(name.trim()))
}

// Every gRPC-Web client sends one of these, and a browser has to ask for them.
const WEB_HEADERS = new Set(['x-grpc-web', 'grpc-timeout', 'x-user-agent'])

/** The answer to it.  Any origin may call, without cookies: the credentials of a call are what it brings in its own fields. */
export function webPreflightFields(fields: Fields): Fields {
  return [
    ...['access-control-allow-origin', '*'],
    ...['access-control-allow-methods', 'POST, OPTIONS'],
    ...['access-control-allow-headers', fieldValue(fields, 'access-control-request-headers') ?? '*'],
    ...['access-control-max-age', '86400', 'content-length', '0'],
  ]
}

/** What the answer to a gRPC-Web call from another origin has besides. */
export function webAnswerFields(request: Fields, answer: Fields): Fields {
  if (fieldValue(request, 'origin') === undefined) return []
  const names: string[] = []
  for (let at = 0; at < answer.length; at += 2) if (!SAFE_NAMES.has(answer[at]!) && !names.includes(answer[at]!)) names.push(answer[at]!)
  for (const name of ['grpc-status', 'grpc-message']) if (!names.includes(name)) names.push(name)
  return ['access-control-allow-origin', '*', 'access-control-expose-headers', names.join(', ')]
}

// What scripts may read anyway (Fetch standard), and what is no business of theirs.
const SAFE_NAMES = new Set([
  'cache-control',
  'content-language',
  'content-length',
  'content-type',
  'expires',
  'last-modified',
  'pragma',
  'set-cookie',
])
