// How long an endpoint takes until it begins to answer, as a running mean: what tells a slow endpoint from a busy one.

// Up fast, so that a second of slowness is seen; down slowly, so that it is not forgotten at once.
const RISE_MS = 1000
const FALL_MS = 5000
// One long poll or upload among quick answers says nothing about the endpoint: it counts as no more than this many times the mean.
const MOST_RISE = 4
/** Differences below this are the machine's, not the endpoint's. */
const NOISE_MS = 1
/** An endpoint that is avoided is asked so often all the same: it may have recovered. */
export const LOOK_AGAIN_MS = 5000
/** Less than this many times slower is as fast: equal endpoints must share alike. */
export const CLEARLY_SLOWER = 2

export class AnswerTime {
  /** 0: nothing is known. */
  private meanMs = 0
  /** Of the last answer. */
  private atMs = 0
  private lookedMs = 0

  /** It has begun to answer, and not with an error: who fails is fast. */
  observed(tookMs: number, nowMs: number): void {
    const sampleMs = tookMs + NOISE_MS
    const agoMs = nowMs - this.atMs
    this.atMs = nowMs
    if (this.meanMs === 0) this.meanMs = sampleMs
    else if (sampleMs > this.meanMs) this.move(Math.min(sampleMs, this.meanMs * MOST_RISE), agoMs / RISE_MS)
    else this.move(sampleMs, agoMs / FALL_MS)
  }

  /** A new process: what was before does not count. */
  forget(): void {
    this.meanMs = 0
  }

  /** How many times slower than another, from CLEARLY_SLOWER on; 1: as fast, faster, or nobody knows. */
  slownessBeside(other: AnswerTime): number {
    if (this.meanMs === 0 || other.meanMs === 0) return 1
    const times = this.meanMs / other.meanMs
    return times < CLEARLY_SLOWER ? 1 : times
  }

  /** Has nothing been heard of it for so long that one request must find out?  That request is this one. */
  looksAgain(nowMs: number): boolean {
    if (nowMs - Math.max(this.atMs, this.lookedMs) < LOOK_AGAIN_MS) return false
    this.lookedMs = nowMs
    return true
  }

  private move(toMs: number, share: number): void {
    this.meanMs += (toMs - this.meanMs) * (1 - Math.exp(-share))
  }
}
