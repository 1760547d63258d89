// Runs cases against the proxy's client side: each over a service on h2c and over one on HTTP/1.1, a connection per case.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { http1Origin, http2Origin, type Origin, valuesOf } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { type Case, named, run, type Section, type Step } from './cases.js'
import { ClientPeer } from './peer.js'

export type ClientCase = Case<ClientPeer>

export function rule(title: string, ...steps: Step<ClientPeer>[]): ClientCase {
  return { title, start: 'handshake', steps }
}

export function bare(title: string, ...steps: Step<ClientPeer>[]): ClientCase {
  return { title, start: 'bare', steps }
}

// Cases that wait for a silence would otherwise wait one after the other.
export const AT_ONCE = 8

/** title: of the table, for the report. */
export function describeDownstream(title: string, sections: Section<ClientCase>[]): void {
  let origins: Origin[] = []
  let proxy: TestProxy
  let workers: number[]
  before(async () => {
    const h2c = await helloOverH2c()
    const http1 = await helloOverHttp1()
    origins = [h2c, http1]
    proxy = await startTestProxy([
      { prefix: '/h2c/', protocol: 'h2c', endpoints: [endpoint(h2c.port)] },
      { prefix: '/http1/', protocol: 'http1', endpoints: [endpoint(http1.port)] },
    ])
    workers = pids(proxy)
  })
  after(async () => {
    await proxy.stop()
    for (const origin of origins) await origin.close()
  })
  for (const service of ['h2c', 'http1'])
    describe(`${title}, before a service on ${service}`, { concurrency: AT_ONCE }, () => {
      for (const { name, one } of named(sections))
        it(name, async t => {
          const notes = await runCase(proxy.port, `/${service}/x`, one)
          for (const note of new Set(notes)) t.diagnostic(note)
          assert.deepEqual(pids(proxy), workers, 'the worker lives')
        })
    })
}

async function runCase(port: number, path: string, one: ClientCase): Promise<string[]> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  await once(socket, 'connect')
  const peer = new ClientPeer(socket, path)
  try {
    if (one.start === 'handshake') await peer.handshake()
    await run(peer, one.steps)
    return peer.notes
  } finally {
    peer.destroy()
  }
}

/** Answers every request, once it is complete, with 200 and a body. */
function helloOverH2c(): Promise<Origin> {
  return http2Origin((stream, raw) => {
    stream.resume()
    stream.on('end', () => {
      if (stream.destroyed) return
      stream.respond({ ':status': 200, 'content-type': 'text/plain' })
      stream.end(valuesOf(raw, ':method')[0] === 'HEAD' ? undefined : 'hello from h2c')
    })
  })
}

function helloOverHttp1(): Promise<Origin> {
  return http1Origin((request, response) => {
    request.on('error', () => {})
    request.resume()
    request.on('end', () => response.end('hello from HTTP/1.1'))
  })
}

export function pids(proxy: TestProxy): number[] {
  return proxy.status().workers.map(worker => worker.pid)
}
