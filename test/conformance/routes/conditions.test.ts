// Which route a request takes by host, headers and gRPC service, and what strip, rewrite and redirect make of its target.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Client, PROTOCOLS } from '../clients.js'
import { startTestProxy, type TestProxy, type TestRoute } from '../start-proxy.js'
import { closeAll, codeOf, GRPC, type NamedService, namedService } from './services.js'

/** Every route has a service of its own, which says the route's name. */
const ROUTES: (Omit<TestRoute, 'prefix'> & { name: string; prefix: string })[] = [
  { name: 'any', prefix: '/a/' },
  { name: 'suffix', prefix: '/a/', hosts: ['*.example.org'] },
  { name: 'longer suffix', prefix: '/a/', hosts: ['*.eu.example.org'] },
  { name: 'exact', prefix: '/a/', hosts: ['api.example.org', 'other.test', '[::1]'] },
  { name: 'exact and header', prefix: '/a/', hosts: ['api.example.org'], headers: [{ name: 'x-tier', value: 'gold' }] },
  { name: 'one header', prefix: '/a/', headers: [{ name: 'x-tier', value: 'gold' }] },
  {
    name: 'two headers',
    prefix: '/a/',
    headers: [
      { name: 'x-tier', value: 'gold' },
      { name: 'x-beta', value: 'yes' },
    ],
  },
  { name: 'longer prefix', prefix: '/a/b/' },
  { name: 'first of two', prefix: '/same/', headers: [{ name: 'x-one', value: '1' }] },
  { name: 'second of two', prefix: '/same/', headers: [{ name: 'x-two', value: '2' }] },
]

describe('host and header conditions', () => {
  const services: NamedService[] = []
  let proxy: TestProxy
  before(async () => {
    for (const { name } of ROUTES) services.push(await namedService(name))
    proxy = await startTestProxy(ROUTES.map(({ name, ...route }, at) => ({ ...route, id: name, endpoints: [services[at]!.endpoint] })))
  })
  after(async () => {
    await proxy.stop()
    await closeAll(...services)
  })

  for (const [path, host, headers, route] of [
    ['/a/x', 'nobody.test', {}, 'any'],
    ['/a/x', 'www.example.org', {}, 'suffix'],
    ['/a/x', 'a.b.example.org', {}, 'suffix'],
    ['/a/x', 'example.org', {}, 'any'],
    ['/a/x', 'badexample.org', {}, 'any'],
    ['/a/x', 'x.eu.example.org', {}, 'longer suffix'],
    ['/a/x', 'api.example.org', {}, 'exact'],
    ['/a/x', 'API.Example.ORG', {}, 'exact'],
    ['/a/x', 'api.example.org:8443', {}, 'exact'],
    ['/a/x', 'other.test', {}, 'exact'],
    ['/a/x', '[::1]:80', {}, 'exact'],
    ['/a/x', 'api.example.org', { 'x-tier': 'gold' }, 'exact and header'],
    ['/a/x', 'api.example.org', { 'x-tier': 'Gold' }, 'exact'],
    ['/a/x', 'other.test', { 'x-tier': 'gold' }, 'exact'],
    ['/a/x', 'nobody.test', { 'x-tier': 'gold' }, 'one header'],
    ['/a/x', 'nobody.test', { 'x-tier': 'gold', 'x-beta': 'yes' }, 'two headers'],
    ['/a/x', 'nobody.test', { 'x-beta': 'yes' }, 'any'],
    ['/a/x', 'www.example.org', { 'x-tier': 'gold', 'x-beta': 'yes' }, 'suffix'],
    ['/a/b/x', 'api.example.org', { 'x-tier': 'gold' }, 'longer prefix'],
    ['/same/x', 'h', { 'x-one': '1', 'x-two': '2' }, 'first of two'],
    ['/same/x', 'h', { 'x-two': '2' }, 'second of two'],
    ['/same/x', 'h', {}, null],
  ] as [string, string, Record<string, string>, string | null][]) {
    for (const protocol of PROTOCOLS) {
      it(`${protocol.name}: ${path} for ${host} with ${JSON.stringify(headers)} takes ${route ?? 'no route'}`, async () => {
        const client = protocol.open(proxy.port)
        const authority = protocol.name === 'http1' ? 'host' : ':authority'
        const answer = await client.request({ path, headers: { [authority]: host, ...headers } })
        client.close()
        if (route === null) assert.deepEqual([answer.status, codeOf(answer)], [404, 'ROUTE_UNKNOWN'])
        else assert.equal(answer.body, route)
      })
    }
  }
})

