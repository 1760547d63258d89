// A client of raw frames: sends anything, and tells what came back per stream and for the connection.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { HpackReader } from '../grpc/hpack-reader.js'
import { FLAG, type Frame, frame, headerBlock, TYPE, uint32 } from '../h2-frames.js'
import { endLater } from '../start-proxy.js'

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Codes of RST_STREAM and GOAWAY. */
export const CODE = { NO_ERROR: 0, PROTOCOL: 1, FLOW_CONTROL: 3, FRAME_SIZE: 6, REFUSED: 7, CANCEL: 8, COMPRESSION: 9, CALM: 11 } as const

/** Cuts a byte stream into frames. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): Frame[] {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const frames: Frame[] = []
    let at = 0
    for (;;) {
      if (this.rest.length - at < 9) break
      const length = this.rest.readUIntBE(at, 3)
      if (this.rest.length - at < 9 + length) break
      const payload = this.rest.subarray(at + 9, at + 9 + length)
      frames.push({ type: this.rest[at + 3]!, flags: this.rest[at + 4]!, id: this.rest.readUInt32BE(at + 5) & 0x7fffffff, payload })
      at += 9 + length
    }
    this.rest = this.rest.subarray(at)
    return frames
  }
}

/** What came back on one stream. */
export interface StreamAnswer {
  /** Statuses below 200. */
  informational: number[]
  status: number
  fields: string[]
  /** Of a longer one, its first MiB. */
  body: string
  bodyBytes: number
  trailers: string[]
  /** HEADERS was all there was. */
  headOnly: boolean
  ended: boolean
  resetCode: number | null
}

