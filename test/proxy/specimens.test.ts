// What is compiled stays compiled when memory is given back between two requests.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { Attempts } from '../../src/proxy/attempts.js'
import { Clocks } from '../../src/proxy/clocks.js'
import { Gateway } from '../../src/proxy/gateway.js'
import { Http1UpstreamStream } from '../../src/proxy/http1/client-stream.js'
import { Http1ClientStream } from '../../src/proxy/http1/server-stream.js'
import { Http2Attempt } from '../../src/proxy/http2/client-stream.js'
import { ServerStream } from '../../src/proxy/http2/server-stream.js'
import { StreamRecord } from '../../src/proxy/http2/stream-record.js'
import { Ledger } from '../../src/proxy/ledger.js'
import { collect } from '../../src/proxy/memory-return.js'
import { RequestBody } from '../../src/proxy/request-body.js'
import { PROTOCOLS } from '../conformance/clients.js'
import { closedPort, http1Origin, http2Origin } from '../conformance/origins.js'
import { endLater } from '../conformance/start-proxy.js'
import { PLAIN_PROXY, plainRules } from '../core/fixture-proxy.js'

const OF_ALL = [Attempts, Clocks, Ledger, RequestBody]
const OF_CLIENT = { http1: [Http1ClientStream], h2c: [ServerStream, StreamRecord] }
const OF_SERVICE = { http1: [Http1UpstreamStream], h2c: [Http2Attempt, StreamRecord] }
const COMPILED = 12
/** A method may have been compiled with something passing in it, of which nothing is kept: it was one of some dozen in one run of ten.  Without specimens all are lost. */
const MAY_BE_LOST = 0.25
const ROUNDS = 40
const ROUNDS_MAX = 800
const AT_ONCE = 50

setFlagsFromString('--allow-natives-syntax')
const statusOf = runInThisContext('f => %GetOptimizationStatus(f)') as (method: unknown) => number
/** kOptimized of V8's OptimizationStatus. */
const OPTIMIZED = 1 << 4

type Class = new (...args: never[]) => object

function compiledOf(classes: Class[]): string[] {
  return classes.flatMap(each => {
    const described = Object.entries(Object.getOwnPropertyDescriptors(each.prototype as object))
    const methods = described.filter(([name, { value }]) => name !== 'constructor' && typeof value === 'function')
    return methods.filter(([, { value }]) => (statusOf(value) & OPTIMIZED) !== 0).map(([name]) => `${each.name}.${name}`)
  })
}

describe('a collection while nothing is under way', () => {
  for (const { name: client, open } of PROTOCOLS)
    for (const service of ['http1', 'h2c'] as const)
      it(`from ${client} to ${service}: what had been compiled still is`, async () => {
        const origin =
          service === 'h2c'
            ? await http2Origin(stream => {
                stream.respond({ ':status': 200 })
                stream.end('answer')
              })
            : await http1Origin((_request, response) => response.end('answer'))
        const port = await closedPort()
        const listen = { host: '127.0.0.1', port }
        const endpoints = [{ id: 'one', address: { host: '127.0.0.1', port: origin.port }, ready: true, weight: 1 }]
        const drain = await new Promise<() => Promise<void>>((resolve, reject) => {
          const ready = () => resolve(endLater(() => new Promise<void>(drained => gateway.drain(1000, drained))))
          const gateway = new Gateway({ settings: { ...PLAIN_PROXY, listen }, version: '0', slot: 0, log: () => {}, ready })
          gateway.table({ version: 1, routes: [{ ...plainRules('/w/'), protocol: service, upstream: 'w', expected: true, endpoints }] })
          gateway.listen('plain', listen, reject)
        })
        const peer = open(port)
        const classes = [...OF_ALL, ...OF_CLIENT[client], ...OF_SERVICE[service]] as Class[]
        for (let round = 0; round < ROUNDS_MAX && (round < ROUNDS || compiledOf(classes).length < COMPILED); round++)
          await Promise.all(Array.from({ length: AT_ONCE }, () => peer.request({ path: '/w/', body: 'question' })))
        const before = compiledOf(classes)
        assert.ok(before.length >= COMPILED, before.join(' '))
        collect()
        const after = new Set(compiledOf(classes))
        const lost = before.filter(name => !after.has(name))
        assert.ok(lost.length <= before.length * MAY_BE_LOST, `lost ${lost.join(' ')} of ${before.join(' ')}`)
        peer.close()
        await drain()
        await origin.close()
      })
})
