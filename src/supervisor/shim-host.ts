// The run directory's shims: one folder per instance, one link each, and the end of those nobody names any more.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { InstanceSpec } from '../core/spec.js'
import { goesSoon, sweepSession } from './leftover.js'
import { connectShim, launchShims, readExitRecord, type Shim } from './shim.js'
import { HUNG_UP } from './shim-connection.js'
import type { ShimHandlers, ShimHost, ShimLink } from './world.js'

/** How long a program that no instance names may take to end. */
const RETIRE_MS = 10_000

/** runDir: absolute; the folders are `<runDir>/instances/<id>`, 0700, each with a `run.hash` of what its program was started with. */
export function shimHost(runDir: string): ShimHost {
  const root = join(runDir, 'instances')
  return {
    async open(specs, handlers) {
      const dirs = specs.map(spec => makeDir(root, spec.id))
      // Those whose shim could not be started say so one by one when they are connected to.
      const failure = await launchShims(dirs.filter(dir => typeof dir === 'string')).catch((error: Error) => error)
      const links = specs.map(async (spec, place) => {
        const dir = dirs[place] as string | Error
        const link = typeof dir === 'string' ? openLink(dir, spec, handlers(spec.id)).catch((error: Error) => failure ?? error) : dir
        return [spec.id, await link] as const
      })
      return new Map(await Promise.all(links))
    },
    async retire(keep) {
      const ids = listDir(root).filter(name => !keep.has(name))
      const told = await Promise.all(ids.map(id => retireOne(join(root, id)).then(text => (text === '' ? [] : [`${id} ${text}`]))))
      return told.flat()
    },
  }
}

/** Ends a shim that no instance has, after its program had the chance to end well.  Returns what is to be told, or ''.  Throws nothing. */
async function retireOne(dir: string): Promise<string> {
  try {
    let tellEnd = (): void => {}
    const ended = new Promise<void>(resolve => {
      tellEnd = resolve
    })
    const shim = await connectShim(dir, { ...silent, exited: () => tellEnd(), closed: () => tellEnd() })
    const { pid } = shim.hello
    if (pid !== 0) {
      await shim.signal('TERM', 'process')
      await Promise.race([ended, sleep(RETIRE_MS, undefined, { ref: false })])
    }
    await shim.bye()
    rmSync(dir, { recursive: true, force: true })
    return pid === 0 ? '' : `(pid ${pid}) is not in the configuration any more and was ended`
  } catch (error) {
    const { message } = error as Error
    // Only a refusal proves that no shim lives there; the folder of one that does is the way to it.
    if (!/ECONNREFUSED|ENOENT|ENOTDIR/.test(message)) return `is not in the configuration any more and could not be ended: ${message}`
    rmSync(dir, { recursive: true, force: true })
    return ''
  }
}

function makeDir(root: string, id: string): string | Error {
  const dir = join(root, id)
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    return dir
  } catch (error) {
    return error as Error
  }
}

function listDir(root: string): string[] {
  try {
    return readdirSync(root)
  } catch {
    // The first daemon in this run directory.
    return []
  }
}

async function openLink(dir: string, spec: InstanceSpec, handlers: ShimHandlers): Promise<ShimLink> {
  const gate = holdBack()
  let pid = 0
  let endedPid = 0
  const shim = await connectShim(dir, {
    exited: exit => {
      pid = 0
      endedPid = exit.pid
      gate.pass(() => handlers.exited(exit))
    },
    logLost: ({ stream, bytes, error }) => gate.pass(() => handlers.logLost(stream, bytes, error)),
    logOk: () => {},
    rotated: stream => gate.pass(() => handlers.rotated(stream)),
    closed: reason => void afterLoss({ shim: shim.hello.shim, pid, reason }).then(how => gate.pass(() => handlers[how]())),
  })
  const { lost } = shim.hello
  pid = shim.hello.pid
  const exit = shim.hello.exit ?? (pid === 0 ? await readExitRecord(dir) : null)
  const hashFile = join(dir, 'run.hash')
  let hashed: InstanceSpec | null = null
  return {
    begin: gate.open,
    found: {
      pid: shim.hello.pid,
      startedMs: exit?.startedMs ?? shim.hello.startedMs,
      startedAtMs: exit?.startedAtMs ?? shim.hello.startedAtMs,
      exit,
      lost,
      outdated: shim.hello.pid !== 0 && readText(hashFile) !== runHash(spec),
    },
    async run(toRun) {
      // Written before the start: a daemon that dies in between leaves a hash that fits what runs.
      if (toRun !== hashed) writeHash(hashFile, runHash(toRun))
      hashed = toRun
      const started = await shim.run(toRun.run, toRun.logs)
      // Its end may have overtaken the answer.
      if (started.pid !== endedPid) pid = started.pid
      return started
    },
    signal: (signal, scope) => shim.signal(signal, scope),
    setLogs: logs => shim.logs(logs),
    clearLogs: () => shim.clear(),
    took: () => forget(shim, dir),
    async bye() {
      await shim.bye()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Events that come before the link is in use wait: links are opened many at a time, and each is handed over when all are there. */
function holdBack(): { pass(event: () => void): void; open(): void } {
  let held: (() => void)[] | null = []
  return {
    pass: event => void (held === null ? event() : held.push(event)),
    open: () => {
      const waited = held ?? []
      held = null
      for (const event of waited) event()
    },
  }
}

/** A shim that hung up by itself and lives has another daemon.  Otherwise what it ran must be gone before anybody starts it anew. */
async function afterLoss(lost: { shim: number; pid: number; reason: string }): Promise<'closed' | 'taken'> {
  if (lost.reason === HUNG_UP && !(await goesSoon(lost.shim))) return 'taken'
  if (lost.pid !== 0) await sweepSession(lost.pid)
  return 'closed'
}

/** An exit record that stays would be heard twice by the next daemon; the connection's own `closed` tells when the shim is lost. */
function forget(shim: Shim, dir: string): void {
  shim.took().catch(() => rmSync(join(dir, 'exit.json'), { force: true }))
}

/** What must be equal for a running program to be left alone.  The variables it has from the daemon's own environment do not count: the next
 *  daemon may come from another shell. */
function runHash({ run }: InstanceSpec): string {
  const environment = Object.entries(run.environment).filter(([name, value]) => process.env[name] !== value)
  return createHash('sha256')
    .update(JSON.stringify({ ...run, environment }))
    .digest('hex')
}

function writeHash(file: string, hash: string): void {
  try {
    writeFileSync(file, hash)
  } catch {
    // A full disk must not keep a program from running; the worst that follows is that the next daemon starts it anew.
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // No file: nothing is known of what runs, so it counts as outdated.
    return ''
  }
}

const silent = { exited: () => {}, logLost: () => {}, logOk: () => {}, rotated: () => {}, closed: () => {} }
