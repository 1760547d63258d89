// The HEADERS frame of a request to a service.
import type { UpstreamHead } from '../stream.js'
import { FLAG } from './frames.js'
import type { Output } from './output.js'

/** Writes it.  Returns whether it ends the request: a tunnel's does not (RFC 8441). */
export function writeRequestHead(output: Output, id: number, head: UpstreamHead): boolean {
  const isTunnel = head.upgrade !== null
  const at = output.headBegun(head.neverIndexed)
  output.field(':method', isTunnel ? 'CONNECT' : head.method)
  if (isTunnel) output.field(':protocol', 'websocket')
  output.field(':scheme', head.scheme)
  output.field(':path', head.target)
  output.field(':authority', head.authority)
  if (isTunnel) tunnelFields(output, head.fields)
  else output.fields(head.fields)
  const ends = head.bodyless && !isTunnel
  output.headDone(at, id, ends ? FLAG.END_STREAM : 0)
  return ends
}

/** The key is HTTP/1's (RFC 8441 5). */
function tunnelFields(output: Output, fields: readonly string[]): void {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] !== 'sec-websocket-key') output.field(fields[at]!, fields[at + 1]!)
}
