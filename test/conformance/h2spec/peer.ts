// One end of a connection, made of frames: it sends whatever a case says and keeps what comes, in order.
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { FLAG, type Frame } from '../h2-frames.js'
import { DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, described, type Fields, PREFACE, ping, SETTING, settings, settingsAck, TYPE } from './wire.js'

// The original waits 2 s for each event; here a busy machine must not fail a case, and a case that passes waits for nothing.
export const SILENCE_MS = 5000

/** closed: an orderly end between two frames.  torn: an end within a frame, or bytes that are none.
 *  reset: the connection was cut with RST.  silence: nothing came within the bound. */
export type Ending = 'closed' | 'torn' | 'reset'
export type Event = Frame | Ending | 'silence'

export abstract class Peer {
  /** What the other side announced in its first SETTINGS. */
  readonly announced = new Map<number, number>()
  /** Everything that came, for failure messages. */
  readonly seen: string[] = []
  /** Deviations that the acceptance rule lets pass. */
  readonly notes: string[] = []
  ending: Ending | null = null
  protected readonly socket: Socket
  private readonly queue: Frame[] = []
  private rest: Buffer = Buffer.alloc(0)
  private skip: number
  private wake: () => void = () => {}

  /** skip: bytes before the first frame, a client's preface. */
  constructor(socket: Socket, skip: number) {
    this.socket = socket
    this.skip = skip
    socket.on('data', chunk => this.read(chunk))
    socket.on('end', () => this.probe())
    socket.on('error', () => this.end('reset'))
  }

  abstract handshake(): Promise<void>

  /** All in one write: a second one could fail and take what was not yet read with it. */
  send(...frames: Buffer[]): void {
    if (this.ending === null) this.socket.write(Buffer.concat(frames))
  }

  /** The next event; frames that came before the end come before it here too. */
  async next(): Promise<Event> {
    const end = performance.now() + SILENCE_MS
    while (this.queue.length === 0 && this.ending === null) {
      const leftMs = end - performance.now()
      if (leftMs <= 0) return 'silence'
      await this.something(leftMs)
    }
    return this.queue.shift() ?? this.ending!
  }

  /** The next frame of this type; what comes before it is dropped. */
  async nextOf(type: number): Promise<Frame> {
    for (;;) {
      const event = await this.next()
      if (typeof event === 'string') this.fail(`a frame of type ${type}`, event)
      else if (event.type === type) return event
    }
  }

  /** Resolves when the connection has ended, in whatever way. */
  async ended(): Promise<void> {
    while (this.ending === null) {
      const event = await this.next()
      if (event === 'silence') this.fail('the end of the connection', event)
    }
  }

  fail(wanted: string, instead: string): never {
    assert.fail(`wanted ${wanted}, got ${instead}; all that came: ${this.seen.join(', ') || 'nothing'}`)
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Called once for each frame, when it comes. */
  protected arrived(_one: Frame): void {}

  protected learn(first: Frame): void {
    for (let at = 0; at + 6 <= first.payload.length; at += 6)
      this.announced.set(first.payload.readUInt16BE(at), first.payload.readUInt32BE(at + 2))
  }

  protected something(limitMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, limitMs)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private read(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const skipped = Math.min(this.skip, this.rest.length)
    this.skip -= skipped
    this.rest = this.rest.subarray(skipped)
    while (this.rest.length >= 9 && this.rest.length >= 9 + this.rest.readUIntBE(0, 3)) {
      const length = this.rest.readUIntBE(0, 3)
      const one = { type: this.rest[3]!, flags: this.rest[4]!, id: this.rest.readUInt32BE(5), payload: this.rest.subarray(9, 9 + length) }
      this.rest = this.rest.subarray(9 + length)
      this.queue.push(one)
      this.seen.push(described(one))
      this.arrived(one)
    }
    this.wake()
  }

  /** libuv tells an end, not an error, where RST comes together with bytes.  What we write then tells which it was. */
  private probe(): void {
    if (this.rest.length > 0) this.end('torn')
    else this.socket.write(ping(), error => this.end(error ? 'reset' : 'closed'))
  }

  private end(how: Ending): void {
    if (this.ending !== null) return
    this.ending = how
    this.seen.push(how === 'torn' ? `torn after ${JSON.stringify(this.rest.toString('latin1').slice(0, 40))}` : how)
    this.wake()
  }
}

/** A client of the proxy. */
export class ClientPeer extends Peer {
  readonly get: Fields
  readonly post: Fields

  /** path: leads to a service that answers 200 with a body. */
  constructor(socket: Socket, path: string) {
    super(socket, 0)
    this.get = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', `127.0.0.1:${socket.remotePort}`],
    ]
    this.post = this.method('POST')
  }

  method(name: string): Fields {
    return this.get.map(([field, value]) => [field, field === ':method' ? name : value])
  }

  /** Both sides have sent their SETTINGS and have had them acknowledged. */
  override async handshake(): Promise<void> {
    this.send(PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW]))
    let acknowledged = false
    let announced = false
    while (!acknowledged || !announced) {
      const one = await this.nextOf(TYPE.SETTINGS)
      if ((one.flags & FLAG.ACK) !== 0) acknowledged = true
      else {
        announced = true
        this.learn(one)
        this.send(settingsAck())
      }
    }
  }

  get maxFrameSize(): number {
    return this.announced.get(SETTING.MAX_FRAME_SIZE) ?? DEFAULT_FRAME_SIZE
  }
}
