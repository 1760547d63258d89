// The daemon's events for those who ask: the last ones kept, and a bounded queue for everyone who follows.
import type { GuardEvent } from '../core/events.js'
import type { Guard } from '../guard.js'
import { Bell } from './bell.js'

/** How many past events `events` shows. */
export const KEPT_EVENTS = 100
/** A follower that reads slower than events come loses the oldest beyond this, and is told how many. */
export const QUEUED_EVENTS = 1000

export class EventFeed {
  private readonly kept: GuardEvent[] = []
  private readonly followers = new Set<(event: GuardEvent) => void>()
  private readonly leave: () => void

  constructor(guard: Pick<Guard, 'subscribe'>) {
    this.leave = guard.subscribe(event => this.take(event))
  }

  /** Oldest first. */
  recent(): GuardEvent[] {
    return [...this.kept]
  }

  /** Events from the call on, until `signal` aborts. */
  follow(signal: AbortSignal): AsyncGenerator<GuardEvent> {
    // The queue is there before the first pull: nothing that happens between the reply's head and its body is missed.
    const queue: GuardEvent[] = []
    const bell = new Bell(signal)
    const lost = { count: 0 }
    const enter = (event: GuardEvent): void => {
      if (queue.length >= QUEUED_EVENTS) {
        queue.shift()
        lost.count += 1
      }
      queue.push(event)
      bell.ring()
    }
    this.followers.add(enter)
    const leave = (): void => {
      this.followers.delete(enter)
      bell.close()
    }
    signal.addEventListener('abort', leave, { once: true })
    return drain({ queue, bell, lost, signal, leave })
  }

  close(): void {
    this.leave()
  }

  private take(event: GuardEvent): void {
    this.kept.push(event)
    if (this.kept.length > KEPT_EVENTS) this.kept.shift()
    for (const enter of this.followers) enter(event)
  }
}

interface Following {
  queue: GuardEvent[]
  bell: Bell
  lost: { count: number }
  signal: AbortSignal
  leave(): void
}

async function* drain({ queue, bell, lost, signal, leave }: Following): AsyncGenerator<GuardEvent> {
  try {
    while (!signal.aborted) {
      bell.reset()
      const event = queue.shift()
      if (!event) {
        await bell.rung()
        continue
      }
      if (lost.count > 0) {
        const count = lost.count
        lost.count = 0
        yield { atMs: event.atMs, kind: 'daemon', message: `${count} events left out here: the reader was too slow` }
      }
      yield event
    }
  } finally {
    leave()
  }
}
