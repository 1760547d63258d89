// Our own daemon as a peer.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answering, control, endDaemon, spawnDaemon } from './daemon-process.js'
import type { BenchProgram, Peer } from './peer.js'
import { everyone } from './proc.js'
import { unixPost } from './unix-post.js'

const DAEMON = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const GUARDCTL = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
const SHIM = fileURLToPath(new URL('../../../native/guard-shim', import.meta.url))

export const guard: Peer = {
  name: 'guard',
  rounds: 200,
  installed: () => [DAEMON, GUARDCTL, SHIM].every(file => existsSync(file)),
  async start(programs, place, options = {}) {
    const file = join(place.directory, 'guard.yaml')
    writeFileSync(file, yaml(programs, place.directory, options.proxyPort))
    const child = spawnDaemon(process.execPath, [DAEMON, '-c', file], place.directory)
    const command = (verb: 'start' | 'stop', names: string[]): Promise<string> =>
      unixPost(join(place.directory, 'run', 'guard.sock'), `/api/${verb}`, {
        type: 'application/json',
        text: JSON.stringify({ names, wait: 'yes' }),
      })
    return {
      daemonPid: child.pid,
      parts: () => [{ part: 'daemon', pid: child.pid }, ...workers(child.pid), ...shims(place.directory)],
      ready: () => answering(() => control(process.execPath, [GUARDCTL, '-c', file, 'pid']), place),
      stopProgram: async name => void (await command('stop', [name])),
      startProgram: async name => void (await command('start', [name])),
      logPath: name => join(place.directory, `${name}.log`),
      stop: () => endDaemon(child),
    }
  },
}

function workers(daemonPid: number): { part: 'proxy worker'; pid: number }[] {
  return everyone()
    .filter(({ parent, command }) => parent === daemonPid && command.includes('worker'))
    .map(({ pid }) => ({ part: 'proxy worker', pid }))
}

/** One process each; they work in their directories below the run directory. */
function shims(directory: string): { part: 'shim'; pid: number }[] {
  return everyone()
    .filter(({ command }) => command.startsWith(`${SHIM} `) && command.includes(directory))
    .map(({ pid }) => ({ part: 'shim', pid }))
}

/** JSON is YAML. */
function yaml(programs: BenchProgram[], directory: string, proxyPort: number | undefined): string {
  const entries = programs.map(({ name, argv, autostart, autorestart, logBytes }) => [
    name,
    {
      command: argv.join(' '),
      directory,
      autostart,
      autorestart: autorestart ? true : 'unexpected',
      startsecs: autorestart ? 1 : 0,
      stopwaitsecs: 1,
      redirect_stderr: true,
      stdout_logfile: logBytes > 0 ? join(directory, `${name}.log`) : 'NONE',
      stdout_logfile_maxbytes: logBytes,
      stdout_logfile_backups: 20,
    },
  ])
  return JSON.stringify({
    guard: { run_dir: join(directory, 'run'), log_dir: join(directory, 'logs') },
    programs: Object.fromEntries(entries),
    proxy: { listen: proxyPort === undefined ? 'none' : `127.0.0.1:${proxyPort}` },
  })
}
