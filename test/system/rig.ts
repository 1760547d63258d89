// A whole system for one test: a real daemon with real programs in a folder of its own, and the proof that nothing of it stays behind.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { InstanceStatus } from '../../src/core/status.js'

// Ours to wait in, nobody's promise: a bound for a machine where ten programs share a core, and where each look at the status is a Node to start.
const START_MS = 60_000
const FACT_MS = 30_000

export const root = fileURLToPath(new URL('../../../', import.meta.url))
export const fixture = (name: string): string => join(root, 'test/fixtures/bin', name)
const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

export interface Rig {
  dir: string
  /** The daemon that runs now. */
  daemon(): ChildProcess
  /** What the daemon has printed on standard output and error. */
  printed(): string
  write(yaml: string): void
  /** guardctl with these words. */
  ctl(...words: string[]): Promise<Ended>
  status(): Promise<InstanceStatus[]>
  one(id: string): Promise<InstanceStatus>
  /** Waits until an instance is as wanted; fails with its last status. */
  when(id: string, fact: (status: InstanceStatus) => boolean, limitMs?: number): Promise<InstanceStatus>
  /** Starts a daemon (again) and waits until guardctl reaches it. */
  start(): Promise<void>
  /** Another daemon with the same configuration, to its end. */
  second(): Promise<Ended>
  /** TERM, and waits for the end. */
  stop(): Promise<number | null>
  /** kill -9 of the daemon alone. */
  crash(): Promise<void>
}

/** yaml: the configuration; `@dir` stands for the test's folder.  The daemon runs when this resolves. */
export async function system(t: TestContext, yaml: string, env: Record<string, string> = {}): Promise<Rig> {
  const dir = mkdtempSync(join(tmpdir(), 'guard-system-'))
  const file = join(dir, 'guard.yaml')
  let child: ChildProcess | null = null
  let printed = ''
  const rig: Rig = {
    dir,
    daemon: () => child as ChildProcess,
    printed: () => printed,
    write: text => writeFileSync(file, text.replaceAll('@dir', dir)),
    ctl: (...words) => run(process.execPath, [cli, '-c', file, ...words]),
    async status() {
      const { stdout, stderr, code } = await rig.ctl('status', '--json')
      assert.ok(code === 0 || code === 3, `status: ${code} ${stderr}`)
      return JSON.parse(stdout).instances
    },
    async one(id) {
      const found = (await rig.status()).find(status => status.id === id)
      assert.ok(found, `no instance ${id}`)
      return found
    },
    async when(id, fact, limitMs = FACT_MS) {
      let last: InstanceStatus | null = null
      await until(
        async () => {
          last = await rig.one(id)
          return fact(last)
        },
        () => `${id} is ${JSON.stringify(last)}\n${printed}`,
        limitMs,
      )
      return last as unknown as InstanceStatus
    },
    async start() {
      const options = {
        cwd: dir,
        env: { ...process.env, GUARD_TEST_HOME: dir, ...env },
        stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
      }
      const started = spawn(process.execPath, [main, '-c', file, '-n'], options)
      child = started
      for (const stream of [started.stdout, started.stderr]) stream.on('data', chunk => (printed += chunk))
      const reached = async (): Promise<boolean> => {
        if (started.exitCode !== null) throw new Error(`the daemon ended with ${started.exitCode}: ${printed}`)
        return [0, 3].includes((await rig.ctl('status')).code ?? 1)
      }
      await until(reached, () => `guardctl does not reach the daemon: ${printed}`, START_MS)
    },
    second: () => run(process.execPath, [main, '-c', file], { cwd: dir }),
    async stop() {
      const { exitCode } = child as ChildProcess
      if (exitCode !== null) return exitCode
      child?.kill('SIGTERM')
      const [code] = await once(child as ChildProcess, 'exit')
      return code
    },
    async crash() {
      child?.kill('SIGKILL')
      await once(child as ChildProcess, 'exit')
    },
  }
  rig.write(yaml)
  t.after(() => end(rig))
  await rig.start()
  return rig
}

async function end(rig: Rig): Promise<void> {
  if (rig.daemon() !== null && rig.daemon().exitCode === null && rig.daemon().signalCode === null) await rig.stop()
  let left = leftovers(rig.dir)
  const until = Date.now() + FACT_MS
  while (left.length > 0 && Date.now() < until) {
    await new Promise(resolve => setTimeout(resolve, 20))
    left = leftovers(rig.dir)
  }
  for (const { pid } of left) endNow(pid)
  rmSync(rig.dir, { recursive: true, force: true })
  assert.deepEqual(left, [], `left behind; the daemon said:\n${rig.printed()}`)
}

export function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended since we looked.
  }
}

/** Every process that carries the folder's name in its command line or environment. */
export function leftovers(dir: string): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = []
  for (const name of readdirSync('/proc').filter(each => /^\d+$/.test(each) && Number(each) !== process.pid)) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      if (command === '') continue
      if (command.includes(dir) || readFileSync(`/proc/${name}/environ`, 'utf8').includes(dir))
        found.push({ pid: Number(name), command: command.replaceAll('\0', ' ') })
    } catch {
      // It ended while we looked.
    }
  }
  return found
}

/** Runs a program to its end.  input: its standard input. */
export async function run(command: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ended> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => (stdout += chunk))
  child.stderr.on('data', chunk => (stderr += chunk))
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

/** Waits for a fact that has no event of its own here, with a bound; what: said when it does not come. */
export async function until(fact: () => boolean | Promise<boolean>, what: string | (() => string), limitMs = FACT_MS): Promise<void> {
  const end = Date.now() + limitMs
  while (!(await fact())) {
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${typeof what === 'string' ? what : what()}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
