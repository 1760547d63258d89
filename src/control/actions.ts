// Verbs that act on named instances: every name gets its own answer, and none keeps the others from theirs.
import { AppError, ERRORS, type ErrorCode } from '../core/error.js'
import type { Outcome } from '../core/outcome.js'
import type { SignalName } from '../core/spec.js'
import type { InstanceStatus } from '../core/status.js'
import type { Guard } from '../guard.js'
import { resolveName } from './names.js'

/** What became of one name.  code: 'OK' or why not. */
export interface NameResult {
  name: string
  kind: 'process' | 'group'
  code: 'OK' | ErrorCode
  message: string
  hint: string
}

/** Starts what the names stand for.  `all` and groups start only what is down, as supervisord does. */
export function startNames(guard: Guard, names: readonly string[], wait: 'yes' | 'no'): Promise<NameResult[]> {
  return actOn(guard, names, { picks: isDown, run: ids => guard.start(ids, wait) })
}

/** Stops what the names stand for.  `all` and groups stop only what is up. */
export function stopNames(guard: Guard, names: readonly string[], wait: 'yes' | 'no'): Promise<NameResult[]> {
  return actOn(guard, names, { picks: isUp, run: ids => guard.stop(ids, wait) })
}

/** Stops, then starts what the names stand for; requests to their routes wait meanwhile.
 *  As in supervisord `all` and a group start everything they have, so only what was up answers for the stop. */
export async function restartNames(guard: Guard, names: readonly string[]): Promise<{ stopped: NameResult[]; started: NameResult[] }> {
  const instances = guard.status()
  const stops = targetsOf(instances, names, { picks: isUp })
  const starts = targetsOf(instances, names, { picks: () => true })
  const ids = idsOf(starts)
  const { stopped, started } = ids.length === 0 ? { stopped: [], started: [] } : await guard.restart(ids, 'yes')
  return { stopped: resultsOf(stops, stopped), started: resultsOf(starts, started) }
}

/** Sends a signal to what the names stand for.  signal: as typed (`HUP`, `SIGHUP`, `hup`, `1`). */
export function signalNames(guard: Guard, names: readonly string[], signal: string): Promise<NameResult[]> {
  const found = signalNamed(signal)
  const send = async (id: string): Promise<void> => {
    if (found === null) throw new AppError('BAD_SIGNAL', `no such signal: ${signal}`)
    await guard.signal(id, found)
  }
  return actOn(guard, names, { picks: isSignallable, run: ids => each(ids, send) })
}

/** Empties the logs of what the names stand for. */
export function clearNames(guard: Guard, names: readonly string[]): Promise<NameResult[]> {
  return actOn(guard, names, { picks: () => true, run: ids => each(ids, id => guard.clearLogs(id)) })
}

interface Action {
  /** Which of a group's instances, or of all, it is for. */
  picks(status: InstanceStatus): boolean
  /** Gives one outcome per id. */
  run(ids: string[]): Promise<Outcome[]>
}

type Targets = ({ ids: string[] } | NameResult)[]

async function actOn(guard: Guard, names: readonly string[], action: Action): Promise<NameResult[]> {
  const targets = targetsOf(guard.status(), names, action)
  const ids = idsOf(targets)
  return resultsOf(targets, ids.length === 0 ? [] : await action.run(ids))
}

function targetsOf(instances: InstanceStatus[], names: readonly string[], { picks }: Pick<Action, 'picks'>): Targets {
  if (names.length === 0) throw new AppError('USAGE', 'a name is missing')
  if (names.includes('all')) return [{ ids: instances.filter(picks).map(instance => instance.id) }]
  const picked = new Set(instances.filter(picks).map(instance => instance.id))
  return [...new Set(names)].map(argument => {
    const target = resolveName(argument, instances)
    if (target.kind === 'process') return { ids: [target.id] }
    if (target.kind === 'group') return { ids: target.ids.filter(id => picked.has(id)) }
    const hint = target.hint || ERRORS.BAD_NAME.hint
    return { name: target.name, kind: target.what, code: 'BAD_NAME', message: `no such ${target.what}`, hint }
  })
}

function idsOf(targets: Targets): string[] {
  return [...new Set(targets.flatMap(target => ('ids' in target ? target.ids : [])))]
}

function resultsOf(targets: Targets, outcomes: Outcome[]): NameResult[] {
  const errors = new Map(outcomes.map(outcome => [outcome.id, outcome.error]))
  return targets.flatMap(target => ('ids' in target ? target.ids.map(id => resultOf(id, errors.get(id) ?? null)) : [target]))
}

async function each(ids: string[], act: (id: string) => Promise<void>): Promise<Outcome[]> {
  return Promise.all(
    ids.map(async id => {
      try {
        await act(id)
        return { id, error: null }
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        return { id, error }
      }
    }),
  )
}

function resultOf(id: string, error: AppError | null): NameResult {
  if (error === null) return { name: id, kind: 'process', code: 'OK', message: '', hint: '' }
  return { name: id, kind: 'process', code: error.code, message: error.message, hint: error.row.hint }
}

function isUp(status: InstanceStatus): boolean {
  return status.state === 'RUNNING' || status.state === 'STARTING' || status.state === 'BACKOFF'
}

function isDown(status: InstanceStatus): boolean {
  return !isUp(status)
}

function isSignallable(status: InstanceStatus): boolean {
  return status.state === 'RUNNING' || status.state === 'STARTING' || status.state === 'STOPPING'
}

// Numbers of signal(7) on the architectures Node 20 has binaries for; all of them agree on these.
const SIGNALS: Readonly<Record<SignalName, number>> = { HUP: 1, INT: 2, QUIT: 3, KILL: 9, USR1: 10, USR2: 12, TERM: 15, CONT: 18, STOP: 19 }

function signalNamed(text: string): SignalName | null {
  const word = text.trim().toUpperCase().replace(/^SIG/, '')
  const found = Object.entries(SIGNALS).find(([name, number]) => name === word || String(number) === word)
  return found ? (found[0] as SignalName) : null
}
