#!/usr/bin/env node
// autodl-guard: runs the daemon in the foreground until it is told to stop.
import './host/small-heap.js'

import { parseArgs } from 'node:util'
import { Failure } from './control/cli/failure.js'
import { configFile } from './control/cli/locate.js'
import { AppError } from './core/error.js'
import { readConfigApart } from './host/config-apart.js'
import { readVersion } from './host/version.js'

const USAGE = `usage: autodl-guard [-c FILE] [-n]
  -c FILE    configuration (default: ./guard.yaml, then /etc/autodl-guard/guard.yaml)
  -n         write the log to standard output too (always so on a terminal)
  -v         print the version
  -h         print this
TERM and INT stop everything in order, HUP is \`guardctl reload\`, USR2 opens the log files anew.
`

process.exitCode = await main().catch(complain)
// A worker's channel or a client's socket may still be open; everything that matters has ended.
process.exit()

async function main(): Promise<number> {
  const options = readArguments()
  if (typeof options === 'number') return options
  const file = configFile(options.config, process.cwd())
  // The file is read by a process of its own while this one loads the daemon: two cores, one wait.
  const reading = readConfigApart(file, {})
  const running = import('./run.js')
  const config = await reading
  await (await running).runDaemon(config, file, options.echo ? process.stdout : null)
  return 0
}

function readArguments(): { config: string | null; echo: boolean } | number {
  const options = {
    config: { type: 'string', short: 'c' },
    nodaemon: { type: 'boolean', short: 'n', default: false },
    version: { type: 'boolean', short: 'v', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  try {
    const { values } = parseArgs({ options })
    if (!values.version && !values.help) return { config: values.config ?? null, echo: values.nodaemon || process.stdout.isTTY }
    process.stdout.write(values.help ? USAGE : `${readVersion()}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`autodl-guard: ${(error as Error).message}\n${USAGE}`)
    return 2
  }
}

/** Returns the exit code. */
function complain(error: unknown): number {
  const known = error instanceof AppError ? { exit: error.row.exit, hint: error.row.hint } : error instanceof Failure ? error : null
  const text = known === null ? (error as Error).stack : (error as Error).message.replace(/^Error: /, '')
  process.stderr.write(`autodl-guard: ${text}\n${known === null ? '' : `hint: ${known.hint}\n`}`)
  return known?.exit ?? 1
}
