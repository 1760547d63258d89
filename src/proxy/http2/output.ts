// What a connection sends: heads, and DATA within the windows.
// Costs 10-12 % of a unary call, HPACK aside (connection.ts).  DATA is copied once, from the read buffer to the output; a loop does it below 48 bytes.
import type { Fields } from '../../core/headers.js'
import type { Wire } from '../wire.js'
import { CODE, DEFAULT_WINDOW_BYTES, FLAG, FRAME, FRAME_HEAD_BYTES, MAX_FRAME_BYTES, MAX_WINDOW, putFrameHead } from './frames.js'
import { HpackEncoder } from './hpack/encoder.js'
import { type NeverIndexed, NOTHING_MARKED } from './hpack/never-indexed.js'
import { StreamLine } from './stream-line.js'
import type { StreamRecord } from './stream-record.js'

/** Below this a loop beats the call into C++. */
const LOOP_BYTES = 48
/** A held frame of this size is worth the window updates it earns; a smaller one may be what a peer with crumbs of windows asks for. */
const SOUND_BYTES = 1024

export class Output {
  readonly wire: Wire
  readonly encoder = new HpackEncoder()
  /** The connection's own window: what the peer takes of all streams together. */
  window = DEFAULT_WINDOW_BYTES
  /** Of new streams. */
  initialWindow = DEFAULT_WINDOW_BYTES
  /** DATA frames that went out: work that earns the peer some frames about it (floods.ts). */
  dataFrames = 0
  private readonly line = new StreamLine()
  /** A window has grown since the last pump. */
  private hasCredit = false
  /** Of the block that is being written; null where nothing is marked, which is the rule. */
  private marked: NeverIndexed | null = null

  constructor(wire: Wire) {
    this.wire = wire
  }

  /** Starts a HEADERS frame; its fields follow by `field`.  Returns its place, for `headDone`. */
  headBegun(marked: NeverIndexed): number {
    const { wire } = this
    this.marked = marked.isEmpty ? null : marked
    wire.ensure(FRAME_HEAD_BYTES)
    const at = wire.length
    wire.length = at + FRAME_HEAD_BYTES
    this.encoder.begin(wire)
    return at
  }

  field(name: string, value: string): void {
    if (this.marked?.has(name) === true) this.encoder.fieldNeverIndexed(this.wire, name, value)
    else this.encoder.field(this.wire, name, value)
  }

  fields(fields: Fields): void {
    const { encoder, wire, marked } = this
    for (let at = 0; at < fields.length; at += 2) {
      if (marked === null) encoder.field(wire, fields[at]!, fields[at + 1]!)
      else this.field(fields[at]!, fields[at + 1]!)
    }
  }

  headDone(at: number, id: number, endFlag: number): void {
    const { wire } = this
    const length = wire.length - at - FRAME_HEAD_BYTES
    if (length > MAX_FRAME_BYTES) this.continued(at, id, endFlag)
    else putFrameHead(wire.buffer, at, length, FRAME.HEADERS, FLAG.END_HEADERS | endFlag, id)
    wire.touch()
  }

  /** A head too long for one frame is written anew, in pieces. */
  private continued(at: number, id: number, endFlag: number): void {
    const { wire } = this
    const block = Buffer.from(wire.buffer.subarray(at + FRAME_HEAD_BYTES, wire.length))
    wire.length = at
    for (let from = 0; from < block.length; from += MAX_FRAME_BYTES) {
      const to = Math.min(from + MAX_FRAME_BYTES, block.length)
      const last = to === block.length ? FLAG.END_HEADERS : 0
      wire.ensure(FRAME_HEAD_BYTES)
      putFrameHead(
        wire.buffer,
        wire.length,
        to - from,
        from === 0 ? FRAME.HEADERS : FRAME.CONTINUATION,
        last | (from === 0 ? endFlag : 0),
        id,
      )
      wire.length += FRAME_HEAD_BYTES
      wire.append(block, from, to)
    }
  }

