// guardctl's verbs that act on named instances: start, stop, restart, signal, clear.
import { ERRORS, type ErrorCode } from '../../core/error.js'
import type { NameResult } from '../actions.js'
import { askDaemon, type Call, type Verb, wrongUsage } from './call.js'

/** supervisorctl's words between the brackets of `name: ERROR (…)`. */
const WORDS: Partial<Record<ErrorCode, string>> = {
  ALREADY_STARTED: 'already started',
  NOT_RUNNING: 'not running',
  SPAWN_ERROR: 'spawn error',
  ABNORMAL_TERMINATION: 'abnormal termination',
  BAD_SIGNAL: 'bad signal name',
  NO_FILE: 'no such file',
}

interface Telling {
  /** What is said of a name that went well. */
  done: string
  /** The exit code of one that did not; 0 where supervisorctl takes it for no error. */
  exitOf(result: NameResult): number
}

const START: Telling = { done: 'started', exitOf: result => (result.kind === 'group' ? 2 : ERRORS[codeOf(result)].exit) }
const STOP: Telling = { done: 'stopped', exitOf: result => ERRORS[codeOf(result)].exit }
// To `signal` a program that does not run is an error (7), to `stop` it is none.
const SIGNAL: Telling = { done: 'signalled', exitOf: result => (result.code === 'NOT_RUNNING' ? 7 : ERRORS[codeOf(result)].exit) }
const CLEAR: Telling = { done: 'cleared', exitOf: result => ERRORS[codeOf(result)].exit }

export const start: Verb = async call => {
  if (call.line.words.length === 0) throw wrongUsage('start', 'start requires a process name', 2)
  const { results } = await askDaemon<{ results: NameResult[] }>(call, 'start', { names: call.line.words })
  return tell(call, results, [[START, results]])
}

export const stop: Verb = async call => {
  if (call.line.words.length === 0) throw wrongUsage('stop', 'stop requires a process name', 1)
  const { results } = await askDaemon<{ results: NameResult[] }>(call, 'stop', { names: call.line.words })
  return tell(call, results, [[STOP, results]])
}

export const restart: Verb = async call => {
  if (call.line.words.length === 0) throw wrongUsage('restart', 'restart requires a process name', 1)
  const answer = await askDaemon<{ stopped: NameResult[]; started: NameResult[] }>(call, 'restart', { names: call.line.words })
  return tell(call, answer, [
    [STOP, answer.stopped],
    [START, answer.started],
  ])
}

export const signal: Verb = async call => {
  const [name, ...names] = call.line.words
  if (name === undefined || names.length === 0) throw wrongUsage('signal', 'signal requires a signal name and a process name', 1)
  const { results } = await askDaemon<{ results: NameResult[] }>(call, 'signal', { signal: name, names })
  return tell(call, results, [[SIGNAL, results]])
}

export const clear: Verb = async call => {
  if (call.line.words.length === 0) throw wrongUsage('clear', 'clear requires a process name', 1)
  const { results } = await askDaemon<{ results: NameResult[] }>(call, 'clear', { names: call.line.words })
  return tell(call, results, [[CLEAR, results]])
}

// As in supervisorctl the last failure names the exit code.
function tell(call: Call, json: unknown, parts: [Telling, NameResult[]][]): number {
  const told = parts.flatMap(([telling, results]) => results.map(result => ({ telling, result })))
  if (call.line.json) call.terminal.printJson(json)
  else {
    for (const { telling, result } of told) call.terminal.print(lineOf(result, telling))
    for (const note of new Set(told.flatMap(({ result }) => notesOf(result)))) call.terminal.note(note)
  }
  return told.map(({ telling, result }) => (result.code === 'OK' ? 0 : telling.exitOf(result))).findLast(exit => exit !== 0) ?? 0
}

function lineOf(result: NameResult, telling: Telling): string {
  if (result.code === 'OK') return `${result.name}: ${telling.done}`
  if (result.code === 'BAD_NAME') return `${result.name}: ERROR (no such ${result.kind})`
  return `${result.name}: ERROR (${WORDS[result.code] ?? result.message})`
}

// supervisorctl's words say that it failed; why, and what to do, stands beside them on stderr.
function notesOf(result: NameResult): string[] {
  if (result.code === 'OK' || ERRORS[result.code].exit === 0) return []
  const why = result.code in WORDS && result.code !== 'BAD_SIGNAL' && result.message !== '' ? [`  ${result.message}`] : []
  return [...why, `hint: ${result.hint}`]
}

function codeOf(result: NameResult): ErrorCode {
  return result.code === 'OK' ? 'INTERNAL' : result.code
}
