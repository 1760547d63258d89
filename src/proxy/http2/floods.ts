// How much trouble one connection may make: counters without a clock of their own, every limit beside its reason.

/** The part of the proxy's settings that is about frames of clients. */
export interface FloodLimits {
  maxControlFramesPerSecond: number
  maxContinuationFrames: number
}

/** For services: the defaults of the options that are there for clients. */
export const SERVICE_LIMITS: FloodLimits = { maxControlFramesPerSecond: 500, maxContinuationFrames: 128 }

const WINDOW_MS = 1000
/** What a second's allowance leaves unread of a polite client is a few frames: it waits for answers.  A flood has thousands more in hand; no more of it is read… */
export const CROWDED_BYTES = 8 * 1024
// …and still has them after so many seconds.
const MAX_CROWDED_SECONDS = 2
// Within the allowance, too, others get their turn between: a hundred requests that are reset take 10-30 ms.
const RESETS_PER_BREATH = 16
const BREATH_MS = 1
/** Pauses come in steps: one timer serves all that are alike. */
const PAUSE_STEP_MS = 100

/** Streams that are opened and reset, by the peer or because it provoked it (CVE-2023-44487, CVE-2025-8671), per second.
 *  Beyond the allowance nothing of the connection is looked at until the second is over.  A flood has brought much more by then, second after second;
 *  who cancels call after call has not, however fast it does it. */
export class ResetMeter {
  private readonly maxPerSecond: number
  private windowStartMs = 0
  private count = 0
  private crowdedSeconds = 0

  constructor(maxPerSecond: number) {
    this.maxPerSecond = maxPerSecond
  }

  /** One more reset.  Returns 0, or for how many ms the connection is to be left alone. */
  add(nowMs: number): number {
    if (nowMs - this.windowStartMs >= WINDOW_MS) {
      this.windowStartMs = nowMs
      this.count = 0
    }
    this.count++
    if (this.count <= this.maxPerSecond) return this.count % RESETS_PER_BREATH === 0 ? BREATH_MS : 0
    const leftMs = Math.max(1, this.windowStartMs + WINDOW_MS - nowMs)
    return Math.ceil(leftMs / PAUSE_STEP_MS) * PAUSE_STEP_MS
  }

  /** The pause is over, and so many bytes wait.  Returns true where this is a flood: GOAWAY ENHANCE_YOUR_CALM. */
  isFlood(waitingBytes: number): boolean {
    if (this.count <= this.maxPerSecond) return false
    this.crowdedSeconds = waitingBytes >= CROWDED_BYTES ? this.crowdedSeconds + 1 : 0
    return this.crowdedSeconds > MAX_CROWDED_SECONDS
  }
}

// With 500 a second a burst has 2,000 useless frames, which is 34 KiB of PINGs: no client of good will sends it, none that is merely odd is hit.
const BURST_SECONDS = 4
// A burst of small DATA frames is credited by the peer when it has read them: what they earned must still be there then.
const NOISE_CREDIT = 100_000
/** What a request, and a DATA frame of ours, earn: some libraries tell two small window updates per DATA frame. */
export const EARNED_BY_REQUEST = 8
export const EARNED_BY_DATA = 4
/** SETTINGS must be answered and walk over every stream; any other frame is looked at and forgotten. */
export const NOISE_OF_SETTINGS = 10
export const NOISE_OF_FRAME = 1
/** A window update that is worth its frame. */
export const SOUND_UPDATE_BYTES = 1024

/** Frames that carry nothing: PING, SETTINGS, PRIORITY, empty DATA, tiny window updates, unknown types.  Work for real streams earns some of them. */
export class NoiseMeter {
  private readonly perSecond: number
  private readonly limit: number
  private level = 0
  /** When the level was last looked at, or began to rise. */
  private sinceMs = 0
  private isRising = false

  constructor(perSecond: number) {
    this.perSecond = perSecond
    this.limit = perSecond * BURST_SECONDS
  }

  /** Useful work: lowers the level. */
  earn(amount: number): void {
    this.level = Math.max(-NOISE_CREDIT, this.level - amount)
  }

  /** One more.  Returns true where it is worth a look at the clock: only `isTooMuch` decides. */
  add(amount: number): boolean {
    this.isRising = this.level <= 0
    this.level += amount
    if (this.isRising && this.level > 0) return true
    return this.level > this.limit
  }

  /** After an `add` that was worth it.  The clock is looked at so rarely that what a connection saves up in silence may count twice. */
  isTooMuch(nowMs: number): boolean {
    const passed = this.isRising ? 0 : Math.max(0, nowMs - this.sinceMs)
    this.sinceMs = nowMs
    if (this.level > 0) this.level = Math.max(0, this.level - (passed / 1000) * this.perSecond)
    return this.level > this.limit
  }
}

// nghttp2's servers (node:http2 too) end a connection with GOAWAY INTERNAL_ERROR after 1,000 resets with a refill of 33 a second, and take all its calls along.
const CANCEL_LIMIT = 800
const CANCELS_PER_SECOND = 30

/** Our own cancels on one connection to a service. */
export class CancelMeter {
  private level = 0
  private sinceMs = 0

  /** One more.  Returns true where the connection should take no new streams: what it has may still be cancelled. */
  add(nowMs: number): boolean {
    this.level = Math.max(0, this.level - ((nowMs - this.sinceMs) / 1000) * CANCELS_PER_SECOND) + 1
    this.sinceMs = nowMs
    return this.level > CANCEL_LIMIT
  }
}

/** Control frames of ours that may wait for a peer that does not read: ACKs are answers it provokes. */
export const MAX_CONTROLS_WHILE_BLOCKED = 1000

/** How large a header block may be on the wire: so far beyond the decoded limit it is still read, to keep HPACK in step and answer 431. */
export function maxBlockBytes(maxHeaderBytes: number): number {
  return maxHeaderBytes * 4
}
