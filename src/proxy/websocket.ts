// WebSocket between protocols: HTTP/1 proves the upgrade with a key and its digest, HTTP/2's Extended CONNECT has neither (RFC 8441 5.1).
import { createHash, randomBytes } from 'node:crypto'
import { type Fields, fieldValue } from '../core/headers.js'
import type { Failure, RequestHead, UpstreamHead } from './stream.js'

// RFC 6455 1.3.
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The fields of an upgrade request in the words of the service's protocol. */
export function askUpgrade(fields: Fields, to: 'h2c' | 'http1'): Fields {
  const key = fieldValue(fields, 'sec-websocket-key')
  if (to === 'h2c') return without(fields, 'sec-websocket-key')
  return key === undefined ? [...fields, 'sec-websocket-key', randomBytes(16).toString('base64')] : fields
}

/** Why a service's head cannot be passed on to a client that asked for an upgrade; null: it can.
 *  asked: the request's head as it went to the service; to: the client's. */
export function upgradeFault(status: number, fields: Fields, asked: UpstreamHead, to: RequestHead): Failure | null {
  if (asked.upgrade === null) return null
  // To HTTP/2's client any 2xx says that the tunnel is there: an HTTP/1 service that does not know the upgrade says 200, and means a page.
  if (status >= 200 && status < 300 && to.protocol === 'h2c') return notAgreed(`HTTP ${status} to an upgrade`)
  const key = fieldValue(asked.fields, 'sec-websocket-key')
  // The client checks a proof for its own key; one for ours is ours to check.
  if (status !== 101 || key === undefined || key === fieldValue(to.fields, 'sec-websocket-key')) return null
  return fieldValue(fields, 'sec-websocket-accept') === digest(key) ? null : notAgreed('101 without the proof of an upgrade')
}

function notAgreed(message: string): Failure {
  return { code: 'UPSTREAM_PROTOCOL', message, again: 'no' }
}

/** The fields of a service's 101 in the words of the client's protocol. */
export function agreeUpgrade(fields: Fields, asked: UpstreamHead, to: RequestHead): Fields {
  const bare = without(fields, 'sec-websocket-accept')
  const key = fieldValue(to.fields, 'sec-websocket-key')
  if (key === undefined) return bare
  const proof = fieldValue(asked.fields, 'sec-websocket-key') === key ? fieldValue(fields, 'sec-websocket-accept') : undefined
  return [...bare, 'sec-websocket-accept', proof ?? digest(key)]
}

function digest(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64')
}

function without(fields: Fields, name: string): Fields {
  const out: Fields = []
  for (let at = 0; at < fields.length; at += 2) if (fields[at] !== name) out.push(fields[at]!, fields[at + 1]!)
  return out
}
