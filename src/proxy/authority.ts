// Whom a request is for: HTTP/1's Host and HTTP/2's :authority, by one rule.
import { isIPv6 } from 'node:net'
import type { EndpointAddress } from '../core/spec.js'

// Reg-name, IPv4 or bracketed IPv6, and a port (RFC 3986 3.2.2); userinfo has no place here.
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/

// Nearly every request of a connection, and of many connections, names the same host.
let soundHost = ''

/** Is this a host and maybe a port? */
export function isHost(text: string): boolean {
  if (text === soundHost && text !== '') return true
  if (!HOST.test(text)) return false
  soundHost = text
  return true
}

/** What a service is called by a client that names nobody, as HTTP/1.0 may: a Host must be there (RFC 9112 3.2), and an :authority must not be empty. */
export function endpointAuthority(address: EndpointAddress): string {
  if ('socket' in address) return 'localhost'
  const { host, port } = address
  // A zone means nothing to anybody else (RFC 6874 4).
  return isIPv6(host) ? `[${host.split('%')[0]}]:${port}` : `${host}:${port}`
}
