// WebSocket between protocols: HTTP/1 proves the upgrade with a key and its digest, HTTP/2's Extended CONNECT has neither (RFC 8441 5.1).
import { createHash, randomBytes } from 'node:crypto'
import { type Fields, fieldValue } from '../core/headers.js'
import type { RequestHead, UpstreamHead } from './stream.js'

// RFC 6455 1.3.
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The fields of an upgrade request in the words of the service's protocol. */
export function askUpgrade(fields: Fields, to: 'h2c' | 'http1'): Fields {
  const key = fieldValue(fields, 'sec-websocket-key')
  if (to === 'h2c') return without(fields, 'sec-websocket-key')
  return key === undefined ? [...fields, 'sec-websocket-key', randomBytes(16).toString('base64')] : fields
}

/** The fields of a service's 101 in the words of the client's protocol; null where the service has not proved that it understood.
 *  asked: the request's head as it went to the service; to: the client's. */
export function agreeUpgrade(fields: Fields, asked: UpstreamHead, to: RequestHead): Fields | null {
  const proof = fieldValue(fields, 'sec-websocket-accept')
  const askedKey = fieldValue(asked.fields, 'sec-websocket-key')
  const key = fieldValue(to.fields, 'sec-websocket-key')
  // The client checks a proof for its own key; one for ours is ours to check.
  if (askedKey !== undefined && askedKey !== key && proof !== digest(askedKey)) return null
  const bare = without(fields, 'sec-websocket-accept')
  if (key === undefined) return bare
  return [...bare, 'sec-websocket-accept', askedKey === key && proof !== undefined ? proof : digest(key)]
}

function digest(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64')
}

function without(fields: Fields, name: string): Fields {
  const out: Fields = []
  for (let at = 0; at < fields.length; at += 2) if (fields[at] !== name) out.push(fields[at]!, fields[at + 1]!)
  return out
}
