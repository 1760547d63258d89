// The soak's load: every kind of client at its share of the rate, and new clients in place of old ones all the time.
import type { Client, Kind } from './client.js'
import { GRPC_KINDS } from './grpc-clients.js'
import { HTTP1_KINDS } from './http1-clients.js'
import { HTTP2_KINDS } from './http2-clients.js'
import type { Ledger } from './ledger.js'
import { WEBSOCKET_KINDS } from './websocket-client.js'

const KINDS: Kind[] = [...HTTP1_KINDS, ...HTTP2_KINDS, ...GRPC_KINDS, ...WEBSOCKET_KINDS]
const ALL_SHARES = KINDS.reduce((sum, { share }) => sum + share, 0)
const TICK_MS = 10
// In turn, one client of each kind leaves and comes back; each kind has two.
const RENEW_MS = 2000
const CLIENTS = 2
const MOST_RUNNING = 200
const ANSWER_MS = 30_000
// After a pause of this machine the rest of what became due is not made up for.
const CATCH_UP_MS = 100

export interface Load {
  /** Begins no more requests; resolves when the last one is over and every client has left. */
  stop(): Promise<void>
}

/** rate: requests a second, all kinds together. */
export function startLoad(port: number, rate: number, ledger: Ledger): Load {
  const streams = KINDS.map(kind => new KindLoad(kind, port, ledger))
  let beforeMs = performance.now()
  const ticker = setInterval(() => {
    const nowMs = performance.now()
    const requests = (Math.min(nowMs - beforeMs, CATCH_UP_MS) / 1000) * rate
    beforeMs = nowMs
    for (const stream of streams) stream.due((requests * stream.kind.share) / ALL_SHARES)
  }, TICK_MS)
  const renewer = setInterval(() => {
    for (const stream of streams) stream.renew()
  }, RENEW_MS)
  return {
    stop: async () => {
      clearInterval(ticker)
      clearInterval(renewer)
      while (ledger.running > 0) await new Promise(resolve => setTimeout(resolve, TICK_MS))
      for (const stream of streams) stream.close()
    },
  }
}

class KindLoad {
  readonly kind: Kind
  private readonly port: number
  private readonly ledger: Ledger
  private readonly clients: Client[]
  private turn = 0
  private renewals = 0
  private debt = Math.random()
  private running = 0

  constructor(kind: Kind, port: number, ledger: Ledger) {
    this.kind = kind
    this.port = port
    this.ledger = ledger
    this.clients = Array.from({ length: CLIENTS }, () => kind.open(port))
  }

  /** requests: that have become due, fractions are kept for the next time. */
  due(requests: number): void {
    this.debt += requests
    for (; this.debt >= 1; this.debt--) {
      if (this.running >= MOST_RUNNING) this.ledger.count(this.kind.name).heldBack++
      else void this.ask()
    }
  }

  renew(): void {
    const at = this.renewals++ % CLIENTS
    this.clients[at]?.close()
    this.clients[at] = this.kind.open(this.port)
  }

  close(): void {
    for (const client of this.clients) client.close()
  }

  private async ask(): Promise<void> {
    this.running++
    const client = this.clients[this.turn++ % CLIENTS] as Client
    await this.ledger.follow(this.kind.name, answered(client))
    this.running--
  }
}

async function answered(client: Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${ANSWER_MS} ms`)), ANSWER_MS)
  })
  try {
    await Promise.race([client.ask(), late])
  } finally {
    clearTimeout(timer)
  }
}
