// What both ends of an HTTP/2 connection do alike: SETTINGS, PING, windows of what comes, header blocks, and a decent end.
// Both ends and a trivial relay between them (test/proxy/http2/relay.ts), gRPC-shaped unary calls (20 B, 15 B and trailers), h2load on another core,
// utime + stime from /proc, Node 20.20.2, on a machine shared with other work: 8 connections x 32 streams 4.9-6.4 us of CPU per call, 32 x 1 15-18 us, of
// which the write system call is 10 % and 36 %; 1 MiB answers 600-1240 MB per CPU second, half of it the write (profile: --cpu-prof).
// What helped: streams in linked buckets instead of a Map (11 -> 9 us, 26 -> 16 us, see stream-table.ts); END_STREAM set on DATA that is still in the
// output; a fresh list per header block instead of one that is emptied (5 %).  What did not: a larger young generation (the survivors were the trouble).

import type { Fields } from '../../core/headers.js'
import { Delay, type Expiring } from '../delays.js'
import type { HeadLimits } from '../head-limits.js'
import { WINDOW_BYTES } from '../stream.js'
import type { Wire, WireOwner } from '../wire.js'
import { ControlFrames } from './control-frames.js'
import { CROWDED_BYTES, EARNED_BY_DATA, type FloodLimits, MAX_CONTROLS_WHILE_BLOCKED, NOISE_OF_FRAME, NoiseMeter } from './floods.js'
import { CODE, FLAG, SETTING, writeGoaway, writePing, writeReset, writeSettings, writeSettingsAck } from './frames.js'
import { DECODED_BROKEN, type Decoded, HpackDecoder } from './hpack/decoder.js'
import { NeverIndexed } from './hpack/never-indexed.js'
import { Output } from './output.js'
import { ReceiveWindows } from './receive-windows.js'
import { ResetMemory } from './reset-memory.js'
import { PeerSettings } from './settings.js'
import type { StreamRecord } from './stream-record.js'

const TABLE_BYTES = 4096
const SETTINGS_TIMEOUT_MS = 30_000
/** What is on its way to a peer that was told goodbye must not meet a closed port: that would take our last words from it. */
const LINGER_MS = 1000

export abstract class Connection extends ControlFrames implements WireOwner, Expiring {
  readonly wire: Wire
  readonly output: Output
  readonly peer = new PeerSettings()
  /** Names that the peer has marked: what we send on of it stays so. */
  readonly neverIndexed = new NeverIndexed()
  private readonly windows: ReceiveWindows
  /** Of the header block that was decoded last: name, value, name, value…  A new list each time: whoever wants it may keep it. */
  protected fields: Fields = []
  /** Streams up to this have been begun: by the client, or by us where we are the client. */
  protected highestId = 0
  /** Bytes are being read: what they cause may be gathered until `hasRead`. */
  protected isReading = false
  /** Our last frame has been written. */
  protected isOver = false
  protected readonly noise: NoiseMeter
  private readonly headLimits: HeadLimits
  private readonly decoder = new HpackDecoder(TABLE_BYTES)
  private readonly resets = new ResetMemory()
  private readonly settingsDelay = new Delay(this)
  private readonly lingerDelay = new Delay(this)
  private controlsWhileBlocked = 0

  constructor(wire: Wire, limits: HeadLimits, floods: FloodLimits, prefaceBytes: number) {
    super(prefaceBytes, limits.maxHeaderBytes, floods.maxContinuationFrames)
    this.noise = new NoiseMeter(floods.maxControlFramesPerSecond)
    this.wire = wire
    this.headLimits = limits
    this.output = new Output(wire)
    this.windows = new ReceiveWindows(wire)
  }

  /** Our first frames.  own: number, value… of this role. */
  protected sendSettings(own: readonly number[]): void {
    const common = [SETTING.INITIAL_WINDOW_SIZE, WINDOW_BYTES, SETTING.MAX_HEADER_LIST_SIZE, this.headLimits.maxHeaderBytes]
    writeSettings(this.wire, [...own, ...common])
    this.windows.announce()
    this.settingsDelay.start(SETTINGS_TIMEOUT_MS)
  }

