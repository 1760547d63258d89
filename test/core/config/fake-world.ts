// A machine for configuration tests: files, accounts and ports as a test says, and nothing else.
import { loadConfig } from '../../../src/core/config/load.js'
import { resolvePath } from '../../../src/core/config/path.js'
import type { World } from '../../../src/core/config/world.js'
import type { Config } from '../../../src/core/spec.js'
import { matchesName } from '../../../src/host/files.js'

export interface Machine {
  /** Below /srv/, or absolute. */
  files: Record<string, string | { error: string }>
  directories?: string[]
  env?: Record<string, string>
  users?: Record<string, { uid: number; gid: number; name: string; home: string | null }>
  /** Who listens, by port. */
  holders?: Record<number, string>
  /** Ports `auto` may give, in order. */
  free?: number[]
}

export const HOME = '/srv'

/** The main file is /srv/guard.yaml. */
export function fakeWorld(machine: Machine): World {
  const files = new Map(Object.entries(machine.files).map(([name, text]) => [resolvePath(HOME, name), text]))
  const directories = new Set([HOME, ...(machine.directories ?? []).map(name => resolvePath(HOME, name))])
  return {
    env: machine.env ?? {},
    cpus: 4,
    defaults: () => ({ runDir: '/srv/.guard', stateDir: '/srv/.guard/state', logDir: '/srv/logs' }),
    read: path => {
      const found = files.get(path)
      if (found === undefined) return { error: 'no such file' }
      return typeof found === 'string' ? { text: found } : found
    },
    glob: (pattern, base) => [...files.keys()].filter(file => sameParts(file, resolvePath(base, pattern))).sort(),
    kind: path => (directories.has(path) ? 'directory' : files.has(path) ? 'file' : 'missing'),
    user: name => machine.users?.[name] ?? null,
    portHolder: ({ port }) => machine.holders?.[port] ?? null,
    freePort: ({ reserved }) => (machine.free ?? [20_000, 20_001, 20_002]).find(port => !reserved.has(port)) ?? null,
  }
}

function sameParts(file: string, pattern: string): boolean {
  const [names, parts] = [file.split('/'), pattern.split('/')]
  return names.length === parts.length && names.every((name, index) => matchesName(name, parts[index] as string))
}

/** The whole output for a configuration: one line per problem, [] where it is right. */
export function problemsOf(machine: Machine | string): string[] {
  const loaded = loadConfig('/srv/guard.yaml', fakeWorld(asMachine(machine)))
  return 'problems' in loaded ? loaded.problems.map(problem => problem.text) : []
}

/** The configuration, which must be right. */
export function configOf(machine: Machine | string): Config {
  const loaded = loadConfig('/srv/guard.yaml', fakeWorld(asMachine(machine)))
  if ('config' in loaded) return loaded.config
  throw new Error(loaded.problems.map(problem => problem.text).join('\n'))
}

function asMachine(machine: Machine | string): Machine {
  return typeof machine === 'string' ? { files: { 'guard.yaml': machine } } : machine
}
