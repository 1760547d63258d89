// A process of its own for sockets.test.ts: runs the scenario it is named, prints what it saw as JSON, and ends.
import { closeSync, openSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { missing } from '../../src/proxy/sockets.js'
import { Wire, type WireOwner } from '../../src/proxy/wire.js'
import { connections } from './connections.js'

const tell = (seen: unknown) => process.stdout.write(`${JSON.stringify(seen)}\n`)

function owner(wire: Wire, received: (text: string) => void): void {
  const heard: WireOwner = {
    received: (chunk, start, end) => received(chunk.toString('latin1', start, end)),
    ended: () => {},
    closed: () => {},
    writable: () => {},
  }
  wire.owner = heard
  wire.resumeReading()
}

/** Takes every descriptor there is.  Returns what gives them back. */
function takeDescriptors(): () => void {
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch {
    return () => taken.forEach(closeSync)
  }
}

const scenarios: Record<string, () => Promise<void>> = {
  /** The first of three throws; each has its bytes, what it had planned runs, and both errors are uncaught ones. */
  throws: async () => {
    const uncaught: string[] = []
    process.on('uncaughtException', error => uncaught.push(error.message))
    const { accepted, peers } = await connections(3)
    const heard: string[] = []
    for (const [at, socket] of accepted.entries())
      owner(Wire.accepted(socket), text => {
        heard.push(text)
        process.nextTick(() => heard.push(`later ${text}`))
        if (at < 2) throw new Error(`thrown ${at}`)
      })
    for (const [at, peer] of peers.entries()) peer.write(String(at))
    while (heard.length < 6 || uncaught.length < 2) await new Promise(resolve => setTimeout(resolve, 5))
    peers[0]!.write('again')
    while (heard.length < 8) await new Promise(resolve => setTimeout(resolve, 5))
    tell({ heard: heard.sort(), uncaught: uncaught.sort() })
    process.exit(0)
  },

  noDescriptors: async () => {
    const { accepted, peers } = await connections(2)
    const giveBack = takeDescriptors()
    const [without, withCopy] = [Wire.accepted(accepted[0]!), () => Wire.accepted(accepted[1]!)]
    giveBack()
    const wires = [without, withCopy()]
    const heard: string[] = []
    for (const wire of wires) owner(wire, text => heard.push(text))
    for (const peer of peers) peer.write('bytes')
    while (heard.length < 2) await new Promise(resolve => setTimeout(resolve, 5))
    tell({ heard, carriers: wires.map(wire => (wire as unknown as { carrier: object }).carrier.constructor.name) })
    process.exit(0)
  },

  /** The loop ends by itself: nothing is watched, and nobody has closed. */
  openAtEnd: async () => {
    const { accepted, peers } = await connections(70)
    for (const socket of accepted) Wire.accepted(socket).pauseReading()
    for (const peer of peers) peer.unref()
    process.on('exit', () => tell({ open: accepted.length }))
  },

  exitFromWithin: async () => {
    const { accepted, peers } = await connections(3)
    for (const socket of accepted) owner(Wire.accepted(socket), () => process.exit(7))
    for (const peer of peers) peer.write('x')
  },

  /** Another thread has no sockets of ours, and leaves those of the main one alone when it ends. */
  thread: async () => {
    const { accepted, peers } = await connections(1)
    const heard: string[] = []
    owner(Wire.accepted(accepted[0]!), text => heard.push(text))
    const module = JSON.stringify(new URL('../../src/proxy/sockets.js', import.meta.url).href)
    const thread = new Worker(`import(${module}).then(({ missing }) => require('node:worker_threads').parentPort.postMessage(missing))`, {
      eval: true,
    })
    const [there] = await Promise.all(['message', 'exit'].map(event => new Promise(resolve => thread.once(event, resolve))))
    peers[0]!.write('still here')
    while (heard.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
    tell({ there, here: missing, heard })
    process.exit(0)
  },
}

const scenario = scenarios[process.argv[2] ?? '']
if (scenario === undefined) throw new Error('which scenario?')
await scenario()