  received(chunk: Buffer, start: number, end: number): void {
    if (this.isDeaf) return
    if (this.isHeld) this.holdBack(chunk, start, end)
    else {
      this.isReading = true
      this.read(chunk, start, end)
      if (!this.isOver) this.output.spendCredit()
      this.isReading = false
      this.hasRead()
    }
    if (this.isHeld && this.backlogBytes >= CROWDED_BYTES) this.wire.pauseReading()
  }

  /** HTTP/2 knows no half-closed connection. */
  ended(): void {
    this.wire.destroy()
  }

  writable(): void {
    this.controlsWhileBlocked = 0
    if (!this.isOver) this.output.pump()
  }

  closed(error: Error | null): void {
    this.isDeaf = true
    this.isOver = true
    this.settingsDelay.stop()
    this.lingerDelay.stop()
    this.hasGone(error)
  }

  expired(delay: Delay): void {
    if (delay === this.settingsDelay) this.fail(CODE.SETTINGS_TIMEOUT, 'SETTINGS were not acknowledged')
    else this.wire.destroy()
  }

  destroy(): void {
    this.wire.destroy()
  }

  // What comes.

  protected blockDone(id: number, flags: number, chunk: Buffer, from: number, to: number): void {
    const { headLimits, decoder } = this
    const fields: Fields = []
    this.fields = fields
    const verdict = decoder.decode(chunk, from, to, fields, headLimits.maxHeaderBytes, headLimits.maxHeaderFields)
    if (decoder.neverIndexed.length > 0) this.neverIndexed.add(decoder.neverIndexed)
    if (verdict === DECODED_BROKEN) this.fail(CODE.COMPRESSION_ERROR, decoder.problem)
    else this.headers(id, (flags & FLAG.END_STREAM) !== 0, verdict)
  }

  /** HEADERS for a stream that is closed: a fault of the peer, unless we reset it while they were on their way. */
  protected lateHeaders(id: number): void {
    if (this.resets.excuses(id)) this.noisy(NOISE_OF_FRAME)
    else this.fail(CODE.STREAM_CLOSED, 'HEADERS on a closed stream')
  }

  protected dataBegins(id: number, length: number, overhead: number, ends: boolean): StreamRecord | null {
    const { windows } = this
    const stream = this.hasPeerSettings && windows.take(length) ? this.streams.get(id) : null
    if (stream === null) {
      if (this.hasPeerSettings) this.fail(CODE.FLOW_CONTROL_ERROR, 'more DATA than the window of the connection')
      else this.fail(CODE.PROTOCOL_ERROR, 'the first frame is not SETTINGS')
      return null
    }
    if (length === overhead && !ends) this.noisy(NOISE_OF_FRAME)
    if (stream === undefined) {
      this.lateData(id)
      return null
    }
    if (stream.isRemoteEnded || stream.receiveWindow < length) {
      this.streamFault(stream, stream.isRemoteEnded ? CODE.STREAM_CLOSED : CODE.FLOW_CONTROL_ERROR)
      return null
    }
    windows.takeFor(stream, length)
    if (overhead > 0) this.grant(stream, overhead)
    else windows.announceIfDue()
    return stream
  }

  private lateData(id: number): void {
    if (id === 0 || this.isIdle(id)) this.fail(CODE.PROTOCOL_ERROR, 'DATA on an idle stream')
    else if (!this.resets.excuses(id)) this.fail(CODE.STREAM_CLOSED, 'DATA on a closed stream')
    else this.windows.announceIfDue()
  }

  /** So many bytes of a stream have been taken: its peer may send as many more. */
  grant(stream: StreamRecord, bytes: number): void {
    if (!stream.isClosed && !this.isOver) this.windows.grant(stream, bytes)
  }

  protected windowUpdate(bytes: number): void {
    if (!this.isOver && !this.output.widenAll(bytes)) this.fail(CODE.FLOW_CONTROL_ERROR, 'a window larger than 2^31-1')
  }

  protected streamWindowUpdate(stream: StreamRecord, bytes: number): void {
    if (!this.output.widen(stream, bytes)) this.streamFault(stream, CODE.FLOW_CONTROL_ERROR)
  }

