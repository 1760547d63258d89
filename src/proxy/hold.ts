// Requests that wait for a ready endpoint: woken by every new route table, let go when their time is over.

// Per upstream and worker.  A held request costs its connection and a few kB; beyond this the program is not coming back soon.
export const MAX_HELD = 1000

export type Wake = 'changed' | 'timeout'

export class Hold {
  private readonly held = new Map<string, Set<(why: Wake) => void>>()

  /** Waits for the next table, at most limitMs.  Calls `wake` once.
   *  Returns what takes the request back, or null where the upstream's queue is full. */
  wait(upstream: string, limitMs: number, wake: (why: Wake) => void): (() => void) | null {
    const queue = this.held.get(upstream) ?? new Set()
    if (queue.size >= MAX_HELD) return null
    this.held.set(upstream, queue)
    const leave = () => {
      clearTimeout(timer)
      queue.delete(entry)
    }
    const entry = (why: Wake) => {
      leave()
      wake(why)
    }
    const timer = setTimeout(() => entry('timeout'), limitMs)
    queue.add(entry)
    return leave
  }

  /** A new table is here: everybody looks again. */
  wakeAll(): void {
    for (const queue of this.held.values()) for (const entry of [...queue]) entry('changed')
    for (const [upstream, queue] of this.held) if (queue.size === 0) this.held.delete(upstream)
  }

  get size(): number {
    let count = 0
    for (const queue of this.held.values()) count += queue.size
    return count
  }
}
