// What every frame but DATA says, checked as RFC 9113 6 demands, for both ends of a connection.
// What a call costs stands in connection.ts: of this file 1-2 %.
import { maxBlockBytes, NOISE_OF_FRAME, NOISE_OF_SETTINGS, SOUND_UPDATE_BYTES } from './floods.js'
import { FrameReader } from './frame-reader.js'
import { CODE, FLAG, FRAME, uint31At, uint32At } from './frames.js'
import { HeaderBlock } from './header-block.js'
import type { StreamRecord } from './stream-record.js'
import { StreamTable } from './stream-table.js'

export abstract class ControlFrames extends FrameReader {
  readonly streams = new StreamTable()
  protected hasPeerSettings = false
  private readonly block = new HeaderBlock()
  private readonly maxBlockBytes: number
  private readonly maxContinuations: number

  constructor(prefaceBytes: number, maxHeaderBytes: number, maxContinuations: number) {
    super(prefaceBytes)
    this.maxBlockBytes = maxBlockBytes(maxHeaderBytes)
    this.maxContinuations = maxContinuations
  }

  protected frame(type: number, flags: number, id: number, chunk: Buffer, start: number, end: number): void {
    if (!this.hasPeerSettings && (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0)) {
      this.fail(CODE.PROTOCOL_ERROR, 'the first frame is not SETTINGS')
      return
    }
    switch (type) {
      case FRAME.HEADERS:
        this.headersFrame(flags, id, chunk, start, end)
        break
      case FRAME.WINDOW_UPDATE:
        this.updateFrame(id, chunk, start, end)
        break
      case FRAME.RST_STREAM:
        this.resetFrame(id, chunk, start, end)
        break
      case FRAME.CONTINUATION:
        this.continuation(flags, id, chunk, start, end)
        break
      case FRAME.SETTINGS:
        this.settingsFrame(flags, id, chunk, start, end)
        break
      case FRAME.PING:
        this.pingFrame(flags, id, chunk, start, end)
        break
      case FRAME.GOAWAY:
        if (id !== 0) this.fail(CODE.PROTOCOL_ERROR, 'GOAWAY on a stream')
        else if (end - start < 8) this.fail(CODE.FRAME_SIZE_ERROR, 'GOAWAY that is too short')
        else this.goaway(uint31At(chunk, start), uint32At(chunk, start + 4))
        break
      case FRAME.PRIORITY:
        this.priority(id, chunk, start, end)
        break
      case FRAME.PUSH_PROMISE:
        this.fail(CODE.PROTOCOL_ERROR, 'PUSH_PROMISE')
        break
      default:
        this.noisy(NOISE_OF_FRAME)
    }
  }

  private settingsFrame(flags: number, id: number, chunk: Buffer, start: number, end: number): void {
    if (id !== 0) {
      this.fail(CODE.PROTOCOL_ERROR, 'SETTINGS on a stream')
      return
    }
    if ((flags & FLAG.ACK) !== 0) {
      if (end !== start) {
        this.fail(CODE.FRAME_SIZE_ERROR, 'SETTINGS ACK with a payload')
        return
      }
      this.settingsAcknowledged()
      this.noisy(NOISE_OF_FRAME)
      return
    }
    if ((end - start) % 6 !== 0) {
      this.fail(CODE.FRAME_SIZE_ERROR, 'SETTINGS whose length is no multiple of 6')
      return
    }
    this.hasPeerSettings = true
    this.noisy(NOISE_OF_SETTINGS)
    this.peerSettings(chunk, start, end)
  }

  private pingFrame(flags: number, id: number, chunk: Buffer, start: number, end: number): void {
    if (id !== 0) {
      this.fail(CODE.PROTOCOL_ERROR, 'PING on a stream')
      return
    }
    if (end - start !== 8) {
      this.fail(CODE.FRAME_SIZE_ERROR, 'PING whose length is not 8')
      return
    }
    this.noisy(NOISE_OF_FRAME)
    if ((flags & FLAG.ACK) !== 0) this.pong()
    else this.ping(chunk, start)
  }

  private priority(id: number, chunk: Buffer, start: number, end: number): void {
    if (id === 0) {
      this.fail(CODE.PROTOCOL_ERROR, 'PRIORITY on stream 0')
      return
    }
    if (end - start !== 5) {
      this.faultOn(id, CODE.FRAME_SIZE_ERROR)
      return
    }
    if (uint31At(chunk, start) === id) {
      this.faultOn(id, CODE.PROTOCOL_ERROR)
      return
    }
    this.noisy(NOISE_OF_FRAME)
  }

