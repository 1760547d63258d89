// guardctl's command line: global options, one command, its options and its words.
import { COMMANDS, type CommandName, type CommandRow, commandNamed, commandNames } from '../command-table.js'
import { Failure } from './failure.js'

export interface CommandLine {
  /** null: nothing was asked for. */
  command: CommandName | null
  words: string[]
  follow: boolean
  once: boolean
  /** The N of -N; null: not given. */
  bytes: number | null
  json: boolean
  /** -h anywhere. */
  help: boolean
  /** --version: guardctl's own. */
  version: boolean
  configFile: string | null
  serverUrl: string | null
}

const VALUE_OPTIONS: Readonly<Record<string, 'configFile' | 'serverUrl'>> = {
  '-c': 'configFile',
  '--configuration': 'configFile',
  '-s': 'serverUrl',
  '--serverurl': 'serverUrl',
}

/** argv: without node and script.  Throws Failure USAGE. */
export function parseArguments(argv: readonly string[]): CommandLine {
  const line: CommandLine = { ...NOTHING, words: [] }
  const rest = [...argv]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      for (const plain of rest.splice(0)) takeWord(line, plain)
    } else if (!takeGlobal(line, word, rest) && !takeOption(line, word)) takeWord(line, word)
  }
  return line
}

const NOTHING: CommandLine = {
  command: null,
  words: [],
  follow: false,
  once: false,
  bytes: null,
  json: false,
  help: false,
  version: false,
  configFile: null,
  serverUrl: null,
}

function takeGlobal(line: CommandLine, word: string, rest: string[]): boolean {
  if (word === '--json') line.json = true
  else if (word === '-h' || word === '--help') line.help = true
  else if (word === '--version') line.version = true
  else return takeValue(line, word, rest)
  return true
}

// `-c FILE`, `-cFILE`, `--configuration FILE`, `--configuration=FILE`: getopt's forms, as supervisorctl takes them.
function takeValue(line: CommandLine, word: string, rest: string[]): boolean {
  const equals = word.startsWith('--') ? word.indexOf('=') : -1
  const glued = /^-[cs]./.test(word)
  const flag = equals > 0 ? word.slice(0, equals) : glued ? word.slice(0, 2) : word
  const target = Object.hasOwn(VALUE_OPTIONS, flag) ? VALUE_OPTIONS[flag] : undefined
  if (target === undefined) return false
  const value = equals > 0 ? word.slice(equals + 1) : glued ? word.slice(2) : rest.shift()
  if (value === undefined || value === '') throw ourComplaint(`Error: option ${flag} needs a value`)
  line[target] = value
  return true
}

function takeOption(line: CommandLine, word: string): boolean {
  if (!word.startsWith('-') || word === '-') return false
  if (line.command === null) throw ourComplaint(`Error: option ${word} not recognized`)
  const row: CommandRow = COMMANDS[line.command]
  const flag = /^-\d+$/.test(word) ? '-N' : word
  if (!row.options.some(option => option.flag === flag)) throw badArgument(line.command, word)
  if (flag === '-f') line.follow = true
  else if (flag === '--once') line.once = true
  else line.bytes = Number(word.slice(1))
  return true
}

/** supervisorctl's words and exit code where it has the command, 2 elsewhere. */
function badArgument(command: CommandName, word: string): Failure {
  const exit = command === 'tail' || command === 'maintail' ? 1 : 2
  return new Failure('USAGE', `Error: bad argument ${word}`, { exit, hint: usageLine(command) })
}

function takeWord(line: CommandLine, word: string): void {
  if (line.command !== null) {
    line.words.push(word)
    return
  }
  line.command = commandNamed(word)
  if (line.command === null) throw ourComplaint(`Error: unknown command ${word}`, nearestHint(word))
}

function ourComplaint(text: string, options: { hint?: string } = {}): Failure {
  return new Failure('USAGE', text, { ...options, where: 'stderr' })
}

function nearestHint(word: string): { hint?: string } {
  const near = commandNames().find(name => distance(word, name) <= 2)
  return near ? { hint: `did you mean ${near}? \`guardctl help\` lists the commands` } : {}
}

/** `usage: guardctl NAME ARGS`. */
export function usageLine(command: CommandName): string {
  return `usage: guardctl ${command} ${COMMANDS[command].args}`.trimEnd()
}

// How many letters to add, take away or change (Levenshtein).
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, place) => place)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
