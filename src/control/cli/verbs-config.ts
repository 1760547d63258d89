// guardctl's verbs about the whole daemon and its configuration: reread, update, add, remove, reload, shutdown.
import type { ConfigChanges, UpdateReport } from '../../core/changes.js'
import { ERRORS } from '../../core/error.js'
import type { NameResult } from '../actions.js'
import { askDaemon, type Call, noWords, type Verb, wrongUsage } from './call.js'
import { Failure } from './failure.js'

export const reread: Verb = async call => {
  noWords(call, 'reread')
  const changes = await askDaemon<ConfigChanges>(call, 'reread')
  if (call.line.json) call.terminal.printJson(changes)
  else for (const line of changeLines(changes)) call.terminal.print(line)
  return 0
}

function changeLines({ added, changed, removed }: ConfigChanges): string[] {
  const words = new Map([
    ...added.map(name => [name, 'available'] as const),
    ...changed.map(name => [name, 'changed'] as const),
    ...removed.map(name => [name, 'disappeared'] as const),
  ])
  if (words.size === 0) return ['No config updates to processes']
  return [...words.keys()].sort().map(name => `${name}: ${words.get(name)}`)
}

const GROUP_CHANGES: Record<UpdateReport['groups'][number]['change'], string> = {
  stopped: 'stopped',
  removed: 'removed process group',
  updated: 'updated process group',
  added: 'added process group',
}

export const update: Verb = async call => {
  const report = await askDaemon<UpdateReport & { unknown: string[] }>(call, 'update', { names: call.line.words })
  if (call.line.json) call.terminal.printJson(report)
  else {
    for (const name of report.unknown) call.terminal.print(`ERROR: no such group: ${name}`)
    for (const { name, change } of report.groups) call.terminal.print(`${name}: ${GROUP_CHANGES[change]}`)
    for (const id of report.restarted) call.terminal.print(`${id}: restarted`)
    for (const change of report.applied) call.terminal.print(`${change}: applied without a restart`)
    if (report.unknown.length > 0) call.terminal.note('hint: `guardctl avail` lists what the configuration has')
  }
  return report.unknown.length > 0 ? 1 : 0
}

export const add: Verb = call => onGroups(call, 'add', 'added')
export const remove: Verb = call => onGroups(call, 'remove', 'removed')

async function onGroups(call: Call, command: 'add' | 'remove', done: string): Promise<number> {
  if (call.line.words.length === 0) throw wrongUsage(command, `${command} requires a group name`, 2)
  const { results } = await askDaemon<{ results: NameResult[] }>(call, command, { names: call.line.words })
  if (call.line.json) call.terminal.printJson(results)
  else for (const result of results) call.terminal.print(groupLine(result, done))
  return results.map(result => (result.code === 'OK' ? 0 : ERRORS[result.code].exit)).findLast(exit => exit !== 0) ?? 0
}

function groupLine({ name, code, message }: NameResult, done: string): string {
  switch (code) {
    case 'OK':
      return `${name}: ${done} process group`
    case 'ALREADY_ADDED':
      return 'ERROR: process group already active'
    case 'STILL_RUNNING':
      return `ERROR: process/group still running: ${name}`
    case 'BAD_NAME':
      return `ERROR: no such process/group: ${name}`
    default:
      return `ERROR: ${message}`
  }
}

export const reload: Verb = async call => {
  noWords(call, 'reload')
  const answer = await askDaemon<object>(call, 'reload')
  if (call.line.json) call.terminal.printJson(answer)
  else call.terminal.print('Restarted autodl-guard')
  return 0
}

export const shutdown: Verb = async call => {
  noWords(call, 'shutdown')
  const answer = await askDaemon<object>(call, 'shutdown').catch(sayWhyNot)
  if (call.line.json) call.terminal.printJson(answer)
  else call.terminal.print('Shut down')
  return 0
}

// supervisorctl's lines: what was wanted is already so, which is 0 while it goes on and 1 where there is nobody to ask.
function sayWhyNot(error: unknown): never {
  if (!(error instanceof Failure)) throw error
  if (error.code === 'SHUTTING_DOWN') throw new Failure(error.code, 'ERROR: already shutting down', { exit: 0, text: error.text })
  if (error.code !== 'DAEMON_NOT_RUNNING') throw error
  throw new Failure(error.code, `ERROR: ${error.message} (already shut down?)`, { exit: 1, hint: error.hint, text: error.text })
}
