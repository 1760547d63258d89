// The daemon as its control room sees it: every verb of the command table ends in one of these methods.
import type { Available, ConfigChanges, UpdateReport } from './core/changes.js'
import type { GuardEvent } from './core/events.js'
import type { Outcome, Restarted } from './core/outcome.js'
import type { Config, LogSpec, SignalName } from './core/spec.js'
import type { InstanceStatus, Usage } from './core/status.js'

/** Implemented by daemon.ts; control/ knows only this.  Every method throws AppError with a code of core/error.ts. */
export interface Guard {
  readonly version: string
  readonly startedAtMs: number
  config(): Config
  /** In start order (priority, then place in the file). */
  status(): InstanceStatus[]
  /** Starts instances in order, with the dependencies that are down.  wait 'yes': each outcome is known when its instance is RUNNING (alive for
   *  startsecs) or has failed.  Outcomes: ALREADY_STARTED, SPAWN_ERROR, ABNORMAL_TERMINATION.  Throws BAD_NAME, SHUTTING_DOWN. */
  start(ids: string[], wait: 'yes' | 'no'): Promise<Outcome[]>
  /** Stops instances in the reverse order of their starts.  wait 'yes': each outcome is known when the whole process tree is gone.
   *  Outcomes: NOT_RUNNING.  Throws BAD_NAME. */
  stop(ids: string[], wait: 'yes' | 'no'): Promise<Outcome[]>
  /** Stops and starts again; requests to their routes wait meanwhile.  Outcomes and errors as those of stop and start. */
  restart(ids: string[], wait: 'yes' | 'no'): Promise<Restarted>
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
