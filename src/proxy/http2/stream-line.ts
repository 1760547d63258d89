// The line of streams that wait to send, first come first served; a stream is in it once.
import type { StreamRecord } from './stream-record.js'

export class StreamLine {
  length = 0
  private first: StreamRecord | null = null
  private last: StreamRecord | null = null

  /** At the end, unless it is in it. */
  push(stream: StreamRecord): void {
    if (stream.isInLine) return
    stream.isInLine = true
    stream.nextInLine = null
    if (this.last === null) this.first = stream
    else this.last.nextInLine = stream
    this.last = stream
    this.length++
  }

  /** Takes the first one out; null: nobody waits. */
  shift(): StreamRecord | null {
    const stream = this.first
    if (stream === null) return null
    this.first = stream.nextInLine
    if (this.first === null) this.last = null
    this.length--
    stream.isInLine = false
    stream.nextInLine = null
    return stream
  }
}