  /** A head, or trailers with END_STREAM. */
  head(id: number, fields: Fields, endFlag: number, marked = NOTHING_MARKED): void {
    const at = this.headBegun(marked)
    this.fields(fields)
    this.headDone(at, id, endFlag)
  }

  /** DATA: as much as may leave goes out at once, in one copy; the rest waits. */
  data(stream: StreamRecord, chunk: Buffer, start: number, end: number): void {
    let from = start
    if (!stream.isHolding && this.line.length === 0 && !this.wire.isBlocked) {
      const room = Math.min(stream.sendWindow, this.window)
      const to = end - start <= room ? end : room > 0 ? start + room : start
      if (to > start) {
        while (from < to) {
          const stop = to - from > MAX_FRAME_BYTES ? from + MAX_FRAME_BYTES : to
          this.dataFrame(stream, chunk, from, stop)
          from = stop
        }
        this.wire.touch()
        stream.hasSent(to - start)
      }
    }
    if (from < end && !stream.isClosed) {
      const began = !stream.isHolding
      stream.hold(chunk, from, end)
      if (began) this.holdingBegan(stream)
    }
  }

  private dataFrame(stream: StreamRecord, chunk: Buffer, start: number, end: number): void {
    const { wire } = this
    const length = end - start
    wire.ensure(FRAME_HEAD_BYTES + length)
    const { buffer } = wire
    this.dataHead(stream, length)
    let to = wire.length
    if (length > LOOP_BYTES) chunk.copy(buffer, to, start, end)
    else for (let from = start; from < end; from++) buffer[to++] = chunk[from]!
    wire.length += length
    this.dataFrames++
  }

  private dataHead(stream: StreamRecord, length: number): void {
    const { wire } = this
    putFrameHead(wire.buffer, wire.length, length, FRAME.DATA, 0, stream.id)
    stream.dataAt = wire.length
    stream.dataFlush = wire.flushes
    wire.length += FRAME_HEAD_BYTES
    stream.sendWindow -= length
    this.window -= length
  }

  /** Ends our direction: with trailers, else with a flag on DATA that is still here, else with an empty DATA frame. */
  end(stream: StreamRecord, trailers: Fields): void {
    if (stream.isHolding || this.wire.isBlocked) {
      const began = !stream.isHolding
      stream.heldEnd = trailers
      if (began) this.holdingBegan(stream)
    } else this.endNow(stream, trailers)
  }

  private endNow(stream: StreamRecord, trailers: Fields): void {
    const { wire } = this
    if (trailers.length > 0) this.head(stream.id, trailers, FLAG.END_STREAM, stream.sendsNeverIndexed)
    else if (stream.dataFlush === wire.flushes) wire.buffer[stream.dataAt + 4]! |= FLAG.END_STREAM
    else {
      wire.ensure(FRAME_HEAD_BYTES)
      putFrameHead(wire.buffer, wire.length, 0, FRAME.DATA, FLAG.END_STREAM, stream.id)
      wire.length += FRAME_HEAD_BYTES
      wire.touch()
    }
    this.hasEnded(stream)
  }

  /** The head of an answer; held back while the peer takes nothing, so that what it does not read is bounded by its open streams. */
  answerHead(stream: StreamRecord, status: string, fields: Fields, endFlag: number): void {
    if (this.wire.isBlocked) {
      stream.heldHead = [':status', status, ...fields]
      stream.heldHeadFlag = endFlag
      this.holdingBegan(stream)
      return
    }
    const at = this.headBegun(stream.sendsNeverIndexed)
    this.field(':status', status)
    this.fields(fields)
    this.headDone(at, stream.id, endFlag)
    if (endFlag !== 0) this.hasEnded(stream)
  }

  private hasEnded(stream: StreamRecord): void {
    stream.isLocalEnded = true
    stream.hasSentEnd()
  }

  private holdingBegan(stream: StreamRecord): void {
    stream.holdingBegan()
    this.lineUp(stream)
  }

