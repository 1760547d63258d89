// `guardctl help`: the command table as text.
import {
  COMMANDS,
  type CommandName,
  type CommandRow,
  commandNamed,
  commandNames,
  EVERY_EXIT,
  GLOBAL_OPTIONS,
  NAME_FORMS,
} from '../command-table.js'
import { usageLine } from './arguments.js'
import { type Call, type Verb, wrongUsage } from './call.js'
import { Failure } from './failure.js'

export const help: Verb = async call => {
  const [word, more] = call.line.words
  if (more !== undefined) throw wrongUsage('help', 'help takes one command', 2)
  if (word === undefined) return tellAll(call)
  const name = commandNamed(word)
  if (name === null) throw new Failure('USAGE', `*** No help on ${word}`)
  return tellOne(call, name)
}

/** The list of commands. */
export async function tellAll(call: Pick<Call, 'line' | 'terminal'>): Promise<number> {
  if (call.line.json) call.terminal.printJson(COMMANDS)
  else call.terminal.print(listText())
  return 0
}

/** One command in full. */
export async function tellOne(call: Pick<Call, 'line' | 'terminal'>, name: CommandName): Promise<number> {
  if (call.line.json) call.terminal.printJson({ [name]: COMMANDS[name] })
  else call.terminal.print(commandText(name))
  return 0
}

function listText(): string {
  const commands = commandNames().map(name => [`${name} ${COMMANDS[name].args}`.trimEnd(), COMMANDS[name].help] as const)
  const options = GLOBAL_OPTIONS.map(option => [option.flag, option.help] as const)
  const text = [
    'usage: guardctl [OPTIONS] COMMAND [ARGUMENTS]',
    '',
    ...columns(commands),
    '',
    ...columns(options),
    '',
    NAME_FORMS,
    'without a command: status',
  ]
  return text.join('\n')
}

function commandText(name: CommandName): string {
  const row: CommandRow = COMMANDS[name]
  const options = row.options.map(option => [option.flag, option.help] as const)
  const exits = Object.entries({ ...EVERY_EXIT, ...row.exits }).map(([code, meaning]) => [code, meaning] as const)
  const isLocal = row.http === null
  const shownExits = isLocal ? exits.filter(([code]) => code in row.exits || code === '0') : exits
  const parts = [
    [usageLine(name)],
    [row.help],
    columns(options),
    row.args.includes('NAME') ? [NAME_FORMS] : [],
    ['exit codes:', ...columns(shownExits)],
  ]
  return parts
    .filter(part => part.length > 0)
    .map(part => part.join('\n'))
    .join('\n\n')
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
