// pm2 as a peer, where it is in PATH: an ecosystem file and its background daemon in a home of its own.  It rotates no logs by itself.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { control, inPath } from './daemon-process.js'
import type { Peer } from './peer.js'
import { until } from './workplace.js'

const STARTED_MS = 50

export const pm2: Peer = {
  name: 'pm2',
  rounds: 20,
  installed: () => inPath('pm2') !== null,
  async start(programs, place) {
    const env = { PM2_HOME: join(place.directory, 'pm2') }
    const file = join(place.directory, 'ecosystem.json')
    const logPath = (name: string): string => join(place.directory, `${name}.log`)
    const apps = programs.map(({ name, argv: [script = '', ...args], autorestart, logBytes }) => ({
      name,
      script: inPath(script) ?? script,
      args,
      cwd: place.directory,
      interpreter: 'none',
      autorestart,
      kill_timeout: 1_000,
      treekill: true,
      out_file: logBytes > 0 ? logPath(name) : '/dev/null',
      error_file: '/dev/null',
    }))
    writeFileSync(file, JSON.stringify({ apps: apps.filter((_, at) => programs[at]?.autostart) }))
    const pm2ctl = (...args: string[]): Promise<string> => control('pm2', ['-s', ...args], env)
    const starting = pm2ctl('start', file)
    starting.catch(() => 'awaited by stop')
    const daemonPid = await until(place, STARTED_MS, () => pidIn(join(env.PM2_HOME, 'pm2.pid')))
    return {
      daemonPid,
      parts: () => [{ part: 'daemon', pid: daemonPid }],
      ready: async () => void (await starting),
      stopProgram: async name => void (await pm2ctl('stop', name)),
      startProgram: async name => {
        const one = join(place.directory, `${name}.json`)
        writeFileSync(one, JSON.stringify({ apps: apps.filter(app => app.name === name) }))
        await pm2ctl('start', one)
      },
      logPath,
      stop: async () => {
        await starting
        await pm2ctl('kill')
      },
    }
  },
}

function pidIn(file: string): number | null {
  try {
    return Number(readFileSync(file, 'utf8')) || null
  } catch {
    return null
  }
}
