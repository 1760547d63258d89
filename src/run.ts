// Puts the daemon together from a configuration, and runs it until it has stopped everything.
import { mkdirSync } from 'node:fs'
import { serveControl } from './control/server.js'
import { AppError } from './core/error.js'
import { socketPath } from './core/paths.js'
import type { Config } from './core/spec.js'
import { Daemon } from './daemon.js'
import { clock } from './host/clock.js'
import { readConfigApart } from './host/config-apart.js'
import { openDaemonLog } from './host/daemon-log.js'
import { portHolder } from './host/ports.js'
import { readVersion } from './host/version.js'

/** file: the configuration's path, for every later reading.  echo: where the log's lines go as well, or null.
 *  Resolves when a shutdown has ended everything.  Throws AppError, then nothing was started. */
export async function runDaemon(config: Config, file: string, echo: NodeJS.WritableStream | null): Promise<void> {
  makeRunDir(config.guard.runDir)
  const log = openDaemonLog(config.guard.log, echo)
  const version = readVersion()
  const daemon: Daemon = new Daemon(config, {
    version,
    log,
    clock,
    load: () => readConfigApart(file, portsOf(daemon)),
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
}

function makeRunDir(runDir: string): void {
  try {
    mkdirSync(runDir, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new AppError('SOCKET_FAILED', `guard.run_dir cannot be made: ${(cause as Error).message}`, { cause })
  }
}

/** Where each instance listens now. */
function portsOf(daemon: Daemon): Record<string, number> {
  return Object.fromEntries(daemon.status().flatMap(({ id, address }) => (address === null ? [] : [[id, address.port]])))
}

function listenToSignals(daemon: Daemon): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, () => daemon.shutdown())
  // A refused configuration is told in the log; what runs goes on.
  process.on('SIGHUP', () => void daemon.reload().catch((error: Error) => daemon.say(error.message)))
  process.on('SIGUSR2', () => daemon.reopenLogs())
}
