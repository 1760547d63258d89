// A process of its own for sockets.test.ts: the addon alone, with room for one read and for two events.
// Every socket is handed over in the middle of libuv's turn then, and others are closed and adopted there.
import { createRequire } from 'node:module'
import type { native } from '../../src/proxy/sockets.js'
import { connections, descriptorOf } from './connections.js'

const READING = 1

const addon = createRequire(import.meta.url)('../../../native/sockets.node') as typeof native
const refusals: string[] = []
const refused = (call: () => unknown) => {
  try {
    call()
    refusals.push('no refusal')
  } catch (error) {
    refusals.push((error as Error).message)
  }
}
refused(() => addon.adopt(0))
refused(() => addon.open('arena' as never, new Int32Array(8), () => {}))
refused(() => addon.open(Buffer.alloc(100), new Int32Array(8), () => {}))
refused(() => addon.open(Buffer.alloc(65536), new Int32Array(4), () => {}))
refused(() => addon.open(Buffer.alloc(65536), new Int32Array(8), {} as never))
const { accepted, peers } = await connections(12)
const late = accepted.pop()!
const events = new Int32Array(8)
const arena = Buffer.allocUnsafeSlow(64 * 1024)
const slots: number[] = []
const heard: string[] = []
let calls = 0
addon.open(arena, events, count => {
  calls++
  for (let at = 0; at < count * 4; at += 4)
    heard.push(`${slots.indexOf(events[at]!)} ${arena.toString('latin1', events[at + 2], events[at + 3])}`)
  if (calls > 1) return
  // Of those that are ready now: all but the first and the last are gone, and one that comes has the lowest free descriptor.
  const [told] = heard[0]!.split(' ')
  for (let at = 0; at < 10; at++) if (at !== Number(told)) addon.close(slots[at]!, false)
  slots.push(addon.adopt(descriptorOf(late)))
  late.destroy()
  addon.watch(slots.at(-1)!, READING)
})
for (const socket of accepted) {
  slots.push(addon.adopt(descriptorOf(socket)))
  socket.destroy()
  addon.watch(slots.at(-1)!, READING)
}
for (const [at, peer] of peers.entries()) peer.write(`of ${at}`)
while (heard.length < 3) await new Promise(resolve => setTimeout(resolve, 5))
process.stdout.write(JSON.stringify({ refusals, calls, isNewSlot: new Set(slots).size === slots.length, heard: heard.slice(1) }))
process.exit(0)
