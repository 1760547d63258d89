#!/usr/bin/env node
// autodl-guard: runs the daemon in the foreground until it is told to stop.
import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Failure } from './control/cli/failure.js'
import { configFile } from './control/cli/locate.js'
import { serveControl } from './control/server.js'
import { AppError } from './core/error.js'
import { socketPath } from './core/paths.js'
import type { Config } from './core/spec.js'
import { Daemon } from './daemon.js'
import { clock } from './host/clock.js'
import { requireConfig } from './host/config.js'
import { openDaemonLog } from './host/daemon-log.js'
import { portHolder } from './host/ports.js'
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
  const portOf = (id: string): number | null => daemon?.status().find(status => status.id === id)?.address?.port ?? null
  let daemon: Daemon | null = null
  const load = (): Config => requireConfig(file, process.env, { portOf })
  const config = load()
  mkdirSync(config.guard.runDir, { recursive: true, mode: 0o700 })
  const log = openDaemonLog(config.guard.log, options.echo ? process.stdout : null)
  const version = readVersion()
  daemon = new Daemon(config, {
    version,
    log,
    clock,
    load,
    portHolder: port => portHolder({ host: config.proxy.listen?.host ?? '0.0.0.0', port }),
  })
  // The socket comes first: it is what keeps a second daemon away from the shims of this one.
  const server = await serveControl(daemon, { socketPath: socketPath(config.guard.runDir) })
  log.write('INFO', `autodl-guard ${version} pid ${process.pid} runs ${file}`)
  try {
    listenToSignals(daemon)
    await daemon.begin()
    await daemon.ended
  } finally {
    await server.close()
    await log.close()
  }
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

function listenToSignals(daemon: Daemon): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, () => daemon.shutdown())
  // A refused configuration is told in the log; what runs goes on.
  process.on('SIGHUP', () => void daemon.reload().catch((error: Error) => daemon.say(error.message)))
  process.on('SIGUSR2', () => daemon.reopenLogs())
}

/** Returns the exit code. */
function complain(error: unknown): number {
  const known = error instanceof AppError ? { exit: error.row.exit, hint: error.row.hint } : error instanceof Failure ? error : null
  const text = known === null ? (error as Error).stack : (error as Error).message.replace(/^Error: /, '')
  process.stderr.write(`autodl-guard: ${text}\n${known === null ? '' : `hint: ${known.hint}\n`}`)
  return known?.exit ?? 1
}
