// Between Node's header shapes and ours: raw name-value lists in, lower-case Fields out, and back to http2's objects.
import type { OutgoingHttpHeaders } from 'node:http'
import type { Fields } from '../core/headers.js'

/** Node's raw header list as Fields; pseudo fields and `host` are left out: the head carries them. */
export function fieldsFromRaw(raw: readonly string[]): Fields {
  const fields: Fields = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    if (name !== 'host' && name.charCodeAt(0) !== COLON) fields.push(name, raw[at + 1]!)
  }
  return fields
}

const COLON = 0x3a

/** Fields as node:http2 wants them: equal names become an array, in order. */
export function headerObject(fields: Fields): OutgoingHttpHeaders {
  const out: OutgoingHttpHeaders = Object.create(null)
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    const earlier = out[name]
    if (earlier === undefined) out[name] = fields[at + 1]!
    else if (Array.isArray(earlier)) earlier.push(fields[at + 1]!)
    else out[name] = [String(earlier), fields[at + 1]!]
  }
  return out
}
