// A service behind the proxy, made of frames: it plays a case, or answers every request as an ordinary service would.
import type { Socket } from 'node:net'
import { FLAG, type Frame, message } from '../h2-frames.js'
import { Peer, SILENCE_MS } from './peer.js'
import {
  DEFAULT_FRAME_SIZE,
  DEFAULT_WINDOW,
  data,
  described,
  type Fields,
  head,
  PREFACE,
  ping,
  SETTING,
  settings,
  settingsAck,
  TYPE,
} from './wire.js'

/** How the proxy's client calls: what it wants to hear differs. */
export type Kind = 'grpc' | 'http1'

export class ServicePeer extends Peer {
  readonly kind: Kind
  /** The head of an answer that goes on, and of one that ends with it. */
  readonly begun: Fields
  readonly whole: Fields
  /** Streams on which anything came. */
  readonly streams = new Set<number>()
  /** Streams whose request is complete, oldest first. */
  private readonly complete: number[] = []
  private role: 'player' | 'ordinary' = 'player'

  constructor(socket: Socket, kind: Kind) {
    super(socket, PREFACE.length)
    this.kind = kind
    this.begun = [
      [':status', '200'],
      ['content-type', kind === 'grpc' ? 'application/grpc' : 'text/plain'],
    ]
    this.whole = kind === 'grpc' ? [...this.begun, ['grpc-status', '0']] : this.begun
  }

  /** The stream of the first complete request. */
  get id(): number {
    return this.complete[0] ?? this.fail('a request', 'none')
  }

  get maxFrameSize(): number {
    return this.announced.get(SETTING.MAX_FRAME_SIZE) ?? DEFAULT_FRAME_SIZE
  }

  /** The proxy's SETTINGS have come and are acknowledged, ours are sent. */
  override async handshake(): Promise<void> {
    await this.preface()
    this.send(settings([SETTING.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW]), settingsAck())
  }

  /** The proxy's first frame has come and is SETTINGS. */
  async preface(): Promise<void> {
    const first = await this.next()
    if (typeof first === 'string') this.fail('the first SETTINGS', first)
    if (first.type !== TYPE.SETTINGS || (first.flags & FLAG.ACK) !== 0) this.fail('the first SETTINGS', described(first))
    this.learn(first)
  }

  /** A whole request has come. */
  async request(): Promise<void> {
    const end = performance.now() + SILENCE_MS
    while (this.complete.length === 0) {
      if (this.ending !== null) this.fail('a request', this.ending)
      if (performance.now() >= end) this.fail('a request', 'silence')
      await this.something(end - performance.now())
    }
  }

  /** From now on every request is answered, and those that wait; except: streams that the case has dealt with. */
  beOrdinary(except: number[]): void {
    this.role = 'ordinary'
    for (const id of this.complete) if (!except.includes(id)) this.answer(id)
  }

  /** An ordinary service from its first byte on. */
  welcome(): void {
    this.send(settings())
    this.beOrdinary([])
  }

  protected override arrived(one: Frame): void {
    if (one.id > 0) this.streams.add(one.id)
    const carries = one.type === TYPE.HEADERS || one.type === TYPE.DATA
    const isWhole = carries && (one.flags & FLAG.END_STREAM) !== 0
    if (isWhole) this.complete.push(one.id)
    if (this.role === 'player') return
    if (isWhole) this.answer(one.id)
    const asks = (one.flags & FLAG.ACK) === 0
    if (one.type === TYPE.SETTINGS && asks) this.send(settingsAck())
    if (one.type === TYPE.PING && asks) this.send(ping(one.payload.toString('latin1'), 'ack'))
  }

  private answer(id: number): void {
    this.send(head(id, this.begun, 'more'), ...this.remainder(id, Buffer.from('fine')))
  }

  /** What follows the head: these bytes, and for gRPC the trailers. */
  remainder(id: number, body: Buffer): Buffer[] {
    if (this.kind === 'http1') return [data(id, body, 'end')]
    return [data(id, message(body.toString('latin1')), 'more'), head(id, [['grpc-status', '0']], 'end')]
  }
}
