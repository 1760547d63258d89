// The run directory's shims: one folder per instance, one link each, and the end of those nobody names any more.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InstanceSpec } from '../core/spec.js'
import { connectShim, launchShims, readExitRecord, type Shim } from './shim.js'
import type { ShimHandlers, ShimHost, ShimLink } from './world.js'

/** runDir: absolute; the folders are `<runDir>/instances/<id>`, 0700, each with a `run.hash` of what its program was started with. */
export function shimHost(runDir: string): ShimHost {
  const root = join(runDir, 'instances')
  return {
    async open(specs, handlers) {
      const dirs = specs.map(spec => makeDir(root, spec.id))
      // Those whose shim could not be started say so one by one when they are connected to.
      const failure = await launchShims(dirs).catch((error: Error) => error)
      const links = specs.map(async (spec, place) => {
        const link = await openLink(dirs[place] as string, spec, handlers(spec.id)).catch((error: Error) => failure ?? error)
        return [spec.id, link] as const
      })
      return new Map(await Promise.all(links))
    },
    async retire(keep) {
      const ended: { id: string; pid: number }[] = []
      for (const id of listDir(root).filter(name => !keep.has(name))) {
        const dir = join(root, id)
        const shim = await connectShim(dir, silent).catch(() => null)
        if (shim !== null) {
          ended.push({ id, pid: shim.hello.pid })
          await shim.bye()
        }
        rmSync(dir, { recursive: true, force: true })
      }
      return ended
    },
  }
}

function makeDir(root: string, id: string): string {
  const dir = join(root, id)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return dir
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
  const shim = await connectShim(dir, {
    exited: exit => handlers.exited(exit),
    logLost: ({ stream, bytes, error }) => handlers.logLost(stream, bytes, error),
    logOk: () => {},
    rotated: stream => handlers.rotated(stream),
    closed: () => handlers.closed(),
  })
  const { pid, lost } = shim.hello
  const exit = shim.hello.exit ?? (pid === 0 ? await readExitRecord(dir) : null)
  const hashFile = join(dir, 'run.hash')
  return {
    found: {
      pid,
      startedMs: exit?.startedMs ?? shim.hello.startedMs,
      startedAtMs: exit?.startedAtMs ?? shim.hello.startedAtMs,
      exit,
      lost,
      outdated: pid !== 0 && readText(hashFile) !== runHash(spec),
    },
    run(toRun) {
      // Written before the start: a daemon that dies in between leaves a hash that fits what runs.
      writeFileSync(hashFile, runHash(toRun))
      return shim.run(toRun.run, toRun.logs)
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

/** An exit record that stays would be heard twice by the next daemon; the connection's own `closed` tells when the shim is lost. */
function forget(shim: Shim, dir: string): void {
  shim.took().catch(() => rmSync(join(dir, 'exit.json'), { force: true }))
}

/** What must be equal for a running program to be left alone. */
function runHash({ run }: InstanceSpec): string {
  return createHash('sha256').update(JSON.stringify(run)).digest('hex')
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
