// Who the client is where proxies of ours stand before this one.
import { parseAddress } from './address.js'
import { forwardedClients, nodeAddress } from './forwarded.js'
import { type Fields, fieldValues } from './headers.js'
import type { ForwardedStyle } from './spec.js'

/** The client's address, for the log, allow and deny, rate limits and client_ip hashing.
 *  peer: the other end of the connection (or what its PROXY header said).  trustedHops: 0: the peer; else the entry so many places from the end of
 *  X-Forwarded-For (of Forwarded, where that is the style); where the list is shorter its first: somebody came in behind our first proxies.
 *  What is no address there is not believed: the peer again. */
export function clientAddress(
  request: { peer: string; fields: Fields },
  settings: { trustedHops: number; forwarded: ForwardedStyle },
): string {
  const { trustedHops, forwarded } = settings
  if (trustedHops === 0) return request.peer
  const entries = forwarded === 'forwarded' ? forwardedEntries(request.fields) : listEntries(request.fields)
  const entry = entries[Math.max(0, entries.length - trustedHops)]
  return entry === undefined || parseAddress(entry) === null ? request.peer : entry
}

function forwardedEntries(fields: Fields): string[] {
  return fieldValues(fields, 'forwarded').flatMap(forwardedClients)
}

function listEntries(fields: Fields): string[] {
  return fieldValues(fields, 'x-forwarded-for').flatMap(value => value.split(',').map(entry => nodeAddress(entry.trim())))
}
