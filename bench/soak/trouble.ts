// The soak's trouble: services are killed or retired and come back, and the table changes its weights, one thing at a time.
import { pause } from './client.js'
import type { Ledger } from './ledger.js'
import type { Service } from './services.js'
import type { SoakedProxy } from './soaked-proxy.js'

const FLAP_EVERY_MS = 3000
const DOWN_MS = 1000
const WEIGH_EVERY_MS = 3000
const HEAVIEST = 3
/** In turn, each upon another service. */
const FLAPS = ['kill', 'retire', 'kill and move', 'retire'] as const

export interface Trouble {
  /** How often each thing has happened. */
  counts: Record<string, number>
  /** Resolves when every service is back. */
  stop(): Promise<void>
}

export function makeTrouble(proxy: SoakedProxy, services: Service[], ledger: Ledger): Trouble {
  const over = new AbortController()
  const counts: Record<string, number> = {}
  const troubles = [
    repeated(over.signal, FLAP_EVERY_MS, async round => {
      const flap = FLAPS[round % FLAPS.length] as (typeof FLAPS)[number]
      const service = services[round % services.length] as Service
      counts[flap] = (counts[flap] ?? 0) + 1
      if (flap === 'retire') await retire(proxy, service)
      else await kill(proxy, service, ledger)
      await pause(DOWN_MS)
      await service.start(flap === 'kill and move' ? 'elsewhere' : 'same')
      await proxy.publish()
    }),
    repeated(over.signal, WEIGH_EVERY_MS, async () => {
      counts.weigh = (counts.weigh ?? 0) + 1
      for (const service of services) service.weight = 1 + Math.floor(Math.random() * HEAVIEST)
      await proxy.publish()
    }),
  ]
  return {
    counts,
    stop: async () => {
      over.abort()
      await Promise.all(troubles)
    },
  }
}

/** Out of the table first, as the daemon does it: nothing may be lost. */
async function retire(proxy: SoakedProxy, service: Service): Promise<void> {
  service.isReady = false
  await proxy.publish()
  await service.retire()
}

/** Nobody is told beforehand.  It counts as dying until the worker knows. */
async function kill(proxy: SoakedProxy, service: Service, ledger: Ledger): Promise<void> {
  const one = { killedMs: performance.now(), goneMs: Number.POSITIVE_INFINITY }
  ledger.kills.push(one)
  await service.kill()
  await proxy.publish()
  one.goneMs = performance.now()
}

async function repeated(over: AbortSignal, everyMs: number, work: (round: number) => Promise<void>): Promise<void> {
  for (let round = 0; ; round++) {
    const untilMs = performance.now() + everyMs
    while (performance.now() < untilMs && !over.aborted) await pause(50)
    if (over.aborted) return
    await work(round)
  }
}
