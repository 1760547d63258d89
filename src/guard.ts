// The daemon as its control room sees it: every verb of the command table ends in one of these methods.
import type { GuardEvent } from './core/events.js'
import type { Config, LogSpec, SignalName } from './core/spec.js'
import type { InstanceStatus, Usage } from './core/status.js'

/** Implemented by daemon.ts; control/ knows only this.  Every method throws AppError with a code of core/error.ts. */
export interface Guard {
  readonly version: string
  readonly startedAtMs: number
  config(): Config
  /** In start order (priority, then place in the file). */
  status(): InstanceStatus[]
  /** Resolves when the instance is RUNNING (alive for startsecs), at once with `wait: 'no'`.
   *  ALREADY_STARTED, SPAWN_ERROR, ABNORMAL_TERMINATION, BAD_NAME, SHUTTING_DOWN. */
  start(id: string, wait: 'yes' | 'no'): Promise<void>
  /** Resolves when the whole process tree is gone, at once with `wait: 'no'`.  NOT_RUNNING, BAD_NAME. */
  stop(id: string, wait: 'yes' | 'no'): Promise<void>
  /** Sends a signal to the program (not its tree).  NOT_RUNNING, BAD_NAME. */
  signal(id: string, signal: SignalName): Promise<void>
  /** Reads the config files again and says how they differ from what runs; changes nothing.  CONFIG_INVALID. */
  reread(): Promise<ConfigChanges>
  /** Makes what runs equal to the files; touches only instances whose own configuration changed.
   *  only: group names to restrict it to; empty: all.  CONFIG_INVALID: nothing was changed. */
  update(only: string[]): Promise<UpdateReport>
  /** Adds one group that is in the files (as last reread) and not active.  BAD_NAME, ALREADY_ADDED. */
  add(group: string): Promise<void>
  /** Takes a stopped group out.  BAD_NAME, STILL_RUNNING. */
  remove(group: string): Promise<void>
  available(): Promise<Available[]>
  /** Empties the instance's log files and removes their backups. */
  clearLogs(id: string): Promise<void>
  daemonLog(): LogSpec
  usage(): Promise<Usage[]>
  /** Returns the function that ends the subscription. */
  subscribe(listener: (event: GuardEvent) => void): () => void
  /** Stops everything, rereads the configuration and starts again.  CONFIG_INVALID: nothing was changed. */
  reload(): Promise<void>
  /** Begins the stop of everything; the process ends when all is gone. */
  shutdown(): void
}

/** Group names. */
export interface ConfigChanges {
  added: string[]
  changed: string[]
  removed: string[]
}

export interface UpdateReport {
  /** In the order done: group name and what happened to it. */
  groups: { name: string; change: 'added' | 'updated' | 'removed' | 'stopped' }[]
  /** Instance ids that were started anew because their own configuration changed. */
  restarted: string[]
  /** Changes taken over without a restart, in words ("web: stdout_logfile_maxbytes"). */
  applied: string[]
}

export interface Available {
  name: string
  group: string
  /** 'in use' or 'avail' in supervisorctl's words. */
  inUse: boolean
  autostart: boolean
  groupPriority: number
  priority: number
}
