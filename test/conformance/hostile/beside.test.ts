// A hostile client at full speed beside a polite one: the polite one is served as before, and when it is over nothing is left of it.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { constants, setPriority } from 'node:os'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parted, stolenMs, waitedForCoreMs } from '../machine.js'
import { endLater, endpoint, until } from '../start-proxy.js'
import { FrameClient } from './h2-client.js'
import { memoryOf, quantile, type Rig, startRig, warmUp } from './rig.js'

const EVERY_MS = 5
const QUIET_MS = 3000
const ATTACK_MS = 3000
const RUNS = 3
// Where others keep the cores busy for more than this part of the time, three times a quiet p99 of 5 ms would test the scheduler: its slices are 3 to 12 ms,
// and a request waits for several.  Only the second limit holds then: turns of 200-490 ms, which this test has found, are far beyond it.
const CALM_PART = 0.1
const BUSY_LIMIT_MS = 150
// Two collections of V8's in a row, and nothing else: never-read streams leave 17-36 ms at first contact, the others 4-20.
const LEAST_LIMIT_MS = 40
const SETTLE_MS = 10_000

interface Load {
  /** Sorted. */
  tookMs: number[]
  errors: string[]
  /** Of the time: how long the worker or the client waited for a core. */
  waitedPart: number
}

/** 200 requests a second at their own times, whatever becomes of the earlier ones: one half each protocol, over kept connections. */
function politeLoad(rig: Rig, client: FrameClient): { stop(): Promise<Load> } {
  const { port } = rig.proxy
  const agent = new Agent({ keepAlive: true })
  const load: Load = { tookMs: [], errors: [], waitedPart: 0 }
  const waitedMs = () => Math.max(waitedForCoreMs(rig.pid), waitedForCoreMs(process.pid)) + stolenMs()
  const pending = new Set<Promise<void>>()
  const http1 = () =>
    new Promise<string>((resolve, reject) => {
      const request = get({ host: '127.0.0.1', port, path: '/w/polite', agent }, response => {
        let body = `${response.statusCode} `
        response.on('data', chunk => {
          body += chunk
        })
        response.on('end', () => resolve(body))
        response.on('error', reject)
      })
      request.on('error', reject)
    })
  const http2 = async () => {
    const answer = await client.get('/g/polite')
    return `${answer.status} ${answer.body}`
  }
  const ask = async (how: () => Promise<string>) => {
    const begun = performance.now()
    try {
      const text = await how()
      if (text !== '200 /polite') load.errors.push(text)
    } catch (error) {
      load.errors.push(String(error))
    }
    load.tookMs.push(performance.now() - begun)
  }
  const begun = performance.now()
  const waitedAtFirstMs = waitedMs()
  let asked = 0
  const timer = setInterval(() => {
    for (; asked < (performance.now() - begun) / EVERY_MS; asked++) {
      const one = ask(asked % 2 === 0 ? http1 : http2)
      pending.add(one)
      void one.then(() => pending.delete(one))
    }
  }, EVERY_MS)
  return {
    stop: async () => {
      clearInterval(timer)
      await Promise.all(pending)
      agent.destroy()
      load.tookMs.sort((a, b) => a - b)
      load.waitedPart = (waitedMs() - waitedAtFirstMs) / (performance.now() - begun)
      return load
    },
  }
}

/** The attacker's process and the ways to drive it. */
async function startAttacker(
  port: number,
): Promise<{ port: number; pid: number; kinds: string[]; attack(kind: string): Promise<number>; stop(): void }> {
  const child = fork(fileURLToPath(new URL('attacker.js', import.meta.url)), [String(port), String(ATTACK_MS)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const stop = endLater(() => child.kill('SIGKILL'))
  // It stands for another machine: what it takes of this one's cores is not the proxy's doing.
  setPriority(child.pid!, constants.priority.PRIORITY_LOW)
  const [told] = (await once(child, 'message')) as [{ port: number; kinds: string[] }]
  const attack = async (kind: string) => {
    child.send(kind)
    const [{ connections }] = (await once(child, 'message')) as [{ connections: number }]
    return connections
  }
  return { ...told, pid: child.pid!, attack, stop }
}

const p99 = ({ tookMs }: Load) => quantile(tookMs, 0.99)
const shown = (load: Load) =>
  `p50 ${quantile(load.tookMs, 0.5).toFixed(2)} p99 ${p99(load).toFixed(2)} max ${load.tookMs.at(-1)!.toFixed(2)} ms of ${load.tookMs.length}, ` +
  `${load.errors.length} errors ${load.errors[0] ?? ''}, ${(load.waitedPart * 100).toFixed(0)} % waiting for a core`

describe('a hostile client beside a polite one', () => {
  it('the polite one waits no longer and misses nothing, and the worker is as small as before within 10 s', async t => {
    const rig = await startRig({ settings: { headerTimeoutMs: 1000, bodyTimeoutMs: 1000, sendTimeoutMs: 1000, maxConnections: 1000 } })
    const attacker = await startAttacker(rig.proxy.port)
    await rig.proxy.setTable([
      { prefix: '/w/', endpoints: [endpoint(rig.http1.port)] },
      { prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(rig.http2.port)] },
      { prefix: '/a/', endpoints: [endpoint(attacker.port)] },
    ])
    await warmUp(rig)
    const isParted = parted(rig.pid, [process.pid, attacker.pid])
    const client = await FrameClient.open(rig.proxy.port)
    const beside = async (what: () => Promise<unknown>): Promise<Load> => {
      const load = politeLoad(rig, client)
      await what()
      const result = await load.stop()
      rig.http1.forget()
      rig.http2.forget()
      return result
    }

    const quiet = await beside(() => new Promise(resolve => setTimeout(resolve, QUIET_MS)))
    const before = memoryOf(rig.pid).rssBytes
    t.diagnostic(`${isParted ? 'a core for the worker' : 'shared cores'}; quiet: ${shown(quiet)}; the worker has ${before >> 20} MiB`)
    assert.deepEqual(quiet.errors, [])
    const calmLimitMs = Math.max(3 * p99(quiet), LEAST_LIMIT_MS)

    const bad: string[] = []
    for (const kind of attacker.kinds) {
      // Each attack by itself: a bad one must not hide among the others.  Others who use the machine disturb one run, a weak proxy fails in each.
      for (let run = 1; run <= RUNS; run++) {
        let connections = 0
        const load = await beside(async () => {
          connections = await attacker.attack(kind)
        })
        const limitMs = load.waitedPart > CALM_PART ? Math.max(calmLimitMs, BUSY_LIMIT_MS) : calmLimitMs
        const line = `${kind} (${connections} connections): ${shown(load)}, ${limitMs.toFixed(1)} allowed`
        t.diagnostic(`${line}; the worker has ${memoryOf(rig.pid).rssBytes >> 20} MiB`)
        const isSlow = p99(load) > limitMs
        if (load.errors.length > 0 || (isSlow && run === RUNS)) bad.push(line)
        if (load.errors.length > 0 || !isSlow) break
      }
    }
    attacker.stop()
    assert.deepEqual(bad, [])
    assert.equal(client.goaway, null)

    const begun = performance.now()
    const limitBytes = before * 1.1
    await until(() => memoryOf(rig.pid).rssBytes <= limitBytes, SETTLE_MS)
    t.diagnostic(`${Math.round(performance.now() - begun)} ms later the worker has ${memoryOf(rig.pid).rssBytes >> 20} MiB`)
    client.close()
    await rig.stillServes()
    await rig.stop()
  })
})
