// What every shim test stands on: a run directory, a live shim of either build, the events it sent, and a clean end.
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { InstanceSpec, RunSpec } from '../../src/core/spec.js'
import { connectShim, launchShims, type Shim } from '../../src/supervisor/shim.js'
import type { ShimHandlers } from '../../src/supervisor/shim-connection.js'
import type { ShimExit, Stream } from '../../src/supervisor/shim-frames.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
export const fixture = (name: string): string => join(root, 'test/fixtures/bin', name)
export const isRoot = process.getuid?.() === 0

export interface Build {
  name: 'plain' | 'asan'
  binary: string
}

export const plain: Build = { name: 'plain', binary: join(root, 'native/guard-shim') }
const asan: Build = { name: 'asan', binary: join(root, 'native/guard-shim-asan') }

// One make at a time: test files run side by side. GUARD_SHIM names one binary to test instead of both.
execFileSync('flock', [join(root, 'native/Makefile'), 'make', '-s', '-C', join(root, 'native'), 'all', 'asan', 'fixtures'])
const named = process.env.GUARD_SHIM
export const builds: Build[] = named === undefined ? [plain, asan] : [{ name: named.endsWith('-asan') ? 'asan' : 'plain', binary: named }]

export type Seen =
  | { kind: 'exited'; exit: ShimExit }
  | { kind: 'log_lost'; stream: Stream; bytes: number; error: string }
  | { kind: 'log_ok'; stream: Stream; bytes: number }
  | { kind: 'rotated'; stream: Stream }
  | { kind: 'closed'; reason: string }

export interface Rig {
  /** The shim's run directory. */
  dir: string
  /** A directory for logs and whatever else a test writes. */
  work: string
  shim: Shim
  seen: Seen[]
  handlers: ShimHandlers
  /** The next exit that no earlier call has returned. */
  exited(): Promise<ShimExit>
  log(options?: { maxBytes?: number; backups?: number }): InstanceSpec['logs']
  /** The log files' bytes in the order they were written. */
  logged(): Buffer
}

/** Starts a shim and connects; it says bye, or is killed, when the test is over, and nothing of it may be left. */
export async function rig(t: TestContext, build: Build, options: { binary?: string; idleS?: number; dir?: string } = {}): Promise<Rig> {
  const home = mkdtempSync(join(tmpdir(), 'guard-shim-'))
  const dir = options.dir ?? home
  process.env.GUARD_SHIM = options.binary ?? build.binary
  process.env.ASAN_OPTIONS = `log_path=${home}/sanitizer:detect_leaks=1`
  process.env.UBSAN_OPTIONS = `log_path=${home}/sanitizer:print_stacktrace=1`
  if (options.idleS !== undefined) process.env.GUARD_SHIM_IDLE_S = `${options.idleS}`
  else delete process.env.GUARD_SHIM_IDLE_S
  await launchShims([dir])
  const { seen, handlers } = recorder()
  const shim = await connectShim(dir, handlers)
  t.after(() => end(home, dir, shim))
  let taken = 0
  return {
    dir,
    work: home,
    shim,
    seen,
    handlers,
    exited: async () => {
      const nth = ++taken
      await until(() => exits(seen).length >= nth, 'the exit event', 60_000)
      return exits(seen)[nth - 1] as ShimExit
    },
    log: (limits = {}) => ({ stdout: { path: join(home, 'log'), maxBytes: 0, backups: 0, ...limits }, stderr: 'stdout' }),
    logged: () => Buffer.concat(logFiles(home).map(file => readFileSync(file))),
  }
}

/** One more daemon for the shim of a directory; when the test is over the shim is gone. */
export async function anotherDaemon(t: TestContext, dir: string): Promise<{ shim: Shim; seen: Seen[] }> {
  const { seen, handlers } = recorder()
  const shim = await connectShim(dir, handlers)
  t.after(() => goodbye(dir, shim))
  return { shim, seen }
}

export function recorder(): { seen: Seen[]; handlers: ShimHandlers } {
  const seen: Seen[] = []
  return {
    seen,
    handlers: {
      exited: exit => seen.push({ kind: 'exited', exit }),
      logLost: loss => seen.push({ kind: 'log_lost', ...loss }),
      logOk: loss => seen.push({ kind: 'log_ok', ...loss }),
      rotated: stream => seen.push({ kind: 'rotated', stream }),
      closed: reason => seen.push({ kind: 'closed', reason }),
    },
  }
}