  /** A stream error on a stream that may not be there: then the connection takes it. */
  private faultOn(id: number, code: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined) this.fail(code, 'a frame that is not allowed')
    else this.streamFault(stream, code)
  }

  private updateFrame(id: number, chunk: Buffer, start: number, end: number): void {
    if (end - start !== 4) {
      this.fail(CODE.FRAME_SIZE_ERROR, 'WINDOW_UPDATE whose length is not 4')
      return
    }
    const bytes = uint31At(chunk, start)
    if (bytes < SOUND_UPDATE_BYTES) this.noisy(NOISE_OF_FRAME)
    if (id === 0) {
      if (bytes === 0) this.fail(CODE.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0')
      else this.windowUpdate(bytes)
      return
    }
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(CODE.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream')
    } else if (bytes === 0) this.streamFault(stream, CODE.PROTOCOL_ERROR)
    else this.streamWindowUpdate(stream, bytes)
  }

  private resetFrame(id: number, chunk: Buffer, start: number, end: number): void {
    if (end - start !== 4) {
      this.fail(CODE.FRAME_SIZE_ERROR, 'RST_STREAM whose length is not 4')
      return
    }
    const stream = this.streams.get(id)
    if (stream !== undefined) this.peerReset(stream, uint32At(chunk, start))
    else if (this.isIdle(id)) this.fail(CODE.PROTOCOL_ERROR, 'RST_STREAM on an idle stream')
    else this.noisy(NOISE_OF_FRAME)
  }

  private headersFrame(flags: number, id: number, chunk: Buffer, start: number, end: number): void {
    if (id === 0) {
      this.fail(CODE.PROTOCOL_ERROR, 'HEADERS on stream 0')
      return
    }
    let from = start
    let to = end
    if ((flags & FLAG.PADDED) !== 0) {
      if (from >= to) {
        this.fail(CODE.FRAME_SIZE_ERROR, 'a padded frame without its padding')
        return
      }
      to -= chunk[from++]!
    }
    let dependsOn = -1
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (to - from < 5) {
        this.fail(CODE.PROTOCOL_ERROR, 'HEADERS whose priority is cut off')
        return
      }
      dependsOn = uint31At(chunk, from)
      from += 5
    }
    if (to < from) {
      this.fail(CODE.PROTOCOL_ERROR, 'more padding than frame')
      return
    }
    // Deprecated as priorities are (RFC 9113 5.3), a stream that depends on itself is still an error to RFC 7540's suites.
    if (dependsOn === id) {
      this.fail(CODE.PROTOCOL_ERROR, 'a stream that depends on itself')
      return
    }
    if ((flags & FLAG.END_HEADERS) !== 0) this.blockDone(id, flags, chunk, from, to)
    else this.blockBegins(id, flags, chunk, from, to)
  }

  private blockBegins(id: number, flags: number, chunk: Buffer, from: number, to: number): void {
    this.openBlockId = id
    this.block.begin(id, flags)
    this.block.add(chunk, from, to)
    this.blockOpened()
  }

  private continuation(flags: number, id: number, chunk: Buffer, start: number, end: number): void {
    const { block } = this
    if (block.id === 0) {
      this.fail(CODE.PROTOCOL_ERROR, 'CONTINUATION without HEADERS')
      return
    }
    // HEADERS was the first.
    if (block.frames > this.maxContinuations) {
      this.fail(CODE.ENHANCE_YOUR_CALM, 'too many CONTINUATION frames')
      return
    }
    if (block.length + end - start > this.maxBlockBytes) {
      this.fail(CODE.ENHANCE_YOUR_CALM, 'a header block far beyond the limit')
      return
    }
    block.add(chunk, start, end)
    if ((flags & FLAG.END_HEADERS) === 0) return
    this.openBlockId = 0
    this.blockClosed()
    this.blockDone(id, block.flags, block.close(), 0, block.length)
  }

  /** A header block is open, and is complete: nothing else may come in between. */
  protected abstract blockOpened(): void
  protected abstract blockClosed(): void
  /** A whole header block; flags: of its HEADERS frame. */
  protected abstract blockDone(id: number, flags: number, chunk: Buffer, from: number, to: number): void
  /** A SETTINGS payload: a multiple of six bytes. */
  protected abstract peerSettings(chunk: Buffer, start: number, end: number): void
  protected abstract settingsAcknowledged(): void
  protected abstract ping(chunk: Buffer, start: number): void
  protected abstract pong(): void
  protected abstract goaway(lastId: number, code: number): void
  protected abstract windowUpdate(bytes: number): void
  protected abstract streamWindowUpdate(stream: StreamRecord, bytes: number): void
  protected abstract peerReset(stream: StreamRecord, code: number): void
  /** A frame that is no work done (floods.ts). */
  protected abstract noisy(amount: number): void
  /** Nothing has begun on this id yet. */
  protected abstract isIdle(id: number): boolean
  /** A stream error (RFC 9113 5.4.2) that is the peer's. */
  abstract streamFault(stream: StreamRecord, code: number): void
}
