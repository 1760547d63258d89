// Runs cases against the proxy's upstream side: a service made of frames does what the case says on the first connection it gets,
// is an ordinary service on the next one, and the client of the proxy must be told the truth.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { h2cRequest, http1Request } from '../clients.js'
import { message } from '../h2-frames.js'
import { type Origin, rawOrigin } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { type Case, named, run, type Section, type Step } from './cases.js'
import { AT_ONCE, pids } from './downstream.js'
import { type Kind, ServicePeer } from './service-peer.js'

/** What the proxy's client is told, by how it called.
 *  answered: the service answers after the steps, which have harmed nothing.
 *  complete: the steps hold a whole answer, whatever comes behind it.
 *  refused: no answer had begun when the service broke the protocol.
 *  cut: an answer had begun.
 *  cancelled: the service reset the begun answer with CANCEL before it broke the protocol.
 *  unusable: the connection was broken from its beginning; a request that never left may be answered on the next one. */
const TOLD = {
  answered: { grpc: ['grpc 0'], http1: ['HTTP 200'] },
  complete: { grpc: ['grpc 0'], http1: ['HTTP 200'] },
  refused: { grpc: ['grpc 13'], http1: ['HTTP 502'] },
  cut: { grpc: ['grpc 13'], http1: ['HTTP 502', 'cut off'] },
  cancelled: { grpc: ['grpc 1'], http1: ['HTTP 502', 'cut off'] },
  unusable: { grpc: ['grpc 13', 'grpc 14'], http1: ['HTTP 502', 'HTTP 503'] },
} satisfies Record<string, Record<Kind, string[]>>
export type Outcome = keyof typeof TOLD

const KINDS: Kind[] = ['grpc', 'http1']

export interface ServiceCase extends Case<ServicePeer> {
  outcome: Outcome
  /** connection: it must end, and the next request come on another.  stream: it may live. */
  scope: 'connection' | 'stream'
}

/** The service and the connection that the case is played on. */
interface Service {
  origin: Origin
  first: Promise<ServicePeer>
}

/** After the handshake and a whole request; the connection may live. */
export function rule(title: string, outcome: Outcome, ...steps: Step<ServicePeer>[]): ServiceCase {
  return { title, start: 'handshake', outcome, scope: 'stream', steps }
}

/** After the handshake and a whole request; the connection must end. */
export function fatal(title: string, outcome: Outcome, ...steps: Step<ServicePeer>[]): ServiceCase {
  return { title, start: 'handshake', outcome, scope: 'connection', steps }
}

/** After the proxy's first SETTINGS, without a handshake. */
export function bare(title: string, outcome: 'answered' | 'unusable', ...steps: Step<ServicePeer>[]): ServiceCase {
  return { title, start: 'bare', outcome, scope: outcome === 'answered' ? 'stream' : 'connection', steps }
}

export function describeUpstream(title: string, sections: Section<ServiceCase>[]): void {
  const cases = named(sections)
  const services = new Map<string, Service>()
  let proxy: TestProxy
  let workers: number[]
  const pathOf = (kind: Kind, place: number) => `/${kind}-${place}/`
  before(async () => {
    for (const kind of KINDS) for (const place of cases.keys()) services.set(pathOf(kind, place), await startService(kind))
    proxy = await startTestProxy(
      [...services].map(([prefix, service]) => ({ prefix, protocol: 'h2c', endpoints: [endpoint(service.origin.port)] })),
    )
    workers = pids(proxy)
  })
  after(async () => {
    await proxy.stop()
    for (const { origin } of services.values()) await origin.close()
  })
  for (const kind of KINDS)
    describe(`${title}, the proxy called by ${kind}`, { concurrency: AT_ONCE }, () => {
      for (const [place, { name, one }] of cases.entries())
        it(name, async t => {
          const path = pathOf(kind, place)
          for (const note of new Set(await play(proxy.port, path, kind, services.get(path)!, one))) t.diagnostic(note)
          assert.deepEqual(pids(proxy), workers, 'the worker lives')
        })
    })
}

/** The case itself, what the client was told, and a request after it.  Returns the peer's notes. */
async function play(port: number, path: string, kind: Kind, service: Service, one: ServiceCase): Promise<string[]> {
  const call = CALLS[kind]
  const told = call(port, path)
  const peer = await Promise.race([service.first, told])
  if (typeof peer === 'string') assert.fail(`the proxy never connected and said ${peer}`)
  try {
    if (one.start === 'handshake') {
      await peer.handshake()
      await peer.request()
    } else await peer.preface()
    await run(peer, one.steps)
    if (one.scope === 'connection') await peer.ended()
    else peer.beOrdinary(one.outcome === 'answered' ? [] : [peer.id])
    checkTold(await told, one.outcome, peer)
    assert.equal(await call(port, path), TOLD.answered[kind][0], 'the next request is answered')
    if (one.scope === 'connection') assert.ok(service.origin.accepted() > 1, 'the next request came on another connection')
    return peer.notes
  } finally {
    peer.destroy()
  }
}

function checkTold(told: string, outcome: Outcome, peer: ServicePeer): void {
  const allowed: string[] = [...TOLD[outcome][peer.kind]]
  // Retried elsewhere, which is right as long as nobody can have begun it.
  if (outcome === 'unusable' && peer.streams.size === 0) allowed.push(...TOLD.answered[peer.kind])
  assert.ok(
    allowed.includes(told),
    `the client was told ${told}, right is ${allowed.join(' or ')}; the service saw: ${peer.seen.join(', ')}`,
  )
}

/** One call by a new client, and what it was told; never rejects. */
const CALLS: Record<Kind, (port: number, path: string) => Promise<string>> = {
  async grpc(port, path) {
    const session = connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    const headers = { 'content-type': 'application/grpc', te: 'trailers' }
    try {
      const answer = await within(h2cRequest(session, { method: 'POST', path, headers, body: message('call') }))
      // Without a status a gRPC client takes UNKNOWN.
      return `grpc ${answer.trailers['grpc-status'] ?? answer.headers['grpc-status'] ?? 2}`
    } catch (error) {
      return String(error)
    } finally {
      session.destroy()
    }
  },
  async http1(port, path) {
    try {
      return `HTTP ${(await within(http1Request(port, { path }))).status}`
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNRESET' ? 'cut off' : String(error)
    }
  },
}

/** The route's own limit is 5 s; what lasts longer hangs. */
function within<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('nothing within 6 s')), 6000)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

async function startService(kind: Kind): Promise<Service> {
  let met: (peer: ServicePeer) => void
  const first = new Promise<ServicePeer>(resolve => {
    met = resolve
  })
  let count = 0
  const origin = await rawOrigin(socket => {
    const peer = new ServicePeer(socket, kind)
    if (++count === 1) met(peer)
    else peer.welcome()
  })
  return { origin, first }
}
