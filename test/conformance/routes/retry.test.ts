// Answers that a route asks for again: which, how often, where, after what pause, and who pays for it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { h2cClient, PROTOCOLS } from '../clients.js'
import { closedPort } from '../origins.js'
import { endpoint, startTestProxy } from '../start-proxy.js'
import { closeAll, GRPC, grpcMessage, type NamedService, namedService, namedServices, tally } from './services.js'

const RETRIES = { count: 2, statuses: [503], grpcStatuses: [14] }

describe('retries by status', () => {
  for (const protocol of PROTOCOLS) {
    it(`${protocol.name}: a 503 is asked for again elsewhere, body and all where the method allows it`, async () => {
      const [bad, good] = (await namedServices(2)) as [NamedService, NamedService]
      bad.reply = () => ({ status: 503, body: 'sorry' })
      good.reply = ({ method, body }) => ({ body: `${method} ${body}` })
      const proxy = await startTestProxy([{ prefix: '/w/', retries: RETRIES, endpoints: [bad.endpoint, good.endpoint] }])
      const client = protocol.open(proxy.port)
      for (let count = 0; count < 4; count++) {
        const put = await client.request({ path: '/w/x', method: 'PUT', body: 'twice' })
        assert.deepEqual([put.status, put.body], [200, 'PUT twice'])
      }
      assert.equal(bad.asked.length, 2)
      const posts = []
      for (let count = 0; count < 4; count++) posts.push((await client.request({ path: '/w/x', body: 'once' })).status)
      assert.deepEqual(posts.sort(), [200, 200, 503, 503], 'POST is not made twice')
      const large = []
      for (let count = 0; count < 4; count++)
        large.push((await client.request({ path: '/w/x', method: 'PUT', body: Buffer.alloc(200_000) })).status)
      assert.deepEqual(large.sort(), [200, 200, 503, 503], 'nor is what is not kept')
      client.close()
      await proxy.stop()
      await closeAll(bad, good)
    })

    it(`${protocol.name}: with one instance it is asked again after a moment, and at the end its own answer goes through`, async () => {
      const service = await namedService('a', { protocol: protocol.name })
      const proxy = await startTestProxy([{ prefix: '/w/', protocol: protocol.name, retries: RETRIES, endpoints: [service.endpoint] }])
      const client = protocol.open(proxy.port)
      service.reply = () => (service.asked.length < 3 ? { status: 503, body: 'sorry' } : { body: 'well' })
      const begun = performance.now()
      const well = await client.request({ path: '/w/x' })
      assert.deepEqual([well.status, well.body, service.asked.length], [200, 'well', 3])
      assert.ok(performance.now() - begun >= 90, 'not at once: it has just said no')
      service.asked.length = 0
      service.reply = () => ({ status: 503, body: 'sorry', headers: { 'x-own': 'yes' } })
      const sorry = await client.request({ path: '/w/x' })
      assert.deepEqual([sorry.status, sorry.body, sorry.headers['x-own'], service.asked.length], [503, 'sorry', 'yes', 3])
      client.close()
      await proxy.stop()
      await service.close()
    })
  }

  it('a pause the service asks for is kept, whatever tables come meanwhile; more than 30 s or nonsense means no', async () => {
    const service = await namedService('a')
    const routes = [{ prefix: '/w/', retries: RETRIES, endpoints: [service.endpoint] }]
    const proxy = await startTestProxy(routes)
    const client = h2cClient(proxy.port)
    let pushback = '400'
    service.reply = () => (service.asked.length === 1 ? { status: 503, headers: { 'grpc-retry-pushback-ms': pushback } } : {})
    const begun = performance.now()
    const waiting = client.request({ path: '/w/x' })
    await new Promise(resolve => setTimeout(resolve, 50))
    await proxy.setTable(routes)
    assert.equal((await waiting).status, 200)
    assert.ok(performance.now() - begun >= 399, `${performance.now() - begun}`)
    for (pushback of ['-1', '30001', 'soon']) {
      service.asked.length = 0
      assert.equal((await client.request({ path: '/w/x' })).status, 503)
      assert.equal(service.asked.length, 1)
    }
    client.close()
    await proxy.stop()
    await service.close()
  })

  it('gRPC: a call that failed before its answer began is made again with its message', async () => {
    const [bad, good] = (await namedServices(2, { protocol: 'h2c' })) as [NamedService, NamedService]
    bad.reply = () => ({ grpc: 14 })
    good.reply = () => ({ grpc: 0 })
    const endpoints = [bad.endpoint, good.endpoint]
    const proxy = await startTestProxy([
      { prefix: '/g/', protocol: 'h2c', retries: RETRIES, endpoints },
      { prefix: '/not/', protocol: 'h2c', endpoints },
    ])
    const client = h2cClient(proxy.port)
    const call = async (prefix: string) =>
      (await client.request({ path: `${prefix}a.B/C`, headers: GRPC, body: grpcMessage(10) })).headers['grpc-status']
    for (let count = 0; count < 6; count++) assert.equal(await call('/g/'), '0')
    assert.equal(bad.asked.length, 3)
    for (const { body } of good.asked) assert.equal(body.length, 15)
    assert.deepEqual(tally([String(await call('/not/')), String(await call('/not/'))]), { 0: 1, 14: 1 })
    client.close()
    await proxy.stop()
    await closeAll(bad, good)
  })

  it('the budget: an outage is not multiplied; a fifth, or ten in a second, and the rest of the failures go through', async () => {
    const service = await namedService('a')
    service.reply = () => ({ status: 503 })
    const proxy = await startTestProxy([{ prefix: '/w/', retries: { ...RETRIES, count: 1 }, endpoints: [service.endpoint] }])
    const client = h2cClient(proxy.port)
    const begun = performance.now()
    await Promise.all(Array.from({ length: 300 }, async () => assert.equal((await client.request({ path: '/w/x' })).status, 503)))
    const seconds = Math.ceil((performance.now() - begun) / 1000) + 1
    const again = service.asked.length - 300
    assert.ok(again >= 10 && again <= 60 + 10 * seconds, `${again} of 300 were repeated in ${seconds} s`)
    client.close()
    await proxy.stop()
    await service.close()
  })

  it('what never left is always asked elsewhere, and needs neither statuses nor a budget', async () => {
    const service = await namedService('a')
    const gone = endpoint(await closedPort())
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [gone, service.endpoint] }])
    const client = h2cClient(proxy.port)
    const answers = await Promise.all(Array.from({ length: 100 }, () => client.request({ path: '/w/x', body: 'kept' })))
    for (const { status, body } of answers) assert.deepEqual([status, body], [200, 'a'])
    for (const { body } of service.asked) assert.equal(body, 'kept')
    client.close()
    await proxy.stop()
    await service.close()
  })
})
