// Endpoints that come, go, die, are full, or are no ports at all: who is asking must not notice more than has to be.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { rawService } from '../../proxy/http2/raw-peer.js'
import { type Answer, h2cClient, PROTOCOLS } from '../clients.js'
import { endLater, endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { askMany, closeAll, codeOf, GRPC, type NamedService, namedService, namedServices, tally } from './services.js'

describe('unix sockets', () => {
  let directory: string
  let proxy: TestProxy
  const services: NamedService[] = []
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'guard-routes-'))
    const routes = []
    for (const protocol of ['http1', 'h2c'] as const) {
      const service = await namedService(protocol, { protocol, socket: join(directory, `${protocol}.sock`) })
      service.reply = ({ method, path, body }) => ({ body: `${method} ${path} ${body.length}` })
      services.push(service)
      routes.push({ prefix: `/${protocol}/`, protocol, endpoints: [service.endpoint] })
    }
    const missing = { id: 'gone', address: { socket: join(directory, 'nobody.sock') }, ready: true, weight: 1 }
    proxy = await startTestProxy([
      ...routes,
      { prefix: '/missing/', endpoints: [missing] },
      { prefix: '/half/', endpoints: [missing, services[0]!.endpoint] },
    ])
  })
  after(async () => {
    await proxy.stop()
    await closeAll(...services)
    rmSync(directory, { recursive: true, force: true })
  })

  for (const { name, open } of PROTOCOLS) {
    for (const to of ['http1', 'h2c']) {
      it(`${name} to ${to}: bodies and targets arrive as over a port`, async () => {
        const client = open(proxy.port)
        assert.equal((await client.request({ path: `/${to}/a?b` })).body, 'GET /a?b 0')
        assert.equal((await client.request({ path: `/${to}/a`, body: Buffer.alloc(300_000) })).body, 'POST /a 300000')
        client.close()
      })
    }
    it(`${name}: a socket nobody listens on is a 503 of ours, or another endpoint’s answer`, async () => {
      const client = open(proxy.port)
      const answer = await client.request({ path: '/missing/x' })
      assert.deepEqual([answer.status, answer.headers['retry-after'], codeOf(answer)], [503, '1', 'UPSTREAM_UNREACHABLE'])
      for (let count = 0; count < 4; count++) assert.equal((await client.request({ path: '/half/x' })).status, 200)
      client.close()
    })
  }
})

/** Callers that ask without a pause until they are told to stop; for what may not be asked twice. */
function load(port: number, path: string, callers: number) {
  const client = h2cClient(port)
  const answers: { answer: Answer | null; beganAt: number; tookMs: number }[] = []
  let isRunning = true
  const caller = async () => {
    while (isRunning) {
      const beganAt = performance.now()
      const answer = await client.request({ path, body: 'once' }).catch(() => null)
      answers.push({ answer, beganAt, tookMs: performance.now() - beganAt })
    }
  }
  const all = Promise.all(Array.from({ length: callers }, caller))
  return {
    answers,
    stop: async () => {
      isRunning = false
      await all
      client.close()
      return answers
    },
  }
}

describe('endpoints under load', () => {
  for (const protocol of ['http1', 'h2c'] as const) {
    it(`${protocol}: tables that take endpoints out and put them back, forty times: no request fails, and what has left is let go`, async () => {
      const services = await namedServices(3, { protocol })
      for (const service of services) {
        service.reply = async () => {
          await new Promise(resolve => setTimeout(resolve, 15))
          return { body: service.name }
        }
      }
      const table = (left: NamedService[]) => [{ prefix: '/w/', protocol, endpoints: left.map(service => service.endpoint) }]
      const proxy = await startTestProxy(table(services))
      const running = load(proxy.port, '/w/x', 12)
      for (let round = 0; round < 40; round++) {
        const from = running.answers.length
        await proxy.setTable(table(services.filter((_, at) => at !== round % 3 && (round % 5 !== 0 || at !== (round + 1) % 3))))
        await until(() => running.answers.length > from + 10)
      }
      await proxy.setTable(table([services[2]!]))
      // Requests that were under way end there; then nobody is connected any more.
      await until(() => services[0]!.open() === 0 && services[1]!.open() === 0)
      const answers = await running.stop()
      const failed = answers.filter(({ answer }) => answer?.status !== 200)
      assert.equal(failed.length, 0, JSON.stringify(failed.slice(0, 3)))
      assert.ok(answers.length > 400)
      assert.equal(Object.keys(tally(answers.map(({ answer }) => answer!.body))).length, 3)
      await proxy.stop()
      await closeAll(...services)
    })

    it(`${protocol}: kill -9 of one of two: only what was in flight there fails, the next ones go elsewhere, none hangs`, async () => {
      const processes: ChildProcess[] = []
      const endpoints = []
      for (const name of ['a', 'b']) {
        const process = fork(fileURLToPath(new URL('instance-process.js', import.meta.url)), [name, protocol])
        processes.push(process)
        endLater(() => process.kill('SIGKILL'))
        const [port] = (await once(process, 'message')) as [number]
        endpoints.push(endpoint(port, { id: name }))
      }
      const proxy = await startTestProxy([{ prefix: '/w/', protocol, endpoints }])
      const callers = 16
      const running = load(proxy.port, '/w/slow', callers)
      await until(() => running.answers.length >= 4 * callers)
      const died = once(processes[0]!, 'exit')
      processes[0]!.kill('SIGKILL')
      await died
      const killedAt = performance.now()
      const before = running.answers.length
      await until(() => running.answers.length > before + 4 * callers)
      const answers = await running.stop()
      const failed = answers.filter(({ answer }) => answer?.status !== 200)
      assert.ok(failed.length > 0 && failed.length <= callers, `${failed.length} failed`)
      for (const { answer, beganAt } of failed) {
        assert.ok(beganAt < killedAt, 'it was in flight')
        assert.deepEqual([answer?.status, codeOf(answer!)], [502, 'UPSTREAM_BROKEN'])
      }
      const later = answers.filter(({ beganAt }) => beganAt >= killedAt)
      assert.ok(later.length > callers)
      assert.deepEqual(Object.keys(tally(later.map(({ answer }) => answer!.body))), ['b'])
      assert.ok(Math.max(...answers.map(({ tookMs }) => tookMs)) < 4500, 'none hangs')
      processes[1]!.kill('SIGKILL')
      await proxy.stop()
    })
  }
})