export class FrameClient {
  private static readonly all = new Set<FrameClient>()
  readonly socket: Socket
  /** Code of the GOAWAY that came; null: none. */
  goaway: number | null = null
  /** Every GOAWAY, SETTINGS and PING frame and its flags. */
  readonly control: Frame[] = []
  closed = false
  /** Every DATA frame is credited at once, to its stream and the connection. */
  creditsAll = false
  /** Off for a client that is still saying its own: an ACK in front of it would be its first frame. */
  acknowledgesSettings = true
  private readonly answers = new Map<number, StreamAnswer>()
  private readonly decoder = new HpackReader()
  private readonly reader = new FrameReader()
  private block: Buffer = Buffer.alloc(0)
  private nextId = 1
  private readonly watchers = new Set<() => void>()

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      for (const one of this.reader.push(chunk)) this.frame(one)
      this.look()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.look()
    })
  }

  /** Connects and says what a client says first. */
  static async open(port: number, settings: Buffer = Buffer.alloc(0)): Promise<FrameClient> {
    const client = await FrameClient.silent(port)
    client.send(PREFACE, frame(TYPE.SETTINGS, 0, 0, settings))
    return client
  }

  /** Connects and says nothing. */
  static async silent(port: number): Promise<FrameClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const client = new FrameClient(socket)
    FrameClient.all.add(client)
    client.close = endLater(() => {
      FrameClient.all.delete(client)
      socket.destroy()
    })
    await once(socket, 'connect')
    return client
  }

  close: () => void = () => {}

  /** What a failed test has left open must not disturb the next one. */
  static closeAll(): void {
    for (const client of FrameClient.all) client.close()
  }

  send(...frames: Buffer[]): void {
    this.socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames))
  }

  /** Id for a new stream. */
  id(): number {
    const id = this.nextId
    this.nextId += 2
    return id
  }

  /** Opens a stream; returns its id. */
  headers(fields: [string, string][], end: 'end' | 'more'): number {
    const id = this.id()
    this.send(frame(TYPE.HEADERS, FLAG.END_HEADERS | (end === 'end' ? FLAG.END_STREAM : 0), id, headerBlock(fields)))
    return id
  }

  answer(id: number): StreamAnswer {
    let found = this.answers.get(id)
    if (found === undefined) {
      found = {
        informational: [],
        status: 0,
        fields: [],
        body: '',
        bodyBytes: 0,
        trailers: [],
        headOnly: false,
        ended: false,
        resetCode: null,
      }
      this.answers.set(id, found)
    }
    return found
  }

  /** Waits until the stream has ended or been reset, or the connection is done for. */
  async settled(id: number, limitMs = 30_000): Promise<StreamAnswer> {
    const answer = this.answer(id)
    await this.seen(() => answer.ended || answer.resetCode !== null || this.goaway !== null || this.closed, limitMs)
    return answer
  }

  /** Waits until the fact holds; looks whenever something came. */
  async seen(fact: () => boolean, limitMs = 30_000): Promise<void> {
    if (fact()) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.watchers.delete(watcher)
        reject(new Error(`not within ${limitMs} ms: ${fact}`))
      }, limitMs)
      const watcher = () => {
        if (!fact()) return
        clearTimeout(timer)
        this.watchers.delete(watcher)
        resolve()
      }
      this.watchers.add(watcher)
    })
  }

  /** One polite GET on a stream of its own. */
  async get(path: string): Promise<StreamAnswer> {
    return this.settled(this.headers(request(path), 'end'))
  }

  private look(): void {
    for (const watcher of this.watchers) watcher()
  }

  private frame(one: Frame): void {
    switch (one.type) {
      case TYPE.HEADERS:
      case TYPE.CONTINUATION:
        this.block = one.type === TYPE.HEADERS ? one.payload : Buffer.concat([this.block, one.payload])
        if (one.type === TYPE.HEADERS && (one.flags & FLAG.END_STREAM) !== 0) this.answer(one.id).ended = true
        if ((one.flags & FLAG.END_HEADERS) !== 0) this.fields(this.answer(one.id), this.decoder.read(this.block))
        return
      case TYPE.DATA: {
        const answer = this.answer(one.id)
        if (answer.bodyBytes < 1 << 20) answer.body += one.payload.toString('latin1')
        answer.bodyBytes += one.payload.length
        if (this.creditsAll && one.payload.length > 0) {
          const credit = uint32(one.payload.length)
          this.send(frame(TYPE.WINDOW_UPDATE, 0, 0, credit), frame(TYPE.WINDOW_UPDATE, 0, one.id, credit))
        }
        answer.headOnly = false
        if ((one.flags & FLAG.END_STREAM) !== 0) answer.ended = true
        return
      }
      case TYPE.RST:
        this.answer(one.id).resetCode = one.payload.readUInt32BE(0)
        return
      case TYPE.GOAWAY:
        this.goaway = one.payload.readUInt32BE(4)
        this.control.push(one)
        return
      case TYPE.SETTINGS:
        this.control.push(one)
        if ((one.flags & FLAG.ACK) === 0 && this.acknowledgesSettings) this.send(frame(TYPE.SETTINGS, FLAG.ACK, 0))
        return
      case TYPE.PING:
        this.control.push(one)
        if ((one.flags & FLAG.ACK) === 0) this.send(frame(TYPE.PING, FLAG.ACK, 0, one.payload))
        return
    }
  }

  private fields(answer: StreamAnswer, list: [string, string][]): void {
    const lines = list.map(([name, value]) => `${name}: ${value}`)
    const status = Number(list.find(([name]) => name === ':status')?.[1] ?? 0)
    if (status > 0 && status < 200) answer.informational.push(status)
    else if (status === 0) answer.trailers = lines
    else {
      answer.status = status
      answer.fields = lines
      answer.headOnly = answer.ended
    }
  }
}

/** The fields of a request without a body; `change` replaces and adds. */
export function request(path: string, change: Record<string, string> = {}): [string, string][] {
  const fields = { ':method': 'GET', ':scheme': 'http', ':path': path, ':authority': 'h', ...change }
  return Object.entries(fields)
}
