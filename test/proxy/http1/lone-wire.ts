// A wire without a peer, for looking at what is written into it.
import { PassThrough } from 'node:stream'
import { Wire } from '../../../src/proxy/wire.js'

export function loneWire(): { wire: Wire; written(): string } {
  const wire = Wire.over(new PassThrough(), '127.0.0.1')
  return { wire, written: () => wire.buffer.toString('latin1', 0, wire.length) }
}
