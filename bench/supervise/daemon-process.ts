// Starting a daemon, running a control command and ending the daemon: the same for every peer.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, openSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { facts } from './proc.js'
import { pause, type Workplace } from './workplace.js'

const run = promisify(execFile)
const END_MS = 40_000

/** Its output goes to daemon.out in its directory. */
export function spawnDaemon(
  command: string,
  args: string[],
  directory: string,
  env: NodeJS.ProcessEnv = {},
): ChildProcess & { pid: number } {
  const out = openSync(join(directory, 'daemon.out'), 'a')
  const child = spawn(command, args, { cwd: directory, env: { ...process.env, ...env }, stdio: ['ignore', out, out] })
  if (child.pid === undefined) throw new Error(`${command} could not be started`)
  return child as ChildProcess & { pid: number }
}

/** SIGTERM, and SIGKILL where that does not help. */
export async function endDaemon(child: ChildProcess & { pid: number }): Promise<void> {
  if (facts(child.pid) === null || child.exitCode !== null) return
  const ended = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
  child.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}

/** Runs a control command to its end; throws with what it printed. */
export async function control(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { stdout } = await run(command, args, { env: { ...process.env, ...env } })
  return stdout
}

/** Resolves when a control command succeeds for the first time. */
export async function answering(command: () => Promise<string>, place: Workplace): Promise<void> {
  while (!(await command().then(succeeded, failed))) await pause(place, 100)
}

const succeeded = (): boolean => true
const failed = (): boolean => false

/** Where an executable is in PATH; null: nowhere. */
export function inPath(name: string): string | null {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map(directory => join(directory, name))
    .find(isExecutable)
  return found ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
