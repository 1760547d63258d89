// An HTTP/2 peer made of single frames, on either side: it sends what it is told, keeps what comes, and lets a test wait for it.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { HpackDecoder } from '../../../src/proxy/http2/hpack/decoder.js'
import { FLAG, type Frame, frame, headerBlock, TYPE, uint32 } from '../../conformance/h2-frames.js'

export { FLAG, frame, headerBlock, TYPE, uint32 }
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
export const PRIORITY = 2
export const PUSH_PROMISE = 5
export const PADDED = 8

export interface SeenFrame extends Frame {
  /** Of HEADERS: name, value, name, value… */
  fields: string[]
  /** Names in it that came marked as never indexed. */
  neverIndexed: readonly string[]
}

export class RawPeer {
  readonly frames: SeenFrame[] = []
  readonly socket: Socket
  isClosed = false
  /** Whether PINGs and SETTINGS of the other side are answered. */
  answers = true
  private rest: Buffer = Buffer.alloc(0)
  private prefaceLeft: number
  private readonly decoder = new HpackDecoder(4096)
  private readonly waiters = new Set<() => void>()

  constructor(socket: Socket, role: 'client' | 'service') {
    this.socket = socket
    this.prefaceLeft = role === 'service' ? PREFACE.length : 0
    socket.on('error', () => {})
    socket.on('data', chunk => this.take(chunk))
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.isClosed = true
      this.look()
    })
  }

  send(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes))
  }

  headers(id: number, fields: [string, string][], flags: number): void {
    this.send(frame(TYPE.HEADERS, FLAG.END_HEADERS | flags, id, headerBlock(fields)))
  }

  data(id: number, payload: Buffer | string, flags: number): void {
    this.send(frame(TYPE.DATA, flags, id, Buffer.from(payload as string)))
  }

  of(type: number, id = -1): SeenFrame[] {
    return this.frames.filter(one => one.type === type && (id === -1 || one.id === id))
  }

  /** The error code of the GOAWAY that came last; -1: none. */
  get goawayCode(): number {
    return this.of(TYPE.GOAWAY).at(-1)?.payload.readUInt32BE(4) ?? -1
  }

  /** The error code of a stream's RST_STREAM; -1: none. */
  resetCode(id: number): number {
    return this.of(TYPE.RST, id)[0]?.payload.readUInt32BE(0) ?? -1
  }

  /** Bytes of a stream's DATA. */
  body(id: number): Buffer {
    return Buffer.concat(this.of(TYPE.DATA, id).map(one => one.payload))
  }

  hasEnded(id: number): boolean {
    return this.frames.some(
      one => one.id === id && (one.type === TYPE.DATA || one.type === TYPE.HEADERS) && (one.flags & FLAG.END_STREAM) !== 0,
    )
  }

  /** Waits until this is true of what came. */
  async until(what: string, isTrue: (peer: RawPeer) => boolean, limitMs = 30_000): Promise<void> {
    if (isTrue(this)) return
    await new Promise<void>((resolve, reject) => {
      const giveUp = () => {
        clearTimeout(timer)
        this.waiters.delete(look)
        const seen = this.frames.slice(-20).map(one => `${one.type}/${one.flags}/${one.id}/${one.payload.toString('hex').slice(0, 24)}`)
        reject(
          new Error(`waited ${limitMs} ms for ${what}; closed: ${this.isClosed}; last frames (type/flags/id/payload): ${seen.join(' ')}`),
        )
      }
      const timer = setTimeout(giveUp, limitMs)
      const look = () => {
        if (!isTrue(this)) {
          if (this.isClosed) giveUp()
          return
        }
        clearTimeout(timer)
        this.waiters.delete(look)
        resolve()
      }
      this.waiters.add(look)
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private look(): void {
    for (const waiter of [...this.waiters]) waiter()
  }

  private take(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const skipped = Math.min(this.prefaceLeft, this.rest.length)
    this.prefaceLeft -= skipped
    let at = skipped
    while (this.rest.length - at >= 9) {
      const length = this.rest.readUIntBE(at, 3)
      if (this.rest.length - at < 9 + length) break
      const payload = Buffer.from(this.rest.subarray(at + 9, at + 9 + length))
      const one: SeenFrame = {
        type: this.rest[at + 3]!,
        flags: this.rest[at + 4]!,
        id: this.rest.readUInt32BE(at + 5),
        payload,
        fields: [],
        neverIndexed: [],
      }
      at += 9 + length
      if (one.type === TYPE.HEADERS) {
        this.decoder.decode(payload, 0, payload.length, one.fields, 1 << 20, 10_000)
        one.neverIndexed = this.decoder.neverIndexed
      }
      this.frames.push(one)
      if (this.answers) this.answer(one)
    }
    this.rest = this.rest.subarray(at)
    this.look()
  }

  private answer(one: SeenFrame): void {
    if ((one.flags & FLAG.ACK) !== 0) return
    if (one.type === TYPE.SETTINGS) this.send(frame(TYPE.SETTINGS, FLAG.ACK, 0))
    if (one.type === TYPE.PING) this.send(frame(TYPE.PING, FLAG.ACK, 0, one.payload))
  }
}

/** A client that has said its preface and these settings. */
export async function rawClient(port: number, settings: [number, number][] = []): Promise<RawPeer> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const peer = new RawPeer(socket, 'client')
  peer.send(PREFACE, settingsFrame(settings))
  return peer
}

export function settingsFrame(settings: [number, number][]): Buffer {
  return frame(
    TYPE.SETTINGS,
    0,
    0,
    Buffer.concat(settings.map(([number, value]) => Buffer.concat([Buffer.from([0, number]), uint32(value)]))),
  )
}

/** A service whose connections are raw peers; `settings`: what each of them says first. */
export async function rawService(
  connected: (peer: RawPeer, number: number) => void,
  settings: [number, number][] | null = [],
): Promise<{ port: number; peers: RawPeer[]; close(): Promise<void> }> {
  const peers: RawPeer[] = []
  const server: Server = createServer({ noDelay: true }, socket => {
    const peer = new RawPeer(socket, 'service')
    peers.push(peer)
    if (settings !== null) peer.send(settingsFrame(settings))
    connected(peer, peers.length)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    const closed = new Promise(resolve => server.close(resolve))
    for (const peer of peers) peer.close()
    await closed
  }
  return { port: (server.address() as { port: number }).port, peers, close }
}

export function request(path = '/', more: [string, string][] = [], method = 'POST'): [string, string][] {
  return [[':method', method], [':scheme', 'http'], [':path', path], [':authority', 'h'], ...more]
}
