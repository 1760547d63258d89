// Time: the kernel's monotonic clock, which the shims read too, and timers on it.

/** Longest wait setTimeout keeps; a later moment is waited for in pieces. */
const TIMER_MAX_MS = 2 ** 31 - 1

export const clock = {
  /** CLOCK_MONOTONIC in ms. */
  nowMs: (): number => Number(process.hrtime.bigint()) / 1e6,
  /** Unix time in ms. */
  wallMs: (): number => Date.now(),
  /** Calls back once at or after the moment `ms` of nowMs; returns what cancels it. */
  at(ms: number, call: () => void): () => void {
    let timer: NodeJS.Timeout
    const arm = (): void => {
      const leftMs = ms - clock.nowMs()
      if (leftMs <= 0) call()
      else timer = setTimeout(arm, Math.min(Math.ceil(leftMs), TIMER_MAX_MS))
    }
    timer = setTimeout(arm, Math.min(Math.max(0, Math.ceil(ms - clock.nowMs())), TIMER_MAX_MS))
    return () => clearTimeout(timer)
  },
}
