// Reading as far as the other side takes it: bytes that were handed on and not granted, and the pause when they are many.
import { WINDOW_BYTES } from '../stream.js'
import type { Wire } from '../wire.js'

/** One read more may come after reading was paused. */
const PAUSE_BYTES = WINDOW_BYTES - 64 * 1024

export class ReadCredit {
  /** Handed on and not granted. */
  ahead = 0
  isPaused = false
  private readonly wire: Wire

  constructor(wire: Wire) {
    this.wire = wire
  }

  get isSpent(): boolean {
    return this.ahead > PAUSE_BYTES
  }

  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.wire.pauseReading()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.wire.resumeReading()
  }
}
