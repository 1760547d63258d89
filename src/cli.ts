#!/usr/bin/env node
// guardctl: one command line in, one answer and one exit code out.
import { readFileSync } from 'node:fs'
import { type CommandLine, parseArguments } from './control/cli/arguments.js'
import type { Verb } from './control/cli/call.js'
import { check } from './control/cli/check.js'
import { Failure } from './control/cli/failure.js'
import { help, tellAll, tellOne } from './control/cli/help.js'
import { locateSocket } from './control/cli/locate.js'
import { openTerminal, type Terminal } from './control/cli/terminal.js'
import { top } from './control/cli/top.js'
import { clear, restart, signal, start, stop } from './control/cli/verbs-act.js'
import { add, reload, remove, reread, shutdown, update } from './control/cli/verbs-config.js'
import { events, logs, maintail, tail } from './control/cli/verbs-logs.js'
import { avail, pid, status, version } from './control/cli/verbs-look.js'
import { COMMANDS, type CommandName } from './control/command-table.js'

const VERBS: Record<CommandName, Verb> = {
  status,
  start,
  stop,
  restart,
  signal,
  tail,
  maintail,
  logs,
  clear,
  pid,
  top,
  events,
  reread,
  update,
  avail,
  add,
  remove,
  reload,
  shutdown,
  version,
  check,
  help,
}

const terminal = openTerminal()
// Not process.exit: what was written to a pipe must get there first.
process.exitCode = await main(process.argv.slice(2), terminal)

async function main(argv: readonly string[], out: Terminal): Promise<number> {
  let json = argv.includes('--json')
  try {
    const line = parseArguments(argv)
    json = line.json
    return await run(line, out)
  } catch (error) {
    return complain(error, out, json)
  }
}

async function run(line: CommandLine, out: Terminal): Promise<number> {
  if (line.help) return line.command === null ? tellAll({ line, terminal: out }) : tellOne({ line, terminal: out }, line.command)
  if (line.version) {
    out.print(ownVersion())
    return 0
  }
  // supervisorctl without a command begins with the states of everything.
  const command = line.command ?? 'status'
  if (line.command === null && out.isTty) out.note('`guardctl help` lists the commands')
  const where = { cwd: process.cwd(), env: process.env, isRoot: process.getuid?.() === 0 }
  const socket = COMMANDS[command].http === null ? '' : await locateSocket(line, where)
  return VERBS[command]({ line, terminal: out, socket })
}

function complain(error: unknown, out: Terminal, json: boolean): number {
  const failure = error instanceof Failure ? error : new Failure('INTERNAL', `Error: ${error instanceof Error ? error.stack : error}`)
  if (json) out.printJson({ error: { code: failure.code, message: failure.text, hint: failure.hint } })
  else {
    if (failure.where === 'stdout') out.print(failure.message)
    else out.note(failure.message)
    out.note(failure.hint.startsWith('usage: ') ? failure.hint : `hint: ${failure.hint}`)
  }
  return failure.exit
}

function ownVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
