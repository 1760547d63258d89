// Cuts the bytes of a connection into frames: DATA goes on in pieces as it comes, every other frame whole.
// Costs 5-6 % of a unary call (connection.ts); of bulk nothing but a few integers per frame: DATA is handed on where it lies in the read buffer.
import { CODE, FLAG, FRAME, FRAME_HEAD_BYTES, MAX_FRAME_BYTES, PREFACE, uint31At } from './frames.js'
import type { StreamRecord } from './stream-record.js'

const REST_BYTES = 64

export abstract class FrameReader {
  /** Nothing that comes is read any more. */
  protected isDeaf = false
  /** For a while nothing is looked at: what comes waits. */
  protected isHeld = false
  private backlog: Buffer | null = null
  /** The stream whose header block is not complete: only its CONTINUATION may come. */
  protected openBlockId = 0
  /** Of the client's preface; a client itself gets none. */
  private prefaceLeft: number
  /** A frame that is not complete yet: its first `restLength` bytes. */
  private rest: Buffer = Buffer.allocUnsafe(REST_BYTES)
  private restLength = 0
  /** Of the DATA frame under way. */
  private dataLeft = 0
  private paddingLeft = 0
  private dataEnds = false
  private dataStream: StreamRecord | null = null

  constructor(prefaceBytes: number) {
    this.prefaceLeft = prefaceBytes
  }

  protected get hasPreface(): boolean {
    return this.prefaceLeft === 0
  }

  /** A frame has begun and does not end. */
  protected get isMidFrame(): boolean {
    return this.restLength > 0
  }

  protected read(chunk: Buffer, start: number, end: number): void {
    let at = this.prefaceLeft > 0 ? this.readPreface(chunk, start, end) : start
    while (at < end && !this.isDeaf && !this.isHeld) {
      if (this.dataLeft > 0 || this.paddingLeft > 0) at = this.dataBytes(chunk, at, end)
      else if (this.restLength > 0) at = this.readRest(chunk, at, end)
      else {
        const next = this.frameAt(chunk, at, end)
        if (next === at) {
          this.keep(chunk, at, end)
          return
        }
        at = next
      }
    }
    if (at < end && this.isHeld && !this.isDeaf) this.holdBack(chunk, at, end)
  }

  /** Keeps what came while the connection is held. */
  protected holdBack(chunk: Buffer, start: number, end: number): void {
    const fresh = chunk.subarray(start, end)
    this.backlog = this.backlog === null ? Buffer.from(fresh) : Buffer.concat([this.backlog, fresh])
  }

  protected get backlogBytes(): number {
    return this.backlog === null ? 0 : this.backlog.length
  }

  /** Gives back what was held, to be read anew. */
  protected takeBacklog(): Buffer | null {
    const { backlog } = this
    this.backlog = null
    return backlog
  }

  private readPreface(chunk: Buffer, start: number, end: number): number {
    let at = start
    while (at < end && this.prefaceLeft > 0) {
      if (chunk[at] !== PREFACE[PREFACE.length - this.prefaceLeft]) {
        this.fail(CODE.PROTOCOL_ERROR, 'no HTTP/2 preface')
        return end
      }
      this.prefaceLeft--
      at++
    }
    return at
  }

  /** The frame at chunk[at].  Returns where it ends, of DATA where its head ends; `at` while it is not complete. */
  private frameAt(chunk: Buffer, at: number, end: number): number {
    if (end - at < FRAME_HEAD_BYTES) return at
    const length = (chunk[at]! << 16) | (chunk[at + 1]! << 8) | chunk[at + 2]!
    const type = chunk[at + 3]!
    const flags = chunk[at + 4]!
    const id = uint31At(chunk, at + 5)
    if (length > MAX_FRAME_BYTES) return this.broken(CODE.FRAME_SIZE_ERROR, 'a frame larger than SETTINGS_MAX_FRAME_SIZE', end)
    if (this.openBlockId !== 0 && (type !== FRAME.CONTINUATION || id !== this.openBlockId)) {
      return this.broken(CODE.PROTOCOL_ERROR, 'a header block is not complete', end)
    }
    const payload = at + FRAME_HEAD_BYTES
    if (type === FRAME.DATA) return this.dataFrame(chunk, payload, end, length, flags, id)
    if (end - payload < length) return at
    this.frame(type, flags, id, chunk, payload, payload + length)
    return payload + length
  }

