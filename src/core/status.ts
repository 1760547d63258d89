// What can be told about an instance: the record behind `status`, `top`, JSON output and the route table.
import type { State } from './instance.js'

export interface InstanceStatus {
  id: string
  name: string
  group: string
  program: string
  state: State
  /** The process id of the program, or 0. */
  pid: number
  /** Someone (a person or autostart) wants it up. */
  wanted: 'up' | 'down'
  /** May take traffic: RUNNING, and its probe, where it has one, agrees. */
  ready: boolean
  /** Unix time in ms of the last start and the last end; 0: never. */
  startedAtMs: number
  stoppedAtMs: number
  /** ms since the start by the monotonic clock; 0 where nothing runs. */
  uptimeMs: number
  /** Starts after the first that nobody asked for. */
  restarts: number
  /** Why it is BACKOFF, FATAL or unready, in words; '' where there is nothing to say. */
  reason: string
  /** The last lines of its log, for FATAL and BACKOFF; newest last, at most LAST_LINES. */
  lastLines: string[]
  /** How the last run ended; null: never ended. */
  exit: ExitRecord | null
  /** Bytes the shim could not write to the log files since the instance was added, and the last cause. */
  logLost: { bytes: number; error: string }
  address: { host: string; port: number } | null
  logs: { stdout: string | null; stderr: string | null }
}

export const LAST_LINES = 5

/** How a run of the program ended.  Exactly one of code and signal is set, or neither where the shim died with it. */
export interface ExitRecord {
  pid: number
  code: number | null
  signal: string | null
  coreDumped: boolean
  /** CPU ms of the program and the children it waited for. */
  userMs: number
  systemMs: number
  maxRssKb: number
  endedAtMs: number
}

/** CPU and memory of an instance's whole process tree. */
export interface Usage {
  id: string
  pid: number
  processes: number
  /** Percent of one core since the last look. */
  cpuPercent: number
  rssBytes: number
}
