// An instance whose requests fail is left out for a while, comes back by one trial, and there is always somebody left.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { describe, it } from 'node:test'
import { type Client, h2cClient, PROTOCOLS } from '../clients.js'
import { startTestProxy, until } from '../start-proxy.js'
import { closeAll, GRPC, type NamedService, namedService, namedServices } from './services.js'

/** Statuses of that many requests, one after the other. */
async function statuses(client: Client, count: number, path = '/w/x'): Promise<number[]> {
  const found: number[] = []
  for (let at = 0; at < count; at++) found.push((await client.request({ path })).status)
  return found
}

const failuresOf = (found: number[]) => found.filter(status => status !== 200).length

describe('passive health', () => {
  for (const protocol of PROTOCOLS) {
    it(`${protocol.name} services: who drops five connections in a row is left out, and comes back by one trial at a time`, async () => {
      const services = await namedServices(3, { protocol: protocol.name })
      const [bad] = services as [NamedService, ...NamedService[]]
      const endpoints = services.map(service => service.endpoint)
      const proxy = await startTestProxy([{ prefix: '/w/', protocol: protocol.name, endpoints }])
      const client = h2cClient(proxy.port)
      assert.equal(failuresOf(await statuses(client, 9)), 0)
      bad.reply = () => 'die'
      let failures = 0
      let asked = 0
      let ejectedAt = 0
      while (failures < 5 && asked++ < 60) {
        ejectedAt = performance.now()
        if ((await client.request({ path: '/w/x' })).status === 502) failures++
      }
      assert.equal(failures, 5)
      // Its trials fail, each later than the one before; nobody else meets it.
      const trials: { beganAt: number; endedAt: number }[] = []
      while (performance.now() - ejectedAt < 3000) {
        const before = bad.asked.length
        const beganAt = performance.now()
        const { status } = await client.request({ path: '/w/x' })
        assert.equal(status, bad.asked.length > before ? 502 : 200)
        if (status === 502) trials.push({ beganAt, endedAt: performance.now() })
      }
      // From before the one to behind the other: however late this process hears of them, they lie between.
      const [first, second] = trials
      const isInTime = trials.length === 2 && first!.endedAt - ejectedAt >= 499 && second!.endedAt - first!.beganAt >= 999
      assert.ok(isInTime, JSON.stringify({ ejectedAt, trials }))
      bad.reply = () => ({ body: 'a' })
      const beforeReturn = bad.asked.length
      await until(() => {
        void client.request({ path: '/w/x' }).catch(() => {})
        return bad.asked.length >= beforeReturn + 5
      })
      client.close()
      await proxy.stop()
      await closeAll(...services)
    })
  }

  it('one trial at a time: while it runs nobody else is sent there, and its answer opens the door', async () => {
    const services = await namedServices(2)
    const [bad] = services as [NamedService, NamedService]
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: services.map(service => service.endpoint) }])
    const client = h2cClient(proxy.port)
    // A request from before the failures, which ends during the trial.
    let endOld = () => {}
    bad.reply = () =>
      new Promise(resolve => {
        endOld = () => resolve({ body: 'old' })
      })
    const olds = [client.request({ path: '/w/x' }), client.request({ path: '/w/x' })]
    await until(() => bad.asked.length === 1)
    bad.reply = () => 'die'
    while (bad.asked.length < 6) await client.request({ path: '/w/x' })
    let endTrial = () => {}
    bad.reply = () =>
      new Promise(resolve => {
        endTrial = () => resolve({ body: 'trial' })
      })
    const waiting: Promise<unknown>[] = []
    await until(() => {
      waiting.push(client.request({ path: '/w/x' }))
      return bad.asked.length > 6
    })
    assert.equal(failuresOf(await statuses(client, 20)), 0)
    endOld()
    await Promise.all(olds)
    assert.equal(failuresOf(await statuses(client, 20)), 0)
    assert.equal(bad.asked.length, 7, 'neither the trial nor the old answer let another in')
    bad.reply = () => ({ body: 'a' })
    endTrial()
    await Promise.all(waiting)
    await statuses(client, 10)
    assert.equal(bad.asked.length, 12, 'half of them')
    client.close()
    await proxy.stop()
    await closeAll(...services)
  })

  it('a status is the service’s own word: 500s eject nobody', async () => {
    const services = await namedServices(2)
    services[0]!.reply = () => ({ status: 500 })
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: services.map(service => service.endpoint) }])
    const client = h2cClient(proxy.port)
    assert.equal(failuresOf(await statuses(client, 40)), 20)
    client.close()
    await proxy.stop()
    await closeAll(...services)
  })

  it('never all: where every instance fails, all of them are still asked', async () => {
    const services = await namedServices(3)
    for (const service of services) service.reply = () => 'die'
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: services.map(service => service.endpoint) }])
    const client = h2cClient(proxy.port)
    await statuses(client, 30)
    for (const service of services) service.asked.length = 0
    assert.equal(failuresOf(await statuses(client, 30)), 30)
    for (const service of services) assert.ok(service.asked.length > 0, service.name)
    for (const service of services) service.reply = () => ({ body: 'well' })
    assert.equal(failuresOf(await statuses(client, 30)), 0, 'and all is well at once when they are')
    client.close()
    await proxy.stop()
    await closeAll(...services)
  })

  it('an instance that is ready anew is trusted at once', async () => {
    const services = await namedServices(2)
    const [bad, good] = services as [NamedService, NamedService]
    bad.reply = () => 'die'
    const table = (ready: boolean) => [{ prefix: '/w/', endpoints: [{ ...bad.endpoint, ready }, good.endpoint] }]
    const proxy = await startTestProxy(table(true))
    const client = h2cClient(proxy.port)
    while (bad.asked.length < 5) await client.request({ path: '/w/x' })
    await proxy.setTable(table(false))
    bad.reply = () => ({ body: 'a' })
    await proxy.setTable(table(true))
    bad.asked.length = 0
    assert.equal(failuresOf(await statuses(client, 10)), 0)
    assert.equal(bad.asked.length, 5)
    client.close()
    await proxy.stop()
    await closeAll(...services)
  })

  it('a service that answers too late too often is left out; a client that goes, or sends slowly, blames nobody', async () => {
    const services = await namedServices(2, { protocol: 'h2c' })
    const [bad] = services as [NamedService, NamedService]
    for (const service of services) service.reply = () => ({ grpc: 0 })
    const endpoints = services.map(service => service.endpoint)
    const proxy = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', timeoutMs: 400, endpoints }])
    const client = h2cClient(proxy.port)
    const call = async () => (await client.request({ path: '/g/a.B/C', headers: GRPC, body: Buffer.alloc(5) })).headers['grpc-status']
    // Streams whose clients say nothing more: silence ends them, 14 of each instance.
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    const silents = Array.from({ length: 28 }, () => session.request({ ':method': 'POST', ':path': '/g/a.B/C', ...GRPC }))
    await Promise.all(
      silents.map(
        stream =>
          new Promise(resolve =>
            stream
              .on('error', () => {})
              .on('close', resolve)
              .resume(),
          ),
      ),
    )
    session.destroy()
    for (const service of services) service.asked.length = 0
    for (let count = 0; count < 10; count++) assert.equal(await call(), '0')
    assert.deepEqual(
      services.map(service => service.asked.length),
      [5, 5],
      'nobody was blamed for that',
    )
    bad.reply = () => 'never'
    let late = 0
    while (late < 5) if ((await call()) === '14') late++
    bad.asked.length = 0
    for (let count = 0; count < 10; count++) assert.equal(await call(), '0')
    assert.equal(bad.asked.length, 0)
    client.close()
    await proxy.stop()
    await closeAll(...services)
  })

  it('with one instance there is no choice: it is asked whatever it did', async () => {
    const service = await namedService('a')
    service.reply = () => 'die'
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [service.endpoint] }])
    const client = h2cClient(proxy.port)
    await statuses(client, 10)
    service.reply = () => ({ body: 'a' })
    assert.deepEqual(await statuses(client, 3), [200, 200, 200])
    client.close()
    await proxy.stop()
    await service.close()
  })
})
