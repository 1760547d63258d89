// Configuration of this machine: the loader of core with the disk, the accounts and the ports it asks about.
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { type Loaded, loadConfig } from '../core/config/load.js'
import { directoryOf } from '../core/config/path.js'
import type { World } from '../core/config/world.js'
import { AppError } from '../core/error.js'
import { defaultRunDir, isLocal } from '../core/paths.js'
import type { Config } from '../core/spec.js'
import { findAccount, readPasswd } from './accounts.js'
import { globFiles, kindOf, readText } from './files.js'
import { lookAtPorts } from './ports.js'

export interface WorldOptions {
  /** The port an instance has now, so that `port: auto` does not move while the daemon lives. */
  portOf?: (instanceId: string) => number | null
}

/** What the machine tells while one configuration is read.  Ports and accounts are looked at once: make a new one for every load.  Throws nothing. */
export function hostWorld(env: World['env'], options: WorldOptions = {}): World {
  const ports = lookAtPorts()
  let passwd: string | null = null
  return {
    env,
    cpus: availableParallelism(),
    defaults: file => defaultPlaces(file, env),
    read: readText,
    glob: globFiles,
    kind: kindOf,
    user: name => {
      passwd ??= readPasswd()
      return findAccount(name, passwd)
    },
    portHolder: ({ host, port, runDir }) => ports.foreignHolder({ host, port }, runDir),
    freePort: question => ports.free({ ...question, had: options.portOf?.(question.instanceId) ?? null }),
  }
}

/** Reads a configuration of this machine.  file: relative to the working directory, or absolute.  Throws nothing. */
export function readConfig(file: string, env: World['env'], options: WorldOptions = {}): Loaded {
  return loadConfig(resolve(file), hostWorld(env, options))
}

/** As readConfig.  Throws AppError CONFIG_UNREADABLE (the file itself), CONFIG_INVALID with one line for each problem. */
export function requireConfig(file: string, env: World['env'], options: WorldOptions = {}): Config {
  const path = resolve(file)
  const found = readText(path)
  if ('error' in found) throw new AppError('CONFIG_UNREADABLE', `${file}: ${found.error}`)
  const loaded = loadConfig(path, hostWorld(env, options))
  if ('config' in loaded) return loaded.config
  throw new AppError('CONFIG_INVALID', loaded.problems.map(problem => problem.text).join('\n'))
}

function defaultPlaces(file: string, env: World['env']): { runDir: string; stateDir: string; logDir: string } {
  const local = isLocal(file)
  const isRoot = process.getuid?.() === 0
  const runDir = defaultRunDir({ isRoot, local, xdgRuntimeDir: env.XDG_RUNTIME_DIR || null, configFile: file })
  if (!local) return { runDir, stateDir: '/var/lib/autodl-guard', logDir: '/var/log/autodl-guard' }
  return { runDir, stateDir: `${runDir}/state`, logDir: `${directoryOf(file)}/logs`.replace('//', '/') }
}
