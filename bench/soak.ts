// A worker under mixed traffic while its services come and go: memory, files and failures, and whether it is the same afterwards.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pause } from './soak/client.js'
import { Ledger } from './soak/ledger.js'
import { type Load, startLoad } from './soak/load.js'
import { HELP, type Options, parseOptions } from './soak/options.js'
import { report } from './soak/report.js'
import { type Sample, sampleOf, watch } from './soak/samples.js'
import { Service } from './soak/services.js'
import { type SoakedProxy, startSoakedProxy } from './soak/soaked-proxy.js'
import { makeTrouble } from './soak/trouble.js'
import { isBack, type Verdict, verdictOf } from './soak/verdict.js'

const SERVICES = ['a', 'b', 'c']
const SETTLE_MS = 3000
// Clients leave within 30 s; V8 collects when it has been idle for a while.
const BACK_MS = 60_000
const LOOK_MS = 500

/** Options: see HELP.  Returns the exit code. */
export async function run(args: string[]): Promise<number> {
  let options: Options | null
  try {
    options = parseOptions(args)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`)
    return 2
  }
  if (options === null) {
    process.stdout.write(HELP)
    return 0
  }
  return await soakAll(options)
}

async function soakAll(options: Options): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'guard-bench-soak-'))
  const services = SERVICES.map(name => new Service(name))
  const stops: (() => Promise<unknown>)[] = [() => Promise.all(services.map(service => service.kill()))]
  const endAll = async (): Promise<void> => {
    for (const stop of stops.reverse()) await stop()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => void endAll().then(() => process.exit(code)))
  // A worker serves on when its daemon is gone: also a fault in here may not leave it behind.
  process.once('uncaughtException', error => {
    process.stderr.write(`${error.stack}\n`)
    void endAll().then(() => process.exit(1))
  })
  try {
    await Promise.all(services.map(service => service.start('elsewhere')))
    const heapFile = options.heap === 'watched' ? join(directory, 'heap.json') : null
    const proxy = await startSoakedProxy(directory, services, heapFile)
    stops.push(() => proxy.stop())
    return await soak(options, { proxy, services, heapFile })
  } finally {
    await endAll()
  }
}

interface Place {
  proxy: SoakedProxy
  services: Service[]
  heapFile: string | null
}

async function soak(options: Options, place: Place): Promise<number> {
  const { proxy, services, heapFile } = place
  const watched = { pid: proxy.pid, port: proxy.port, heapFile }
  await pause(SETTLE_MS)
  const before = sampleOf(watched, 0) as Sample
  const ledger = new Ledger()
  const watching = watch(watched)
  const load = startLoad(proxy.port, options.rate, ledger)
  const trouble = makeTrouble(proxy, services, ledger)
  await pause(options.minutes * 60_000)
  await trouble.stop()
  watching.stop()
  const facts = { ledger, samples: watching.samples, before, messages: proxy.messages, firstPid: proxy.pid }
  const after = await left(load, place, last => verdictOf({ ...facts, after: last, pids: proxy.pids() }))
  const verdict = verdictOf({ ...facts, after, pids: proxy.pids() })
  process.stdout.write(`${report(verdict, ledger.counts, trouble.counts)}\n`)
  if (options.json !== null) {
    const all = {
      machine: machine(),
      options,
      verdict,
      counts: ledger.counts,
      troubles: trouble.counts,
      before,
      after,
      samples: watching.samples,
    }
    writeFileSync(options.json, `${JSON.stringify(all, null, 1)}\n`)
  }
  return verdict.wrong.length === 0 ? 0 : 1
}

/** Everybody leaves, clients first; returns what the worker holds when it is back to where it was, or at the end of the patience. */
async function left(load: Load, { proxy, services, heapFile }: Place, judge: (last: Sample) => Verdict): Promise<Sample> {
  await load.stop()
  for (const service of services) service.isReady = false
  await proxy.publish()
  await Promise.all(services.map(service => service.kill()))
  const untilMs = performance.now() + BACK_MS
  for (;;) {
    const last = sampleOf({ pid: proxy.pid, port: proxy.port, heapFile }, 0) ?? MISSING
    const { rssMb, fds } = judge(last)
    if (isBack(last, { ...MISSING, fds: fds.before }, rssMb.warm) || performance.now() > untilMs) return last
    await pause(LOOK_MS)
  }
}

/** Of a worker that is not there any more. */
const MISSING: Sample = { ms: 0, rssMb: Number.NaN, fds: 0, downstream: 0, upstream: 0 }

function machine(): object {
  return {
    cpus: cpus().length,
    cpu: cpus()[0]?.model,
    kernel: release(),
    node: process.version,
    load: loadavg(),
    date: new Date().toISOString(),
  }
}