  private dataFrame(chunk: Buffer, payload: number, end: number, length: number, flags: number, id: number): number {
    let at = payload
    let dataBytes = length
    if ((flags & FLAG.PADDED) !== 0) {
      if (length === 0) return this.broken(CODE.FRAME_SIZE_ERROR, 'a padded frame without its padding', end)
      if (at >= end) return payload - FRAME_HEAD_BYTES
      const padding = chunk[at++]!
      if (padding >= length) return this.broken(CODE.PROTOCOL_ERROR, 'more padding than frame', end)
      dataBytes = length - 1 - padding
      this.paddingLeft = padding
    }
    this.dataLeft = dataBytes
    this.dataEnds = (flags & FLAG.END_STREAM) !== 0
    this.dataStream = this.dataBegins(id, length, length - dataBytes, this.dataEnds)
    if (dataBytes === 0 && this.paddingLeft === 0) this.dataDone()
    return at
  }

  private dataBytes(chunk: Buffer, start: number, end: number): number {
    let at = start
    if (this.dataLeft > 0) {
      const stop = end - at < this.dataLeft ? end : at + this.dataLeft
      this.dataLeft -= stop - at
      const stream = this.dataStream
      if (stream !== null && !stream.isClosed) stream.received(chunk, at, stop)
      at = stop
    }
    if (this.dataLeft === 0 && this.paddingLeft > 0) {
      const skipped = Math.min(end - at, this.paddingLeft)
      this.paddingLeft -= skipped
      at += skipped
    }
    if (this.dataLeft === 0 && this.paddingLeft === 0) this.dataDone()
    return at
  }

  private dataDone(): void {
    const stream = this.dataStream
    this.dataStream = null
    if (stream !== null && this.dataEnds && !stream.isClosed) stream.receivedEnd()
  }

  /** Keeps what has come of a frame. */
  private keep(chunk: Buffer, start: number, end: number): void {
    this.growRest(end - start)
    this.restLength = chunk.copy(this.rest, 0, start, end)
  }

  /** Takes what the kept frame still wants, no more. */
  private readRest(chunk: Buffer, start: number, end: number): number {
    const { rest } = this
    let wanted = FRAME_HEAD_BYTES
    if (this.restLength >= FRAME_HEAD_BYTES) {
      const length = (rest[0]! << 16) | (rest[1]! << 8) | rest[2]!
      wanted += rest[3] === FRAME.DATA ? 1 : length
    }
    const stop = Math.min(end, start + wanted - this.restLength)
    this.growRest(wanted)
    chunk.copy(this.rest, this.restLength, start, stop)
    const length = this.restLength + stop - start
    this.restLength = 0
    if (this.frameAt(this.rest, 0, length) === 0) this.restLength = length
    else if (this.rest.length > REST_BYTES) this.rest = Buffer.allocUnsafe(REST_BYTES)
    return stop
  }

  private growRest(bytes: number): void {
    if (bytes <= this.rest.length) return
    const larger = Buffer.allocUnsafe(Math.max(bytes, this.rest.length * 2))
    this.rest.copy(larger, 0, 0, this.restLength)
    this.rest = larger
  }

  private broken(code: number, message: string, end: number): number {
    this.fail(code, message)
    return end
  }

  /** A whole frame that is not DATA: payload chunk[start, end). */
  protected abstract frame(type: number, flags: number, id: number, chunk: Buffer, start: number, end: number): void
  /** A DATA frame of `length` bytes begins, `overhead` of them padding.  Returns who gets its bytes; null: nobody. */
  protected abstract dataBegins(id: number, length: number, overhead: number, ends: boolean): StreamRecord | null
  /** A connection error (RFC 9113 5.4.1). */
  protected abstract fail(code: number, message: string): void
}
