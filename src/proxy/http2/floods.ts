// How much trouble one connection may make: counters without a clock of their own, every limit beside its reason.

/** `slow`: read nothing more from it until this second is over.  `stop`: GOAWAY ENHANCE_YOUR_CALM. */
export type FloodVerdict = 'fine' | 'slow' | 'stop'

const WINDOW_MS = 1000
// A connection that was slowed and still brings so many times its allowance of resets is no busy client: a polite one stops when it is not read.
const DEBT_FACTOR = 4

/** Streams that are opened and reset, by the peer or because it provoked it (CVE-2023-44487, CVE-2025-8671), per second.
 *  Beyond the allowance a connection is read no more until the second is over; what one burst brought beyond it is a debt,
 *  which a later second below the allowance pays off.  Sequential cancels overshoot by one or two, so they never run up a debt. */
export class ResetMeter {
  private readonly maxPerSecond: number
  private windowStartMs = 0
  private count = 0
  private debt = 0

  constructor(maxPerSecond: number) {
    this.maxPerSecond = maxPerSecond
  }

  /** One more reset. */
  add(nowMs: number): FloodVerdict {
    this.roll(nowMs)
    this.count++
    if (this.count <= this.maxPerSecond) return 'fine'
    const debt = this.debt + this.count - this.maxPerSecond
    return debt > this.maxPerSecond * DEBT_FACTOR ? 'stop' : 'slow'
  }

  /** How long the connection is to be left unread after `slow`. */
  pauseMs(nowMs: number): number {
    return Math.max(1, this.windowStartMs + WINDOW_MS - nowMs)
  }

  private roll(nowMs: number): void {
    const passed = Math.floor((nowMs - this.windowStartMs) / WINDOW_MS)
    if (passed <= 0) return
    this.debt = Math.max(0, this.debt + this.count - passed * this.maxPerSecond)
    this.windowStartMs += passed * WINDOW_MS
    this.count = 0
  }
}

// A burst of 2,000 useless frames is 34 KiB of PINGs: no client of good will sends it, none that is merely odd is hit.
const NOISE_LIMIT = 2000
const NOISE_PER_SECOND = 500
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
  private level = 0
  private sinceMs = 0

  /** Useful work: lowers the level. */
  earn(amount: number): void {
    this.level = this.level > amount ? this.level - amount : 0
  }

  /** One more.  Returns true while it is worth a look at the clock: only `isTooMuch` decides. */
  add(amount: number): boolean {
    this.level += amount
    return this.level > NOISE_LIMIT
  }

  isTooMuch(nowMs: number): boolean {
    const passed = Math.max(0, nowMs - this.sinceMs)
    this.sinceMs = nowMs
    this.level = Math.max(0, this.level - (passed / 1000) * NOISE_PER_SECOND)
    return this.level > NOISE_LIMIT
  }
}

/** Control frames of ours that may wait for a peer that does not read: ACKs are answers it provokes. */
export const MAX_CONTROLS_WHILE_BLOCKED = 1000

// A head needs four CONTINUATIONs where frames are full; one that is cut into crumbs has had its chance (CVE-2024-27316).
export const MAX_CONTINUATIONS = 128

/** How large a header block may be on the wire: so far beyond the decoded limit it is still read, to keep HPACK in step and answer 431. */
export function maxBlockBytes(maxHeaderBytes: number): number {
  return maxHeaderBytes * 4
}
