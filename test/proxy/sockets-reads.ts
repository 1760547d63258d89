// A process of its own for sockets.test.ts: the addon alone, and how much it reads at a time from a peer that has sent plenty.
import { createRequire } from 'node:module'
import type { native } from '../../src/proxy/sockets.js'
import { connections, descriptorOf } from './connections.js'

const READING = 1
/** Reads that go undisturbed, and those after which the socket is slowed down. */
const FREE = 3
const SLOWED = 6
const READS = 12
/** Twice as much as is read; a socket's buffers take it all. */
const BYTES = 192 * 1024

const addon = createRequire(import.meta.url)('../../../native/sockets.node') as typeof native
const { accepted, peers } = await connections(1)
const events = new Int32Array(64)
const sizes: number[] = []
let slot = -1
addon.open(Buffer.allocUnsafeSlow(256 * 1024), events, () => {
  sizes.push(events[3]! - events[2]!)
  if (sizes.length > FREE && sizes.length <= FREE + SLOWED) addon.slow(slot)
  if (sizes.length < READS) return
  process.stdout.write(JSON.stringify(sizes))
  process.exit(0)
})
// All of it is there before the first read.
await new Promise(resolve => peers[0]!.write(Buffer.alloc(BYTES), resolve))
slot = addon.adopt(descriptorOf(accepted[0]!))
accepted[0]!.destroy()
addon.watch(slot, READING)
