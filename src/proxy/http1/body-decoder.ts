// The body of a message as ranges of the read buffer, however it is framed: by length, in chunks, or by the connection's end.

import type { Fields } from '../../core/headers.js'
import type { HeadLimits } from '../head-limits.js'
import { ChunkedDecoder } from './chunked.js'

/** Instead of a length. */
export const IN_CHUNKS = -1
export const UNTIL_CLOSE = -2

const NO_TRAILERS: Fields = []

export class BodyDecoder {
  /** Data in the bytes given last: [dataStart, dataEnd). */
  dataStart = 0
  dataEnd = 0
  /** How far `step` has read. */
  at = 0
  /** The body is complete. */
  isOver = false
  private readonly chunked: ChunkedDecoder
  private kind = 0
  private left = 0

  constructor(limits: HeadLimits) {
    this.chunked = new ChunkedDecoder(limits)
  }

  get trailers(): Fields {
    return this.kind === IN_CHUNKS ? this.chunked.trailers : NO_TRAILERS
  }

  get isUntilClose(): boolean {
    return this.kind === UNTIL_CLOSE
  }

  /** Why the body is refused. */
  get fault(): string {
    return this.chunked.fault
  }

  /** length: > 0, IN_CHUNKS or UNTIL_CLOSE. */
  begin(length: number): void {
    this.isOver = false
    this.kind = length
    this.left = length
    if (length === IN_CHUNKS) this.chunked.begin()
  }

  /** Reads on in bytes[at, end), to `this.at`: `end` only where no data came with it, so look at `isOver` too. */
  step(bytes: Buffer, at: number, end: number): 'more' | 'data' | 'end' | 'bad' {
    const { chunked } = this
    if (this.kind === IN_CHUNKS) {
      const outcome = chunked.step(bytes, at, end)
      this.at = chunked.at
      this.dataStart = chunked.dataStart
      this.dataEnd = chunked.dataEnd
      this.isOver = outcome === 'end'
      return outcome
    }
    this.dataStart = at
    this.dataEnd = this.kind === UNTIL_CLOSE ? end : Math.min(end, at + this.left)
    this.at = this.dataEnd
    this.left -= this.dataEnd - at
    this.isOver = this.left === 0
    return 'data'
  }
}
