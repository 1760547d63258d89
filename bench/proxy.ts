// Proxying side by side with the peers that are installed: CPU per request, rates, latency and memory; access logs on for all and off for all.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { CASES, type Case } from './proxy/cases.js'
import { check } from './proxy/check.js'
import { measureCase } from './proxy/measure.js'
import { helpText, type Options, parseOptions } from './proxy/options.js'
import type { Peer } from './proxy/peer.js'
import { caddy } from './proxy/peers/caddy.js'
import { guard } from './proxy/peers/guard.js'
import { haproxy } from './proxy/peers/haproxy.js'
import { nghttpx } from './proxy/peers/nghttpx.js'
import { nginx } from './proxy/peers/nginx.js'
import { http2Proxy, httpProxy } from './proxy/peers/npm.js'
import { freePort, settleOnLoadCpu } from './proxy/processes.js'
import { anythingWrong, type CaseResult, jsonResults, limitsOf, report } from './proxy/report.js'
import { compileTools } from './proxy/tools.js'
import { inPath } from './supervise/daemon-process.js'

const PEERS: Peer[] = [guard, nginx, haproxy, caddy, nghttpx, httpProxy, http2Proxy]
const KNOWN = { cases: CASES.map(({ name }) => name), peers: PEERS.map(({ name }) => name) }
/** What the bench itself cannot do without, and where it comes from. */
const NEEDED = { wrk: 'wrk', h2load: 'nghttp2-client', cc: 'gcc', taskset: 'util-linux', prlimit: 'util-linux' }

/** Options: see helpText.  Returns the exit code. */
export async function run(args: string[]): Promise<number> {
  let options: Options | null
  try {
    options = parseOptions(args, KNOWN)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${helpText(KNOWN)}`)
    return 2
  }
  if (options === null) {
    process.stdout.write(helpText(KNOWN))
    return 0
  }
  const obstacle = obstacles()
  if (obstacle !== null) {
    process.stderr.write(`${obstacle}\n`)
    return 1
  }
  return await measureAll(options)
}

function obstacles(): string | null {
  const missing = Object.entries(NEEDED).find(([program]) => inPath(program) === null)
  if (missing !== undefined) return `needs ${missing[0]} (apt-get install ${missing[1]})`
  return cpus().length < 2 ? 'needs two processors: one for the proxy, one for load and origin' : null
}

async function measureAll(options: Options): Promise<number> {
  settleOnLoadCpu()
  const stops: (() => unknown)[] = []
  const directory = mkdtempSync(join(tmpdir(), 'guard-bench-proxy-'))
  const endAll = async (): Promise<void> => {
    for (const stop of stops.reverse()) await stop()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => void endAll().then(() => process.exit(code)))
  try {
    const place = { directory, tools: compileTools(directory), options, atEnd: (stop: () => unknown) => stops.push(stop) }
    const results = await measureCases(options, place)
    process.stdout.write(`${report(results, leftOut(options))}\n`)
    if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(jsonOf(options, results), null, 2)}\n`)
    return anythingWrong(results) ? 1 : 0
  } finally {
    await endAll()
  }
}

type Place = Omit<Parameters<typeof measureCase>[2], 'log'>

async function measureCases(options: Options, place: Place): Promise<CaseResult[]> {
  const results: CaseResult[] = []
  const checked = new Map<string, string[] | Error>()
  for (const log of options.logs) {
    for (const which of possible(options).filter(({ idle }) => log === 'on' || idle === 0)) {
      const lacks: Record<string, string[]> = {}
      const able: Peer[] = []
      const broken: CaseResult['peers'] = []
      for (const peer of taking(options).filter(({ protocols }) => protocols.includes(which.protocol))) {
        const found = await checkOnce(checked, peer, which, log, place)
        if (found instanceof Error)
          broken.push({ peer: peer.name, rounds: [], note: `left out, its configuration does not work: ${found.message}` })
        else able.push(peer)
        lacks[peer.name] = found instanceof Error ? [] : found
      }
      results.push({ log, case: which.name, peers: [...(await measureCase(which, able, { ...place, log })), ...broken], lacks })
    }
  }
  return results
}

function asked({ cases }: Options): Case[] {
  return CASES.filter(({ name }) => cases.length === 0 || cases.includes(name))
}

function possible(options: Options): Case[] {
  return asked(options).filter(({ lacking }) => (lacking?.() ?? null) === null)
}

/** A configuration is checked once; all cases of a protocol share it. */
async function checkOnce(
  checked: Map<string, string[] | Error>,
  peer: Peer,
  { protocol }: Case,
  log: 'on' | 'off',
  place: Place,
): Promise<string[] | Error> {
  const key = `${peer.name}-${protocol}-${log}`
  const before = checked.get(key)
  if (before !== undefined) return before
  const directory = mkdtempSync(join(place.directory, `check-${key}-`))
  const facts = {
    protocol,
    port: await freePort(),
    originPort: await freePort(),
    accessLog: log === 'on' ? join(directory, 'access.log') : null,
  }
  const found = await check(() => peer.start({ ...facts, directory }), facts).then(
    ({ lacks }) => lacks,
    (error: Error) => error,
  )
  checked.set(key, found)
  return found
}

function taking(options: Options): Peer[] {
  return PEERS.filter(peer => chosen(peer, options) && peer.installed())
}

/** Ours is always among them. */
function chosen(peer: Peer, { peers }: Options): boolean {
  return peers.length === 0 || peer === guard || peers.includes(peer.name)
}

/** A line for each peer and case that is left out. */
function leftOut(options: Options): string[] {
  const peers = PEERS.filter(peer => chosen(peer, options) && !peer.installed()).map(
    ({ name, debianPackage }) => `${name} is not installed (apt-get install ${debianPackage}) and left out`,
  )
  const cases = asked(options).flatMap(({ name, lacking }) => {
    const found = lacking?.() ?? null
    return found === null ? [] : [`${name} is left out: it ${found}`]
  })
  return [...peers, ...cases]
}

function jsonOf(options: Options, results: CaseResult[]): object {
  const machine = {
    cpus: cpus().length,
    cpu: cpus()[0]?.model,
    kernel: release(),
    node: process.version,
    load: loadavg(),
    date: new Date().toISOString(),
  }
  return { machine, options, results: jsonResults(results), limits: limitsOf(results) }
}
