// Wakes readers when one of their log files may have changed: directory events, with a slow poll as the safety net.
import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/** How often files are looked at whose directory cannot be watched (not there yet, no inotify watch left). */
export const POLL_MS = 250
/** Every so many polls the watched ones are looked at too: a network disk sends no events for what others write. */
export const POLLS_PER_SWEEP = 4

/** One watch per directory, however many files in it are followed: a busy directory costs one call per event. */
export class LogWatch {
  /** Directory → file name → path as it was added. */
  private readonly files = new Map<string, Map<string, string>>()
  private readonly watchers = new Map<string, FSWatcher>()
  private readonly onWake: (path: string) => void
  private readonly timer: NodeJS.Timeout
  private polls = 0

  /** onWake: called with a path given to `add`; a call promises nothing, there may be nothing new. */
  constructor(onWake: (path: string) => void) {
    this.onWake = onWake
    this.timer = setInterval(() => this.poll(), POLL_MS)
  }

  /** path: absolute. */
  add(path: string): void {
    const directory = dirname(path)
    const known = this.files.get(directory) ?? new Map<string, string>()
    this.files.set(directory, known.set(basename(path), path))
    this.arm(directory)
  }

  close(): void {
    clearInterval(this.timer)
    for (const directory of [...this.watchers.keys()]) this.disarm(directory)
  }

  private arm(directory: string): void {
    if (this.watchers.has(directory)) return
    try {
      const watcher = watch(directory, { persistent: false }, (_event, name) => this.onEvent(directory, name))
      watcher.on('error', () => this.disarm(directory))
      this.watchers.set(directory, watcher)
    } catch {
      // The directory is not there yet, or the user's inotify watches are used up: the poll serves until it works.
    }
  }

  private disarm(directory: string): void {
    this.watchers.get(directory)?.close()
    this.watchers.delete(directory)
  }

  private onEvent(directory: string, name: string | null): void {
    const path = name === null ? undefined : this.files.get(directory)?.get(name)
    if (path !== undefined) this.onWake(path)
    // The directory's own name: it was removed or moved, and the watch with it. The poll finds its successor.
    else if (name === basename(directory)) this.disarm(directory)
  }

  private poll(): void {
    const isSweep = ++this.polls % POLLS_PER_SWEEP === 0
    for (const [directory, known] of this.files) {
      const wasArmed = this.watchers.has(directory)
      this.arm(directory)
      if (isSweep || !wasArmed) for (const path of known.values()) this.onWake(path)
    }
  }
}
