// What every verb of guardctl is given, and the few things all of them do.
import type { CommandName, RemoteCommand } from '../command-table.js'
import { type CommandLine, usageLine } from './arguments.js'
import { ask, type Params } from './client.js'
import { Failure } from './failure.js'
import type { Terminal } from './terminal.js'

export interface Call {
  line: CommandLine
  terminal: Terminal
  /** Absolute path of the daemon's socket; '' for the commands that need none. */
  socket: string
}

/** Runs one command; resolves with the exit code.  Throws Failure. */
export type Verb = (call: Call) => Promise<number>

/** The daemon's JSON answer.  Throws Failure. */
export function askDaemon<T>(call: Call, command: RemoteCommand, params: Params = {}): Promise<T> {
  return ask<T>(call.socket, command, params)
}

/** supervisorctl's complaint on stdout, our usage line as the hint. */
export function wrongUsage(command: CommandName, text: string, exit: 1 | 2): Failure {
  return new Failure('USAGE', `Error: ${text}`, { exit, hint: usageLine(command) })
}

/** Throws Failure where words follow a command that takes none. */
export function noWords(call: Call, command: CommandName): void {
  if (call.line.words.length > 0) throw wrongUsage(command, `${command} accepts no arguments`, 1)
}