  /** Into the line, where its own window is not what it waits for. */
  private lineUp(stream: StreamRecord): void {
    if (stream.held !== null && stream.heldHead === null && stream.sendWindow <= 0) return
    this.line.push(stream)
  }

  /** Sends what waits, a frame per stream in turn, as far as the windows and the connection go. */
  pump(): void {
    // One whole round without progress: the connection's window is used up, and nobody waits for anything else.
    let stuck = 0
    while (stuck < this.line.length && !this.wire.isBlocked) {
      const stream = this.line.shift()!
      if (stream.isClosed) continue
      if (this.sendHeld(stream)) stuck = 0
      else stuck++
      if (!stream.isClosed && stream.isHolding) this.lineUp(stream)
    }
  }

  /** Sends the next part of what a stream holds.  Returns whether there was any progress. */
  private sendHeld(stream: StreamRecord): boolean {
    if (stream.heldHead !== null) {
      const fields = stream.heldHead
      stream.heldHead = null
      this.afterHeld(stream)
      this.head(stream.id, fields, stream.heldHeadFlag, stream.sendsNeverIndexed)
      if (stream.heldHeadFlag !== 0) this.hasEnded(stream)
      return true
    }
    const queue = stream.held
    if (queue !== null) {
      const count = Math.min(queue.bytes, stream.sendWindow, this.window, MAX_FRAME_BYTES)
      if (count <= 0) return false
      this.wire.ensure(FRAME_HEAD_BYTES + count)
      this.dataHead(stream, count)
      queue.take(count, this.wire.buffer, this.wire.length)
      this.wire.length += count
      if (count >= SOUND_BYTES) this.dataFrames++
      if (queue.bytes === 0) stream.held = null
      const isLast = stream.held === null && stream.heldEnd !== null && stream.heldEnd.length === 0
      if (isLast) this.endHeld(stream, count)
      else {
        this.wire.touch()
        this.afterHeld(stream)
        stream.hasSent(count)
      }
      return true
    }
    if (stream.heldEnd === null) return false
    this.endHeld(stream, 0)
    return true
  }

  /** The end that was held, after the last `count` bytes, which are in the output and not yet told. */
  private endHeld(stream: StreamRecord, count: number): void {
    const trailers = stream.heldEnd!
    stream.heldEnd = null
    stream.holdingEnded()
    if (count > 0) stream.hasSent(count)
    if (!stream.isClosed) this.endNow(stream, trailers)
    this.wire.touch()
  }

  private afterHeld(stream: StreamRecord): void {
    if (stream.isHolding) stream.holdingBegan()
    else stream.holdingEnded()
  }

  /** WINDOW_UPDATE on a stream.  Returns false where its window grows beyond what there is. */
  widen(stream: StreamRecord, bytes: number): boolean {
    const window = stream.sendWindow + bytes
    if (window > MAX_WINDOW) return false
    stream.sendWindow = window
    if (window > 0 && stream.isHolding) {
      this.lineUp(stream)
      this.hasCredit = true
    }
    return true
  }

  /** WINDOW_UPDATE on the connection.  Returns false where its window grows beyond what there is. */
  widenAll(bytes: number): boolean {
    if (this.window + bytes > MAX_WINDOW) return false
    this.window += bytes
    this.hasCredit = true
    return true
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE: every open stream's window moves with it (RFC 9113 6.9.2).  Returns the error code of a window too large. */
  setInitialWindow(bytes: number, streams: Iterable<StreamRecord>): number {
    const change = bytes - this.initialWindow
    this.initialWindow = bytes
    for (const stream of streams) {
      if (stream.sendWindow + change > MAX_WINDOW) return CODE.FLOW_CONTROL_ERROR
      stream.sendWindow += change
      if (stream.isHolding) this.lineUp(stream)
    }
    this.hasCredit = true
    return CODE.NO_ERROR
  }

  /** At the end of a read: all the credit it brought is spent at once.  Spent update by update, a window falls into crumbs and stays in crumbs. */
  spendCredit(): void {
    if (!this.hasCredit) return
    this.hasCredit = false
    this.pump()
  }
}
