// Fuzz of a whole client connection: sequences of frames, sound, shuffled and mutated, in any cut: no throw, no hang, no growth, and no event after the last.
import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { describe, it } from 'node:test'
import { ServerConnection } from '../../../src/proxy/http2/server-connection.js'
import type { ClientEvents, ClientStream } from '../../../src/proxy/stream.js'
import { Wire } from '../../../src/proxy/wire.js'
import { PLAIN_PROXY } from '../../core/fixture-proxy.js'

// FUZZ_ROUNDS=1000000 runs as many; FUZZ_SEED repeats a failure.
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 60_000)
const BATCH = 500
const MAX_OUTPUT_BYTES = 1 << 20

/** Numbers from a seed (mulberry32). */
class Dice {
  private state: number
  constructor(seed: number) {
    this.state = seed >>> 0
  }
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
}

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])
const HEADS = [
  Buffer.concat([
    Buffer.from([0x83, 0x86]),
    literal(':path', '/s/x.Y/Z'),
    literal(':authority', 'h'),
    literal('content-type', 'application/grpc'),
  ]),
  Buffer.concat([Buffer.from([0x82, 0x86, 0x84]), literal(':authority', 'h'), literal('content-length', '5')]),
  literal('grpc-status', '0'),
  Buffer.from([0x82, 0x86, 0x84, 0x20, 0x3f, 0xff, 0xff, 0x7f]),
]
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0))])

/** A frame that is sound by itself, on one of few streams, so that they meet in every state. */
function anyFrame(dice: Dice): Buffer {
  const id = dice.pick([1, 1, 3, 3, 5, 5, 7, 2])
  const word = Buffer.alloc(4)
  word.writeUInt32BE(dice.pick([0, 1, 7, 8, 1000, 0x7fffffff]))
  switch (dice.below(11)) {
    case 0:
    case 1:
    case 2:
      return frame(1, dice.pick([4, 5, 4, 5, 0]), id, dice.pick([HEADS[0]!, HEADS[0]!, HEADS[1]!, ...HEADS]))
    case 3:
      return frame(0, dice.pick([0, 1, 8]), id, Buffer.alloc(dice.pick([0, 1, 5, 300]), 3))
    case 4:
      return frame(9, dice.pick([0, 4]), id, dice.pick(HEADS).subarray(0, dice.below(20)))
    case 5:
      return frame(3, 0, id, word)
    case 6:
      return frame(8, 0, dice.pick([0, id]), word)
    case 7:
      return frame(
        4,
        dice.pick([0, 1]),
        0,
        dice.pick([Buffer.alloc(0), Buffer.concat([Buffer.from([0, 4]), word]), Buffer.from([0, 1, 0, 0, 0, 0])]),
      )
    case 8:
      return frame(6, dice.pick([0, 1]), 0, Buffer.alloc(8))
    case 9:
      return frame(2, 0, id, Buffer.concat([word, Buffer.alloc(1)]))
    default:
      return frame(dice.pick([5, 7, 10, 200]), dice.below(256), dice.pick([0, id]), Buffer.alloc(dice.below(20)))
  }
}

function sequence(dice: Dice): Buffer {
  const first = frame(1, dice.pick([4, 5]), 1, dice.pick(HEADS.slice(0, 2)))
  const bytes = Buffer.concat([PREFACE, first, ...Array.from({ length: 1 + dice.below(12) }, () => anyFrame(dice))])
  for (let flips = dice.below(4) === 0 ? dice.below(6) : 0; flips > 0; flips--) bytes[dice.below(bytes.length)] = dice.below(256)
  return bytes
}

/** Answers at random, and takes down what must not happen. */
class Reader implements ClientEvents {
  isOver = false
  private readonly stream: ClientStream
  private readonly dice: Dice
  private readonly faults: string[]

  constructor(stream: ClientStream, dice: Dice, faults: string[]) {
    this.stream = stream
    this.dice = dice
    this.faults = faults
    stream.events = this
    if (dice.below(4) === 0) this.answer()
  }

  private answer(): void {
    this.stream.sendHead(200, ['content-type', 'text/plain'], 'later')
    this.stream.sendData(Buffer.alloc(this.dice.pick([0, 1, 2000])), 0, 0)
    if (this.dice.below(2) === 0) this.stream.sendEnd(['grpc-status', '0'])
    else this.stream.sendReset(2)
  }

  private told(event: string): void {
    if (this.isOver) this.faults.push(`${event} after the last event`)
  }

  requestData(_chunk: Buffer, start: number, end: number): void {
    this.told('requestData')
    this.stream.grant(end - start)
  }
  requestEnd(): void {
    this.told('requestEnd')
    if (this.dice.below(2) === 0) this.answer()
  }
  answerDrained(): void {
    this.told('answerDrained')
  }
  answerSent(): void {
    this.told('answerSent')
    this.isOver = true
  }
  clientGone(): void {
    this.told('clientGone')
    this.isOver = true
  }
}

/** One connection's life.  Returns how many requests it served. */
function live(bytes: Buffer, dice: Dice, faults: string[]): number {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const wire = Wire.over(socket, '127.0.0.1')
  let served = 0
  const serve = (stream: ClientStream) => {
    served++
    new Reader(stream, dice, faults)
  }
  const connection = new ServerConnection(wire, { settings: PLAIN_PROXY, scheme: 'http', serve, isDraining: () => false, closed: () => {} })
  wire.owner = connection
  const step = dice.pick([1, 3, 9, 64, bytes.length])
  for (let at = 0; at < bytes.length; at += step) connection.received(bytes, at, Math.min(bytes.length, at + step))
  if (wire.length > MAX_OUTPUT_BYTES) faults.push(`${wire.length} bytes of output`)
  wire.destroy()
  return served
}

describe('a connection of random and mutated frames', () => {
  it(`${ROUNDS} of them: no throw, no event out of order, no growth`, async () => {
    const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
    const dice = new Dice(seed)
    const faults: string[] = []
    let served = 0
    let heapBefore = 0
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = sequence(dice)
      try {
        served += live(bytes, dice, faults)
      } catch (error) {
        assert.fail(`FUZZ_SEED=${seed}, round ${round}: ${error instanceof Error ? error.stack : error}\n${bytes.toString('hex')}`)
      }
      assert.deepEqual(faults, [], `FUZZ_SEED=${seed}, round ${round}: ${bytes.toString('hex')}`)
      if (round % BATCH === 0) await new Promise(resolve => setImmediate(resolve))
      if (round === ROUNDS >> 2) heapBefore = process.memoryUsage().heapUsed
    }
    assert.ok(served > ROUNDS / 2, `only ${served} requests were served: the mutations are too wild to say anything`)
    const grown = process.memoryUsage().heapUsed - heapBefore
    assert.ok(grown < 64 << 20, `the heap has grown by ${grown} bytes`)
  })
})
