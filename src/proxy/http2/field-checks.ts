// What HTTP/2 forbids among the fields of a message beyond their bytes (RFC 9113 8.2.2), looked up by length first.
import type { Fields } from '../../core/headers.js'

/** Belongs to one HTTP/1 connection; has no place here, whatever its value. */
export function isConnectionField(name: string): boolean {
  switch (name.length) {
    case 7:
      return name === 'upgrade'
    case 10:
      return name === 'connection' || name === 'keep-alive'
    case 16:
      return name === 'proxy-connection'
    case 17:
      return name === 'transfer-encoding'
    default:
      return false
  }
}

/** Trailers: no pseudo field, nothing of one connection. */
export function areTrailersSound(fields: Fields): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    if (name.charCodeAt(0) === COLON || isConnectionField(name)) return false
  }
  return true
}

export const COLON = 0x3a

/** A content-length.  Returns -1 where it is not a plain number. */
export function parseLength(value: string): number {
  return LENGTH.test(value) ? Number(value) : -1
}

const LENGTH = /^[0-9]{1,15}$/
