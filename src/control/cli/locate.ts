// Which daemon is meant: the control socket's path from -s, -c, the environment and the default places.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { expand } from '../../core/config/expand.js'
import { defaultRunDir, isLocal, socketPath } from '../../core/paths.js'
import type { CommandLine } from './arguments.js'
import { Failure } from './failure.js'

export interface Surroundings {
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  isRoot: boolean
}

const DEFAULT_FILES = ['guard.yaml', '/etc/autodl-guard/guard.yaml']

/** The socket of the daemon that is meant; absolute.  Precedence: -s, GUARD_RUN_DIR, guard.run_dir of the file, the default for the file.
 *  Throws Failure USAGE, CONFIG_UNREADABLE. */
export async function locateSocket(line: CommandLine, where: Surroundings): Promise<string> {
  if (line.serverUrl !== null) return fromUrl(line.serverUrl, where.cwd)
  const fromEnv = where.env.GUARD_RUN_DIR
  if (fromEnv && isAbsolute(fromEnv)) return socketPath(fromEnv)
  const file = configFile(line.configFile, where.cwd)
  // As the daemon reads it: relative to the configuration.
  const said = fromEnv || (await runDirOf(file, where.env))
  return socketPath(said ? resolve(dirname(file), said) : fallback(file, where))
}

/** The file of -c, or the first default one that is there; absolute.  Throws Failure USAGE, CONFIG_UNREADABLE. */
export function configFile(given: string | null, cwd: string): string {
  if (given !== null) {
    const file = resolve(cwd, given)
    if (!existsSync(file)) throw new Failure('CONFIG_UNREADABLE', `Error: no such file: ${given}`, { where: 'stderr' })
    return file
  }
  const found = DEFAULT_FILES.map(name => resolve(cwd, name)).find(name => existsSync(name))
  if (found) return found
  const hint = 'name one with -c FILE, or the socket with -s unix:///path/guard.sock; `guardctl help` lists the commands'
  throw new Failure('CONFIG_UNREADABLE', `Error: no configuration file (${DEFAULT_FILES.map(name => shown(name)).join(', ')})`, {
    hint,
    where: 'stderr',
  })
}

function shown(name: string): string {
  return name.startsWith('/') ? name : `./${name}`
}

function fromUrl(url: string, cwd: string): string {
  if (!url.startsWith('unix://') || url === 'unix://') {
    throw new Failure('USAGE', `Error: not a socket URL: ${url}`, { hint: 'write -s unix:///path/guard.sock', where: 'stderr' })
  }
  return resolve(cwd, url.slice('unix://'.length))
}

function fallback(file: string, where: Surroundings): string {
  const xdg = where.env.XDG_RUNTIME_DIR || null
  return defaultRunDir({ isRoot: where.isRoot, local: isLocal(file), xdgRuntimeDir: xdg, configFile: file })
}

// The YAML reader costs 20 ms to load, so it is asked only where the file can have something to say.
async function runDirOf(file: string, env: Surroundings['env']): Promise<string | null> {
  const text = readText(file)
  if (!text.includes('run_dir') || /\.(conf|ini)$/.test(file)) return null
  const { parse } = await import('yaml')
  const runDir = sectionOf(() => parse(text, { logLevel: 'error' }), file)?.guard?.run_dir
  if (typeof runDir !== 'string') return null
  const expanded = expand(runDir, { names: { here: dirname(file) }, env })
  const [error] = expanded.errors
  if (error) throw new Failure('CONFIG_INVALID', `Error: ${file}: guard.run_dir ${error.message}`, { where: 'stderr' })
  return expanded.text
}

function sectionOf(parse: () => unknown, file: string): { guard?: { run_dir?: unknown } | null } | null {
  try {
    return parse() as { guard?: { run_dir?: unknown } | null } | null
  } catch (error) {
    throw new Failure('CONFIG_INVALID', `Error: ${file}: ${error instanceof Error ? error.message.split('\n')[0] : error}`, {
      where: 'stderr',
    })
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Failure('CONFIG_UNREADABLE', `Error: ${error instanceof Error ? error.message : error}`, { where: 'stderr' })
  }
}