function exits(seen: Seen[]): ShimExit[] {
  return seen.flatMap(each => (each.kind === 'exited' ? [each.exit] : []))
}

/** Oldest first. */
export function logFiles(dir: string): string[] {
  const number = (name: string) => Number(name.split('.')[1] ?? 0)
  return readdirSync(dir)
    .filter(name => /^log(\.\d+)?$/.test(name))
    .sort((a, b) => number(b) - number(a))
    .map(name => join(dir, name))
}

/** A sanitizer's report fails the test. */
async function end(home: string, dir: string, shim: Shim): Promise<void> {
  await goodbye(dir, shim)
  const report = readdirSync(home).filter(name => name.startsWith('sanitizer'))
  const text = report.map(name => readFileSync(join(home, name), 'utf8')).join('\n')
  rmSync(home, { recursive: true, force: true })
  if (report.length > 0) throw new Error(text)
}

/** Whoever of its daemons still has the shim's ear; a test may have ended it already, or left it to another daemon. */
async function goodbye(dir: string, shim: Shim): Promise<void> {
  await shim.bye().catch(async () => {
    const again = await connectShim(dir, recorder().handlers).catch(() => null)
    await again?.bye()
  })
  await until(() => !lives(shim.hello.shim), 'the end of the shim')
}

/** A stand-in for the shim's binary that starts it in a mount namespace of its own, after `commands` ($1: the first run directory).
 *  What is mounted there is seen through /proc/SHIM/root and goes with the shim. */
export function inOwnMounts(t: TestContext, build: Build, commands = ':'): string {
  const place = mkdtempSync(join(tmpdir(), 'guard-shim-mounts-'))
  t.after(() => rmSync(place, { recursive: true }))
  const script = join(place, 'shim')
  writeFileSync(join(place, 'inner'), `#!/bin/sh\n${commands}\nexec ${build.binary} "$@"\n`, { mode: 0o755 })
  writeFileSync(script, `#!/bin/sh\nexec /usr/bin/unshare -m ${join(place, 'inner')} "$@"\n`, { mode: 0o755 })
  return script
}

/** A point in a script where it waits for the test.  Each gate opens once: a fifo used twice may meet its own last writer. */
export function gate(r: Rig, name: string): { wait: string; open(): Promise<void> } {
  const path = join(r.work, `gate-${name}`)
  execFileSync('mkfifo', [path])
  return {
    wait: `read go < ${path}`,
    open: () =>
      until(() => {
        const fd = openedBy(path)
        if (fd === null) return false
        writeSync(fd, 'go\n')
        closeSync(fd)
        return true
      }, `the script at gate ${name}`),
  }
}

/** Without waiting, so that a script that is dead fails the test instead of hanging it. */
function openedBy(path: string): number | null {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return null // ENXIO: nobody reads yet
  }
}

/** Polls a condition; the bound makes a broken shim a failure instead of a hang. */
export async function until(condition: () => boolean, what: string, maxMs = 30_000): Promise<void> {
  const end = performance.now() + maxMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come within ${maxMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** A zombie is dead. */
export function lives(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && stateOf(pid) !== 'Z'
}

function stateOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] ?? 'Z'
  } catch {
    return 'Z' // it died between the look and the read
  }
}

/** Every process that carries the mark in its environment: finds what no list of pids can. */
export function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark)
      } catch {
        return false // it died meanwhile, or is none of ours
      }
    })
    .map(Number)
}

export function runSpec(argv: string[], more: Partial<RunSpec> = {}): RunSpec {
  return {
    argv,
    environment: { PATH: '/usr/bin:/bin' },
    directory: '/',
    user: null,
    umask: null,
    nice: null,
    oomScoreAdj: null,
    limits: {},
    ...more,
  }
}

export const sh = (script: string, more: Partial<RunSpec> = {}): RunSpec => runSpec(['/bin/sh', '-c', script], more)
export const nowhere: InstanceSpec['logs'] = { stdout: null, stderr: null }
export const quantile = (values: number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] as number
