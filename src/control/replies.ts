// One answer per command that ends at once: what the control socket says as JSON.
import { AppError, ERRORS } from '../core/error.js'
import type { InstanceStatus } from '../core/status.js'
import type { Guard } from '../guard.js'
import { clearNames, type NameResult, restartNames, signalNames, startNames, stopNames } from './actions.js'
import type { RemoteCommand } from './command-table.js'
import { resolveName } from './names.js'
import type { Params } from './params.js'

type StreamCommand = 'tail' | 'maintail' | 'logs' | 'events'
export type ReplyCommand = Exclude<RemoteCommand, StreamCommand>

type Replies = { [C in ReplyCommand]: (guard: Guard, params: Params<C>) => unknown }

/** What was asked for and is not there. */
export interface Unknown {
  name: string
  kind: 'process' | 'group'
  hint: string
}

/** Every answer is a JSON object; `results` hold one entry per name, so that one wrong name does not hide the others. */
export const REPLIES: Replies = {
  status: (guard, { names }) => pick(guard.status(), names),
  top: async (guard, { names }) => {
    const usage = await guard.usage()
    return { ...pick(guard.status(), names), usage }
  },
  start: async (guard, { names, wait }) => ({ results: await startNames(guard, names, wait) }),
  stop: async (guard, { names, wait }) => ({ results: await stopNames(guard, names, wait) }),
  // One request and not two: a client that leaves between them must not leave the program stopped.
  restart: (guard, { names }) => restartNames(guard, names),
  signal: async (guard, { names, signal }) => ({ results: await signalNames(guard, names, signal) }),
  clear: async (guard, { names }) => ({ results: await clearNames(guard, names) }),
  pid: (guard, { names }) => ({ daemon: process.pid, ...pick(guard.status(), names) }),
  reread: guard => guard.reread(),
  update: (guard, { names }) => update(guard, names),
  avail: async guard => ({ available: await guard.available() }),
  add: async (guard, { names }) => ({ results: await onGroups(names, name => guard.add(name)) }),
  remove: async (guard, { names }) => ({ results: await onGroups(names, name => guard.remove(name)) }),
  reload: async guard => {
    await guard.reload()
    return {}
  },
  shutdown: guard => {
    guard.shutdown()
    return {}
  },
  version: guard => ({ version: guard.version, startedAtMs: guard.startedAtMs }),
}

function pick(instances: InstanceStatus[], names: readonly string[]): { instances: InstanceStatus[]; unknown: Unknown[] } {
  if (names.length === 0 || names.includes('all')) return { instances, unknown: [] }
  const picked: InstanceStatus[] = []
  const unknown: Unknown[] = []
  for (const name of names) {
    const target = resolveName(name, instances)
    if (target.kind === 'none') unknown.push({ name: target.name, kind: target.what, hint: target.hint || ERRORS.BAD_NAME.hint })
    else picked.push(...instances.filter(one => (target.kind === 'process' ? one.id === target.id : target.ids.includes(one.id))))
  }
  return { instances: picked, unknown }
}

// An empty list means everything to `update`, so it must never be what is left of names that do not exist.
async function update(guard: Guard, names: readonly string[]): Promise<unknown> {
  if (names.length === 0 || names.includes('all')) return { ...(await guard.update([])), unknown: [] }
  const changes = await guard.reread()
  const groups = new Set([...guard.status().map(instance => instance.group), ...changes.added])
  const known = names.filter(name => groups.has(name))
  const unknown = names.filter(name => !groups.has(name))
  const report = known.length === 0 ? { groups: [], restarted: [], applied: [] } : await guard.update(known)
  return { ...report, unknown }
}

async function onGroups(names: readonly string[], act: (name: string) => Promise<void>): Promise<NameResult[]> {
  if (names.length === 0) throw new AppError('USAGE', 'a group name is missing')
  const results: NameResult[] = []
  for (const name of names) {
    try {
      await act(name)
      results.push({ name, kind: 'group', code: 'OK', message: '', hint: '' })
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      results.push({ name, kind: 'group', code: error.code, message: error.message, hint: error.row.hint })
    }
  }
  return results
}
