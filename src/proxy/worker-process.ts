// One worker process as its parent sees it: started, set up over IPC, watched, drained.
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { AppError } from '../core/error.js'
import type { FromWorker, RouteTable, ToWorker } from '../core/route-table.js'
import type { ProxySpec } from '../core/spec.js'
import type { Doors } from './doors.js'
import type { SocketHandle } from './socket.js'

// What lives for one request fits into the processor's cache.  HTTP/1, 64 connections, medians of three: 2 MiB 34.4 µs and 64 MB, 4 MiB 32.9 and 68,
// 8 MiB 34.3 and 75; V8's own 16 MiB is no faster and takes 98 MB.  From V8's first 1 MiB it grows when it must: 4 MiB from the start made 2,000 requests/s
// slower, its collections were fewer and its memory not in the cache.  Threads that help with so little have to be woken: 0.31 ms a collection, 0.23 without.
const YOUNG_SPACE = ['--max-semi-space-size=4', '--no-parallel-scavenge']
// After a flood glibc keeps what was freed in small pieces unless it is told to give it back: 152-185 MiB against 109 (hostile/beside.test.ts).
const RETURN_MEMORY = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '32768', MALLOC_TRIM_THRESHOLD_: '65536' }

// Past its drain limit a worker destroys what is left; this is for one that cannot even do that.
const KILL_AFTER_DRAIN_MS = 2000

export interface WorkerProcessOptions {
  slot: number
  generation: number
  runDir: string
  setup: { settings: ProxySpec; version: string; table: RouteTable | null; doors: Doors }
  log(message: string): void
  /** It takes no more connections although nobody asked it to go; called once. */
  left(why: string): void
}

export interface WorkerStatus {
  pid: number
  slot: number
  generation: number
  state: 'starting' | 'serving' | 'draining'
  /** The newest table it has confirmed. */
  tableVersion: number
  rssBytes: number
}

export class WorkerProcess {
  readonly slot: number
  readonly generation: number
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>
  private readonly options: WorkerProcessOptions
  private readonly child: ChildProcess
  private readonly startedAt = performance.now()
  private state: WorkerStatus['state'] = 'starting'
  private tableVersion = 0
  private readyListeners: { ready(): void; failed(error: Error): void }[] = []
  private readonly tableListeners = new Set<() => void>()
  private killTimer: NodeJS.Timeout | null = null

  constructor(options: WorkerProcessOptions) {
    this.options = options
    this.slot = options.slot
    this.generation = options.generation
    // stderr goes where the daemon's goes: it is used only when there is no daemon to tell.
    this.child = fork(fileURLToPath(new URL('worker.js', import.meta.url)), [options.runDir, String(options.slot)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, ...RETURN_MEMORY },
      execArgv: [...process.execArgv, ...YOUNG_SPACE],
      // Out of the terminal's group: Ctrl-C is the daemon's to answer, also while a worker is still starting.
      detached: true,
    })
    this.child.on('message', message => this.receive(message as FromWorker))
    this.gone = new Promise(resolve => {
      this.child.on('exit', (code, signal) => {
        this.exited(signal === null ? `exited with ${code}` : `died by ${signal}`)
        resolve()
      })
      // Also a worker that could not be started, or whose channel broke: 'exit' follows only where there was a process.
      this.child.on('error', error => {
        if (this.child.pid !== undefined) return
        this.exited(`could not be started: ${error.message}`)
        resolve()
      })
    })
    const { settings, version, table, doors } = options.setup
    this.send({ kind: 'settings', settings, version })
    if (table !== null) this.send({ kind: 'table', table })
    this.send({ kind: 'listen', door: 'plain' }, doors.plain.handle)
    if (doors.tls !== null) this.send({ kind: 'listen', door: 'tls' }, doors.tls.handle)
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  get ageMs(): number {
    return performance.now() - this.startedAt
  }

  send(message: ToWorker, handle?: SocketHandle): void {
    if (!this.child.connected) return
    // A channel that breaks under the message is the worker's death, and 'exit' tells that.
    this.child.send(message, handle as never, {}, () => {})
  }

  whenReady(limitMs: number): Promise<void> {
    if (this.state === 'serving') return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new AppError('INTERNAL', `proxy worker ${this.pid} is not ready after ${limitMs} ms`)), limitMs)
      this.readyListeners.push({
        ready: () => {
          clearTimeout(timer)
          resolve()
        },
        failed: error => {
          clearTimeout(timer)
          reject(error)
        },
      })
    })
  }

  /** Resolves when it acts on the table of this version, is on its way out, or after limitMs. */
  knows(version: number, limitMs: number): Promise<void> {
    const settled = (): boolean => this.state === 'draining' || this.tableVersion >= version
    if (settled()) return Promise.resolve()
    return new Promise(resolve => {
      const end = () => {
        clearTimeout(timer)
        this.tableListeners.delete(look)
        resolve()
      }
      const look = () => {
        if (settled()) end()
      }
      const timer = setTimeout(end, limitMs)
      this.tableListeners.add(look)
    })
  }

  /** Asks it to finish; ends it by force when it does not within the limit. */
  drain(limitMs: number): void {
    this.state = 'draining'
    this.send({ kind: 'drain', limitMs })
    this.killTimer ??= setTimeout(() => this.kill(), limitMs + KILL_AFTER_DRAIN_MS)
  }

  kill(): void {
    this.state = 'draining'
    this.child.kill('SIGKILL')
  }

  status(): WorkerStatus {
    const { pid, slot, generation, state, tableVersion } = this
    return { pid, slot, generation, state, tableVersion, rssBytes: rssOf(pid) }
  }

  private receive(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        this.tableVersion = message.tableVersion
        if (this.state === 'starting') this.state = 'serving'
        for (const listener of this.takeListeners()) listener.ready()
        for (const look of this.tableListeners) look()
        return
      case 'leaving':
        this.leaves('drains on its own')
        break
      case 'drained':
        return
      case 'log':
        this.options.log(message.message)
        break
    }
  }

  private exited(how: string): void {
    if (this.killTimer !== null) clearTimeout(this.killTimer)
    for (const listener of this.takeListeners())
      listener.failed(new AppError('INTERNAL', `proxy worker ${this.pid} ${how} before it was ready`))
    this.leaves(how)
  }

  private leaves(why: string): void {
    if (this.state === 'draining') return
    this.state = 'draining'
    for (const look of this.tableListeners) look()
    this.options.left(why)
  }

  private takeListeners() {
    const listeners = this.readyListeners
    this.readyListeners = []
    return listeners
  }
}

function rssOf(pid: number): number {
  try {
    const kb = /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    return Number(kb ?? 0) * 1024
  } catch {
    // It has just gone.
    return 0
  }
}
