// Waiting for something that others notice, without sleeping over what happens between a look and the wait.

/** Remembers that it was rung, so that what happens between a look and the wait is not slept over. */
export class Bell {
  private isRung = false
  private wake: (() => void) | null = null
  private readonly onAbort = (): void => this.ring()
  private readonly signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.signal = signal
    signal.addEventListener('abort', this.onAbort)
  }

  ring(): void {
    this.isRung = true
    this.wake?.()
  }

  reset(): void {
    this.isRung = this.signal.aborted
  }

  /** Resolves at once where it was rung since the last reset, else at the next ring or after `limitMs`. */
  async rung(limitMs?: number): Promise<void> {
    if (this.isRung) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      this.wake = resolve
      if (limitMs !== undefined) timer = setTimeout(resolve, limitMs)
    })
    this.wake = null
    clearTimeout(timer)
  }

  close(): void {
    this.signal.removeEventListener('abort', this.onAbort)
  }
}
