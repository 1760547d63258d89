// guardctl's verbs that look and change nothing: status, pid, avail, version.
import type { Available } from '../../core/changes.js'
import type { InstanceStatus } from '../../core/status.js'
import { byName } from '../names.js'
import type { Unknown } from '../replies.js'
import { askDaemon, noWords, type Verb } from './call.js'
import { Failure } from './failure.js'
import { statusLines } from './status-lines.js'

interface Looked {
  instances: InstanceStatus[]
  unknown: Unknown[]
}

const NO_SUCH_NAME = 4
const NOT_ALL_UP = 3
const IS_DOWN = 7

export const status: Verb = async call => {
  const looked = await askDaemon<Looked>(call, 'status', { names: call.line.words }).catch(notRunningIs4)
  const shown = isEverything(call.line.words) ? looked.instances.toSorted(byName) : looked.instances
  if (call.line.json) call.terminal.printJson({ instances: shown, unknown: looked.unknown })
  else {
    for (const one of looked.unknown) call.terminal.print(`${one.name}: ERROR (no such ${one.kind})`)
    for (const line of statusLines(shown)) call.terminal.print(line)
    for (const hint of new Set(looked.unknown.map(one => one.hint))) call.terminal.note(`hint: ${hint}`)
  }
  // supervisorctl's order: a program that is down outweighs a name that is wrong.
  if (shown.some(one => one.state === 'STOPPED' || one.state === 'EXITED' || one.state === 'FATAL')) return NOT_ALL_UP
  return looked.unknown.length > 0 ? NO_SUCH_NAME : 0
}

function notRunningIs4(error: unknown): never {
  if (!(error instanceof Failure) || error.code !== 'DAEMON_NOT_RUNNING') throw error
  throw new Failure(error.code, error.message, { exit: NO_SUCH_NAME, hint: error.hint })
}

function isEverything(words: readonly string[]): boolean {
  return words.length === 0 || words.includes('all')
}

export const pid: Verb = async call => {
  const { words } = call.line
  const answer = await askDaemon<Looked & { daemon: number }>(call, 'pid', { names: words })
  const instances = words.includes('all') ? answer.instances.toSorted(byName) : answer.instances
  if (call.line.json) {
    call.terminal.printJson({
      daemon: answer.daemon,
      instances: instances.map(one => ({ id: one.id, pid: one.pid })),
      unknown: answer.unknown,
    })
  } else if (words.length === 0) call.terminal.print(String(answer.daemon))
  else {
    for (const one of answer.unknown) call.terminal.print(`No such process ${one.name}`)
    for (const one of instances) call.terminal.print(String(one.pid))
    for (const hint of new Set(answer.unknown.map(one => one.hint))) call.terminal.note(`hint: ${hint}`)
  }
  if (isEverything(words)) return 0
  if (instances.some(one => one.pid === 0)) return IS_DOWN
  return answer.unknown.length > 0 ? 1 : 0
}

export const avail: Verb = async call => {
  noWords(call, 'avail')
  const { available } = await askDaemon<{ available: Available[] }>(call, 'avail')
  const sorted = available.toSorted((a, b) => a.groupPriority - b.groupPriority || byName(a, b))
  if (call.line.json) call.terminal.printJson(sorted)
  else for (const one of sorted) call.terminal.print(availLine(one))
  return 0
}

function availLine(one: Available): string {
  const id = one.name === one.group ? one.name : `${one.group}:${one.name}`
  const use = one.inUse ? 'in use' : 'avail'
  const start = one.autostart ? 'auto' : 'manual'
  return `${id.padEnd(32)} ${use.padEnd(9)} ${start.padEnd(9)} ${one.groupPriority}:${one.priority}`
}

export const version: Verb = async call => {
  noWords(call, 'version')
  const answer = await askDaemon<{ version: string; startedAtMs: number }>(call, 'version')
  if (call.line.json) call.terminal.printJson(answer)
  else call.terminal.print(answer.version)
  return 0
}