describe('targets', () => {
  let web: NamedService
  let model: NamedService
  let proxy: TestProxy
  let clients: Client[]
  before(async () => {
    web = await namedService('web')
    model = await namedService('model', { protocol: 'h2c' })
    web.reply = ({ path }) => ({ body: path })
    model.reply = ({ path, headers }) =>
      headers['content-type'] === 'application/grpc' ? { grpc: 0, headers: { 'x-path': path } } : { body: path }
    const endpoints = [web.endpoint]
    proxy = await startTestProxy([
      { prefix: '/strip/', endpoints },
      { prefix: '/whole/', strip: false, endpoints },
      { prefix: '/re/', rewrite: '/v2/', endpoints },
      { prefix: '/plain/', rewrite: '/', endpoints },
      { prefix: '/shop.v1.Cart/', strip: false, protocol: 'h2c', endpoints: [model.endpoint] },
      { prefix: '/', strip: false, endpoints },
      { prefix: '/old/', redirect: { status: 308, target: 'https://new.test/base/' } },
      { prefix: '/gone/', redirect: { status: 302, target: '/whole/page' } },
      { prefix: '/locked/', redirect: { status: 301, target: '/whole/' }, deny: ['127.0.0.0/8'] },
    ])
    clients = PROTOCOLS.map(protocol => protocol.open(proxy.port))
  })
  after(async () => {
    await closeAll(...clients)
    await proxy.stop()
    await closeAll(web, model)
  })

  for (const [path, target] of [
    ['/strip/a?x=1', '/a?x=1'],
    ['/strip/?x', '/?x'],
    ['/whole/a', '/whole/a'],
    ['/re/a/b?c=%2F', '/v2/a/b?c=%2F'],
    ['/re/', '/v2/'],
    ['/plain//a', '//a'],
    ['/elsewhere', '/elsewhere'],
    ['/shop.v1.Cartage/Add', '/shop.v1.Cartage/Add'],
  ] as const) {
    it(`${path} arrives as ${target}`, async () => {
      for (const client of clients) assert.equal((await client.request({ path })).body, target, client.name)
    })
  }

  it('a gRPC service’s methods go to it by their plain path, and the answer is its own', async () => {
    const answer = await clients[1]!.request({ path: '/shop.v1.Cart/Add', headers: GRPC, body: Buffer.alloc(5) })
    assert.deepEqual([answer.status, answer.headers['grpc-status'], answer.headers['x-path']], [200, '0', '/shop.v1.Cart/Add'])
    assert.equal(answer.headOnly, true)
  })

  for (const [path, method, status, location] of [
    ['/old/a/b?c', 'GET', 308, 'https://new.test/base/a/b?c'],
    ['/old/', 'GET', 308, 'https://new.test/base/'],
    ['/old/a', 'POST', 308, 'https://new.test/base/a'],
    ['/old/a', 'HEAD', 308, 'https://new.test/base/a'],
    ['/gone/a/b?c', 'GET', 302, '/whole/page'],
  ] as const) {
    it(`${method} ${path} is sent to ${location} with ${status}, without a body`, async () => {
      for (const client of clients) {
        const answer = await client.request({ path, method, ...(method === 'POST' ? { body: 'thrown away' } : {}) })
        assert.deepEqual([answer.status, answer.headers.location, answer.body], [status, location, ''], client.name)
      }
    })
  }

  it('who may not come in is not sent on either', async () => {
    for (const client of clients) {
      const answer = await client.request({ path: '/locked/a' })
      assert.deepEqual([answer.status, answer.headers.location, codeOf(answer)], [403, undefined, 'ACCESS_DENIED'])
    }
  })
})