describe('max_connections_per_endpoint', () => {
  it('more requests than connections wait in order and are all served; a limit in a new table holds at once', async () => {
    const service = await namedService('a')
    service.reply = async ({ path }) => {
      await new Promise(resolve => setTimeout(resolve, 20))
      return { body: path }
    }
    const table = (maxConnectionsPerEndpoint: number) => [
      { prefix: '/w/', connectTimeoutMs: 4000, maxConnectionsPerEndpoint, endpoints: [service.endpoint] },
    ]
    const proxy = await startTestProxy(table(2))
    const client = h2cClient(proxy.port)
    const done: string[] = []
    await Promise.all(
      Array.from({ length: 30 }, async (_, at) => {
        const answer = await client.request({ path: `/w/${at}` })
        assert.equal(answer.status, 200, answer.body)
        done.push(answer.body)
      }),
    )
    assert.equal(service.mostOpen(), 2)
    const order = service.asked.map(({ path }) => Number(path.slice(1)))
    assert.deepEqual(
      order,
      [...order].sort((x, y) => x - y),
      'first come, first served',
    )
    await proxy.setTable(table(4))
    await askMany(client, '/w/x', 40, 20)
    await until(() => service.open() <= 4)
    assert.ok(service.mostOpen() > 2 && service.mostOpen() <= 6, `${service.mostOpen()}`)
    client.close()
    await proxy.stop()
    await service.close()
  })

  it('who waits longer than connect_timeout is told so with 503, or served by another endpoint', async () => {
    const [busy, idle] = (await namedServices(2)) as [NamedService, NamedService]
    busy.reply = () => 'never'
    const route = { prefix: '/w/', connectTimeoutMs: 200, timeoutMs: 3000, maxConnectionsPerEndpoint: 1 }
    const proxy = await startTestProxy([{ ...route, endpoints: [busy.endpoint] }])
    const client = h2cClient(proxy.port)
    const first = client.request({ path: '/w/x' })
    await until(() => busy.asked.length === 1)
    const begun = performance.now()
    const answer = await client.request({ path: '/w/x' })
    assert.equal(answer.status, 503)
    assert.match(answer.body, /none of 1 connections was free within 200 ms/)
    assert.ok(performance.now() - begun >= 199)
    await proxy.setTable([{ ...route, endpoints: [busy.endpoint, idle.endpoint] }])
    for (let count = 0; count < 4; count++) assert.equal((await client.request({ path: '/w/x' })).body, 'b')
    assert.equal((await first).status, 504)
    client.close()
    await proxy.stop()
    await closeAll(busy, idle)
  })
})

describe('a service that takes nothing more at once', () => {
  it('is told alike by both protocols: 503 with Retry-After, gRPC 8; it is busy, not sick, and gets the next request it has room for', async () => {
    const http1 = await namedService('http1')
    // It allows no stream at all, until it does.
    const h2c = await rawService(() => {}, [[3, 0]])
    let isFree = false
    http1.reply = () => (isFree ? { body: 'ok' } : 'never')
    const rules = { connectTimeoutMs: 100, timeoutMs: 10_000 }
    const proxy = await startTestProxy([
      { prefix: '/http1/', ...rules, maxConnectionsPerEndpoint: 1, endpoints: [http1.endpoint] },
      { prefix: '/h2c/', ...rules, protocol: 'h2c', endpoints: [endpoint(h2c.port)] },
    ])
    const holder = h2cClient(proxy.port)
    const held = holder.request({ path: '/http1/first' })
    held.catch(() => {})
    await until(() => http1.asked.length === 1)
    for (const { name, open } of PROTOCOLS) {
      const client = open(proxy.port)
      for (const to of ['http1', 'h2c']) {
        const answer = await client.request({ path: `/${to}/x` })
        assert.deepEqual(
          [answer.status, answer.headers['retry-after'], codeOf(answer)],
          [503, '1', 'REQUEST_QUEUE_FULL'],
          `${name} to ${to}`,
        )
        assert.match(JSON.parse(answer.body).error.message, /was free/)
      }
      client.close()
    }
    const call = await holder.request({ path: '/h2c/a.B/C', headers: GRPC, body: Buffer.alloc(5) })
    assert.deepEqual([call.status, call.headers['grpc-status'], call.headOnly], [200, '8', true])
    isFree = true
    holder.close()
    const client = h2cClient(proxy.port)
    assert.equal((await client.request({ path: '/http1/x' })).body, 'ok')
    client.close()
    await proxy.stop()
    await closeAll(http1, h2c)
  })
})
