// A process of its own for sockets.test.ts: the addon alone, and how much it reads at a time from a peer that has sent plenty.
import { createRequire } from 'node:module'
import type { native } from '../../src/proxy/sockets.js'
import { connections, descriptorOf } from './connections.js'

const READING = 1
/** Reads that go undisturbed, and those after which the socket is slowed down. */
const FREE = 3
const SLOWED = 6
const READS = 12
/** Enough for growth from 1.5 KiB, which is no power of two, by steps of 1 KiB to the largest read. */
const LAST = 90
/** A socket's buffers take it all. */
const BYTES = 192 * 1024

const addon = createRequire(import.meta.url)('../../../native/sockets.node') as typeof native
const { accepted, peers } = await connections(1)
const events = new Int32Array(64)
const sizes: number[] = []
let slot = -1
addon.open(Buffer.allocUnsafeSlow(256 * 1024), events, () => {
  sizes.push(events[3]! - events[2]!)
  if (sizes.length > FREE && sizes.length <= FREE + SLOWED) addon.slow(slot)
  if (sizes.length === READS) addon.slow(slot)
  if (sizes.length < LAST) return
  process.stdout.write(JSON.stringify({ sizes: sizes.slice(0, READS + 2), largest: Math.max(...sizes) }))
  process.exit(0)
})
const feed = () => {
  while (peers[0]!.write(Buffer.alloc(BYTES)));
}
peers[0]!.on('drain', feed)
// All of it is there before the first read.
await new Promise(resolve => peers[0]!.write(Buffer.alloc(BYTES), resolve))
slot = addon.adopt(descriptorOf(accepted[0]!))
accepted[0]!.destroy()
addon.watch(slot, READING)
feed()
