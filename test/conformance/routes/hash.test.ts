// The same key finds the same instance, by header, cookie or client; and moves only when its instance has gone.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Client, PROTOCOLS } from '../clients.js'
import { startTestProxy, type TestProxy } from '../start-proxy.js'
import { askMany, closeAll, type NamedService, namedServices, tally } from './services.js'

describe('hash', () => {
  let services: NamedService[]
  let proxy: TestProxy
  let clients: Client[]
  const KEYS = Array.from({ length: 120 }, (_, at) => `key-${at}`)
  const routes = (left: NamedService[]) => {
    const endpoints = left.map(service => service.endpoint)
    return [
      { prefix: '/header/', balance: { kind: 'hash' as const, key: { from: 'header' as const, name: 'x-user' } }, endpoints },
      { prefix: '/cookie/', balance: { kind: 'hash' as const, key: { from: 'cookie' as const, name: 'sid' } }, endpoints },
      { prefix: '/ip/', balance: { kind: 'hash' as const, key: { from: 'client_ip' as const } }, endpoints },
    ]
  }
  before(async () => {
    services = await namedServices(4)
    proxy = await startTestProxy(routes(services), { trustedHops: 1 })
    clients = PROTOCOLS.map(protocol => protocol.open(proxy.port))
  })
  after(async () => {
    await closeAll(...clients)
    await proxy.stop()
    await closeAll(...services)
  })

  for (const [prefix, fields] of [
    ['/header/', (key: string) => ({ 'x-user': key })],
    ['/cookie/', (key: string) => ({ cookie: `a=b; sid=${key}; c=d` })],
    ['/ip/', (key: string) => ({ 'x-forwarded-for': `10.0.0.${key.slice(4)}` })],
  ] as const) {
    it(`${prefix} the same key, the same instance; when one leaves only its keys move, and they come back with it`, async () => {
      const where = async (client: Client) => {
        const found: Record<string, string> = {}
        const ask = async (key: string) => {
          found[key] = (await client.request({ path: `${prefix}x`, headers: fields(key) })).body
        }
        await Promise.all(KEYS.map(ask))
        return found
      }
      await proxy.setTable(routes(services))
      const first = await where(clients[0]!)
      assert.deepEqual(await where(clients[1]!), first, 'whatever the protocol')
      const counts = tally(Object.values(first))
      assert.equal(Object.keys(counts).length, 4)
      for (const count of Object.values(counts)) assert.ok(count > 10 && count < 60, JSON.stringify(counts))
      await proxy.setTable(routes(services.filter(({ name }) => name !== 'b')))
      const without = await where(clients[1]!)
      for (const key of KEYS) {
        if (first[key] === 'b') assert.notEqual(without[key], 'b')
        else assert.equal(without[key], first[key])
      }
      assert.ok(new Set(KEYS.filter(key => first[key] === 'b').map(key => without[key])).size > 1, 'not all to one')
      await proxy.setTable(routes(services))
      assert.deepEqual(await where(clients[1]!), first)
    })
  }

  it('without a key the requests go round', async () => {
    await proxy.setTable(routes(services))
    assert.deepEqual(tally(await askMany(clients[1]!, '/header/x', 40)), { a: 10, b: 10, c: 10, d: 10 })
  })
})
