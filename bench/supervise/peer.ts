// What a supervisor looks like to this bench, and what a measurement is.
import type { Workplace } from './workplace.js'

export interface Peer {
  name: string
  installed(): boolean
  /** Rounds of the measurements that go one by one; fewer for those that take seconds each. */
  rounds: number
  /** Returns as soon as its daemon has been executed. */
  start(programs: BenchProgram[], place: Workplace, options?: StartOptions): Promise<Running>
}

export interface StartOptions {
  /** With traffic: a proxy worker on this port, where the peer has such a thing. */
  proxyPort?: number
}

export interface BenchProgram {
  name: string
  argv: string[]
  /** false: it is started by Running.startProgram only. */
  autostart: boolean
  /** Started again whatever its exit code. */
  autorestart: boolean
  /** The stdout log is rotated before it grows past this; 0: the output is thrown away. */
  logBytes: number
}

export interface Running {
  /** The daemon itself. */
  daemonPid: number
  /** Processes that belong to the supervisor, by their part; the daemon among them. */
  parts(): { part: 'daemon' | 'proxy worker' | 'shim'; pid: number }[]
  /** Resolves when the daemon takes commands. */
  ready(): Promise<void>
  /** Resolves when the peer says that it has stopped. */
  stopProgram(name: string): Promise<void>
  startProgram(name: string): Promise<void>
  /** The stdout log of a program; its backups are this path with .1, .2 and so on. */
  logPath(name: string): string
  /** Ends the daemon and everything it runs. */
  stop(): Promise<void>
}

export interface Figure {
  name: string
  unit: string
  /** What the issue asks of ours; null: nothing. */
  limit: { atMost: number } | { atLeast: number } | null
}

export interface Measurement {
  figures: Figure[]
  /** No run of it takes longer. */
  boundMs: number
  /** Values by the figures' names; one that is missing does not apply to this peer. */
  run(peer: Peer, place: Workplace): Promise<Record<string, number>>
}

export interface Result {
  measurement: string
  figure: Figure
  peer: string
  /** null: does not apply, or failed. */
  value: number | null
  note: string
  failed: boolean
}
