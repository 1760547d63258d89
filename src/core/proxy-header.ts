// The PROXY protocol's header, versions 1 and 2: who the peer of a connection really is, told by the proxy in front of us.
import { parseAddress } from './address.js'

export type ProxyHeader =
  /** More bytes are needed. */
  | { kind: 'more' }
  | { kind: 'bad'; reason: string }
  /** length: bytes of the header.  address: of the client; null where the sender speaks for itself (LOCAL, UNKNOWN). */
  | { kind: 'header'; length: number; address: string | null }

const MORE: ProxyHeader = { kind: 'more' }
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const V1_MAX = 107
const V2_FIXED = 16
// Addresses and a few TLVs; far below what 16 bits allow.
const V2_MAX = 2048

/** Reads the header at the beginning of a connection.  bytes: all that has come so far.
 *  Source: the PROXY protocol, sections 2.1 and 2.2 (haproxy.org/download/2.6/doc/proxy-protocol.txt). */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (bytes.length === 0) return MORE
  return bytes[0] === SIGNATURE[0] ? readVersion2(bytes) : readVersion1(bytes)
}

function readVersion1(bytes: Uint8Array): ProxyHeader {
  const text = String.fromCharCode(...bytes.subarray(0, V1_MAX))
  const end = text.indexOf('\r\n')
  if (end === -1) {
    const begins = 'PROXY '.startsWith(text.slice(0, 6)) || text.startsWith('PROXY ')
    return begins && bytes.length < V1_MAX ? MORE : bad('the connection does not begin with a PROXY header')
  }
  const length = end + 2
  if (text.startsWith('PROXY UNKNOWN')) return { kind: 'header', length, address: null }
  const words = V1_LINE.exec(text.slice(0, end))
  if (words === null) return bad('a PROXY header that cannot be read')
  const [, family, source] = words as unknown as [string, 'TCP4' | 'TCP6', string]
  const fits = parseAddress(source) !== null && source.includes(':') === (family === 'TCP6')
  return fits ? { kind: 'header', length, address: source } : bad('a PROXY header without a client address')
}

const V1_LINE = /^PROXY (TCP4|TCP6) (\S+) (\S+) [0-9]{1,5} [0-9]{1,5}$/

function readVersion2(bytes: Uint8Array): ProxyHeader {
  for (let at = 0; at < Math.min(bytes.length, SIGNATURE.length); at++) {
    if (bytes[at] !== SIGNATURE[at]) return bad('the connection does not begin with a PROXY header')
  }
  if (bytes.length < V2_FIXED) return MORE
  const [command, family] = [bytes[12]!, bytes[13]!]
  const length = V2_FIXED + (bytes[14]! << 8) + bytes[15]!
  if (command >> 4 !== 2 || (command & 15) > 1) return bad('a PROXY header of an unknown version or command')
  if (length > V2_MAX) return bad('a PROXY header that is too long')
  if (bytes.length < length) return MORE
  if ((command & 15) === 0) return { kind: 'header', length, address: null }
  return version2Address(bytes, family >> 4, length)
}

function version2Address(bytes: Uint8Array, family: number, length: number): ProxyHeader {
  const room = length - V2_FIXED
  if (family === 1 && room >= 12) return { kind: 'header', length, address: bytes.subarray(V2_FIXED, V2_FIXED + 4).join('.') }
  if (family === 2 && room >= 36) return { kind: 'header', length, address: ipv6Text(bytes.subarray(V2_FIXED, V2_FIXED + 16)) }
  // AF_UNSPEC and AF_UNIX name no address; the connection is valid all the same.
  if (family === 0 || family === 3) return { kind: 'header', length, address: null }
  return bad('a PROXY header with an address that is cut off')
}

/** Full groups, leading zeros left out. */
function ipv6Text(bytes: Uint8Array): string {
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at]! << 8) | bytes[at + 1]!).toString(16))
  return groups.join(':')
}

function bad(reason: string): ProxyHeader {
  return { kind: 'bad', reason }
}