  protected peerSettings(chunk: Buffer, start: number, end: number): void {
    if (this.isOver) return
    const { peer } = this
    let code = peer.read(chunk, start, end, this.peerRole)
    if (code === CODE.NO_ERROR && peer.initialWindow >= 0) code = this.output.setInitialWindow(peer.initialWindow, this.streams.all())
    if (code !== CODE.NO_ERROR) {
      this.fail(code, 'SETTINGS with a value that is not allowed')
      return
    }
    if (peer.tableBytes >= 0) this.output.encoder.peerTableBytes(peer.tableBytes)
    if (!this.mayControl()) return
    writeSettingsAck(this.wire)
    this.hasSettings()
  }

  protected settingsAcknowledged(): void {
    this.settingsDelay.stop()
  }

  protected ping(chunk: Buffer, start: number): void {
    if (!this.isOver && this.mayControl()) writePing(this.wire, FLAG.ACK, chunk, start)
  }

  /** May one more answer to a frame be written?  A peer that provokes them and reads none is left. */
  protected mayControl(): boolean {
    if (!this.wire.isBlocked || ++this.controlsWhileBlocked <= MAX_CONTROLS_WHILE_BLOCKED) return true
    // Our last words would wait behind all the others, and no event may come from within a method.
    this.wire.destroy()
    return false
  }

  protected noisy(amount: number): void {
    const { output } = this
    if (output.dataFrames > 0) {
      this.noise.earn(output.dataFrames * EARNED_BY_DATA)
      output.dataFrames = 0
    }
    if (this.noise.add(amount) && !this.isOver && this.noise.isTooMuch(performance.now())) {
      this.fail(CODE.ENHANCE_YOUR_CALM, 'too many frames that carry nothing')
    }
  }

  // Ends.

  /** RST_STREAM of ours; the stream is closed.  Reports nothing. */
  resetStream(stream: StreamRecord, code: number): void {
    if (stream.isClosed) return
    this.refuse(stream.id, code)
    this.forget(stream)
  }

  /** RST_STREAM of ours for a stream that has no record (any more). */
  protected refuse(id: number, code: number): void {
    this.resets.add(id)
    if (!this.isOver && this.mayControl()) writeReset(this.wire, id, code)
  }

  /** The stream is closed: nothing of it stays. */
  forget(stream: StreamRecord): void {
    if (stream.isClosed) return
    stream.isClosed = true
    if (stream.isHolding) stream.holdingEnded()
    stream.held = null
    stream.heldHead = null
    stream.heldEnd = null
    this.streams.delete(stream)
    if (!this.isOver) this.windows.forget(stream)
    this.streamClosed(stream)
  }

  /** A connection error: GOAWAY, and the streams are lost. */
  protected fail(code: number, message: string): void {
    if (this.isOver) return
    this.sayGoodbye(code, message)
    this.hasFailed(code, message)
  }

  /** Our last frame, then an end in order: what the peer still sends is thrown away until it ends, too. */
  protected sayGoodbye(code: number, message: string): void {
    if (this.isOver) return
    writeGoaway(this.wire, this.lastPeerId, code, message)
    this.finish()
  }

  /** Nothing is left to say. */
  protected finish(): void {
    this.isOver = true
    this.isDeaf = true
    this.settingsDelay.stop()
    this.wire.resumeReading()
    this.wire.end()
    this.lingerDelay.start(LINGER_MS)
  }

  protected abstract readonly peerRole: 'client' | 'service'
  /** For GOAWAY: the last stream the peer has begun. */
  protected abstract readonly lastPeerId: number
  /** A decoded header block, in `fields`. */
  protected abstract headers(id: number, ends: boolean, verdict: Decoded): void
  protected abstract hasRead(): void
  protected abstract hasSettings(): void
  protected abstract streamClosed(stream: StreamRecord): void
  /** The connection broke its protocol, and is over. */
  protected abstract hasFailed(code: number, message: string): void
  /** The connection is gone: the last event. */
  protected abstract hasGone(error: Error | null): void
}
