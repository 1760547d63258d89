// Who may ask: allow and deny of the door and of the route, credentials, and who the client is behind proxies of ours.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Client, PROTOCOLS } from '../clients.js'
import { startTestProxy, type TestProxy } from '../start-proxy.js'
import { closeAll, codeOf, GRPC, type NamedService, namedService } from './services.js'

const FROM_10_1: Record<string, string> = { 'x-forwarded-for': '10.1.2.3' }

describe('allow and deny', () => {
  let web: NamedService
  /** By their settings. */
  const proxies = new Map<string, TestProxy>()
  before(async () => {
    web = await namedService('web')
  })
  after(async () => {
    for (const proxy of proxies.values()) await proxy.stop()
    await web.close()
  })

  for (const [title, lists, headers, statuses] of [
    ['nobody is named', {}, {}, [200, 200, 403]],
    ['the door denies the client', { deny: ['127.0.0.1'] }, {}, [403, 403, 403]],
    ['the door allows others', { allow: ['10.0.0.0/8'] }, {}, [403, 403, 403]],
    ['the door allows and denies it', { allow: ['127.0.0.0/8'], deny: ['127.0.0.1'] }, {}, [403, 403, 403]],
    ['no trusted hop: a forwarded address is not believed', {}, FROM_10_1, [200, 200, 403]],
    ['a trusted hop: it is', { deny: ['10.1.0.0/16', '2001:db8::/32'], trustedHops: 1 }, FROM_10_1, [403, 403, 403]],
    [
      'the same with IPv6',
      { deny: ['10.1.0.0/16', '2001:db8::/32'], trustedHops: 1 },
      { 'x-forwarded-for': '2001:db8::7' },
      [403, 403, 403],
    ],
    ['a trusted hop: the route sees it too', { trustedHops: 1 }, FROM_10_1, [200, 403, 200]],
    [
      'a trusted hop: what is before it is the client’s own word',
      { trustedHops: 1 },
      { 'x-forwarded-for': '10.1.2.3, 10.9.9.9' },
      [200, 403, 403],
    ],
    ['two trusted hops', { trustedHops: 2 }, { 'x-forwarded-for': '10.9.9.9, 10.1.2.3, 172.16.0.1' }, [200, 403, 200]],
    ['what is no address is not believed', { trustedHops: 1 }, { 'x-forwarded-for': '10.1.2.3, unknown' }, [200, 200, 403]],
    [
      'Forwarded, where that is the style',
      { trustedHops: 1, forwarded: 'forwarded' },
      { forwarded: 'for=10.1.2.3;proto=http' },
      [200, 403, 200],
    ],
    ['with a port', { trustedHops: 1, forwarded: 'forwarded' }, { forwarded: 'for="10.1.2.3:4711"' }, [200, 403, 200]],
    ['X-Forwarded-For is not, then', { trustedHops: 1, forwarded: 'forwarded' }, FROM_10_1, [200, 200, 403]],
  ] as [string, Record<string, unknown>, Record<string, string>, [number, number, number]][]) {
    it(title, async () => {
      const endpoints = [web.endpoint]
      const routes = [
        { prefix: '/open/', endpoints },
        { prefix: '/local/', allow: ['127.0.0.0/8'], endpoints },
        { prefix: '/ten/', allow: ['10.1.0.0/16'], endpoints },
      ]
      const key = JSON.stringify(lists)
      const proxy = proxies.get(key) ?? (await startTestProxy(routes, lists))
      proxies.set(key, proxy)
      for (const protocol of PROTOCOLS) {
        const client = protocol.open(proxy.port)
        const answers = []
        for (const { prefix } of routes) answers.push(await client.request({ path: `${prefix}x`, headers }))
        client.close()
        const found = answers.map(({ status }) => status)
        assert.deepEqual(found, statuses, protocol.name)
        for (const answer of answers) if (answer.status === 403) assert.equal(codeOf(answer), 'ACCESS_DENIED')
      }
    })
  }
})

describe('credentials', () => {
  let web: NamedService
  let model: NamedService
  let proxy: TestProxy
  let clients: Client[]
  before(async () => {
    web = await namedService('web')
    model = await namedService('model', { protocol: 'h2c' })
    model.reply = () => ({ grpc: 0 })
    const bearer = { kind: 'bearer' as const, tokens: ['first-token', 'second'], realm: 'models' }
    const users = [
      { name: 'ann', password: 'pass:word' },
      { name: 'jörg', password: 'grün' },
    ]
    proxy = await startTestProxy([
      { prefix: '/open/', endpoints: [web.endpoint] },
      { prefix: '/token/', auth: bearer, endpoints: [web.endpoint] },
      { prefix: '/users/', auth: { kind: 'basic', users, realm: 'people' }, endpoints: [web.endpoint] },
      { prefix: '/grpc/', protocol: 'h2c', auth: bearer, endpoints: [model.endpoint] },
    ])
    clients = PROTOCOLS.map(protocol => protocol.open(proxy.port))
  })
  after(async () => {
    await closeAll(...clients)
    await proxy.stop()
    await closeAll(web, model)
  })

  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  for (const [path, authorization, code] of [
    ['/token/x', undefined, 'CREDENTIALS_MISSING'],
    ['/token/x', basic('ann:pass:word'), 'CREDENTIALS_MISSING'],
    ['/token/x', 'Bearer wrong', 'CREDENTIALS_WRONG'],
    ['/token/x', 'Bearer first-tokenX', 'CREDENTIALS_WRONG'],
    ['/token/x', 'Bearer first-toke', 'CREDENTIALS_WRONG'],
    ['/token/x', 'Bearer first-token', null],
    ['/token/x', 'bearer second', null],
    ['/users/x', undefined, 'CREDENTIALS_MISSING'],
    ['/users/x', 'Bearer second', 'CREDENTIALS_MISSING'],
    ['/users/x', basic('ann:pass'), 'CREDENTIALS_WRONG'],
    ['/users/x', basic('ann'), 'CREDENTIALS_WRONG'],
    ['/users/x', 'Basic %%%', 'CREDENTIALS_WRONG'],
    ['/users/x', basic('ann:pass:word'), null],
    ['/users/x', basic('jörg:grün'), null],
  ] as const) {
    it(`${path} with ${authorization ?? 'no credentials'}: ${code ?? 'comes in'}`, async () => {
      for (const client of clients) {
        web.asked.length = 0
        const answer = await client.request({ path, headers: authorization === undefined ? {} : { authorization } })
        if (code === null) {
          assert.equal(answer.status, 200, client.name)
          assert.equal(web.asked[0]!.headers.authorization, undefined, 'the service never sees it')
          continue
        }
        const challenge = path === '/token/x' ? 'Bearer realm="models"' : 'Basic realm="people", charset="UTF-8"'
        assert.deepEqual([answer.status, answer.headers['www-authenticate'], codeOf(answer)], [401, challenge, code], client.name)
        assert.equal(web.asked.length, 0)
        const secret = authorization?.split(' ')[1]
        if (secret) assert.ok(!answer.body.includes(secret), 'nothing of the credentials is told back')
      }
    })
  }

  it('a route without auth passes Authorization on', async () => {
    for (const client of clients) {
      web.asked.length = 0
      await client.request({ path: '/open/x', headers: { authorization: 'Bearer mine' } })
      assert.equal(web.asked[0]!.headers.authorization, 'Bearer mine')
    }
  })

  it('gRPC: 16 as one HEADERS frame; the right token comes in and stays here', async () => {
    const ask = (more: Record<string, string>) =>
      clients[1]!.request({ path: '/grpc/a.B/C', headers: { ...GRPC, ...more }, body: Buffer.alloc(5) })
    for (const more of [{}, { authorization: 'Bearer no' }] as Record<string, string>[]) {
      const answer = await ask(more)
      assert.deepEqual([answer.status, answer.headers['grpc-status'], answer.headOnly, answer.body], [200, '16', true, ''])
    }
    assert.equal(model.asked.length, 0)
    assert.equal((await ask({ authorization: 'Bearer second' })).headers['grpc-status'], '0')
    assert.equal(model.asked[0]!.headers.authorization, undefined)
  })

  it('a new table takes a token away', async () => {
    const own = await startTestProxy([{ prefix: '/t/', auth: { kind: 'bearer', tokens: ['old'], realm: 'r' }, endpoints: [web.endpoint] }])
    for (const protocol of PROTOCOLS) {
      await own.setTable([{ prefix: '/t/', auth: { kind: 'bearer', tokens: ['old'], realm: 'r' }, endpoints: [web.endpoint] }])
      const client = protocol.open(own.port)
      const ask = async (token: string) => (await client.request({ path: '/t/x', headers: { authorization: `Bearer ${token}` } })).status
      assert.deepEqual([await ask('old'), await ask('new')], [200, 401])
      await own.setTable([{ prefix: '/t/', auth: { kind: 'bearer', tokens: ['new'], realm: 'r' }, endpoints: [web.endpoint] }])
      assert.deepEqual([await ask('old'), await ask('new')], [401, 200])
      client.close()
    }
    await own.stop()
  })
})

describe('what services are told about the client', () => {
  let web: NamedService
  before(async () => {
    web = await namedService('web')
  })
  after(() => web.close())

  const sent = { 'x-forwarded-for': '10.1.1.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'front.test', forwarded: 'for=10.2.2.2' }
  for (const [style, fors, forwarded] of [
    ['x-forwarded', '10.1.1.1, 127.0.0.1', undefined],
    ['forwarded', undefined, /^for=10\.2\.2\.2, .*for="?127\.0\.0\.1"?/],
    ['both', '10.1.1.1, 127.0.0.1', /^for=10\.2\.2\.2, .*for="?127\.0\.0\.1"?/],
  ] as const) {
    it(`${style}: the other form is taken off`, async () => {
      const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [web.endpoint] }], { forwarded: style, trustedHops: 1 })
      for (const protocol of PROTOCOLS) {
        const client = protocol.open(proxy.port)
        web.asked.length = 0
        await client.request({ path: '/w/x', headers: sent })
        client.close()
        const { headers } = web.asked[0]!
        assert.equal(headers['x-forwarded-for'], fors, protocol.name)
        if (forwarded === undefined) assert.equal(headers.forwarded, undefined)
        else assert.match(headers.forwarded as string, forwarded)
        const told = [headers['x-forwarded-proto'], headers['x-forwarded-host']]
        assert.deepEqual(told, style === 'forwarded' ? [undefined, undefined] : ['https', 'front.test'])
      }
      await proxy.stop()
    })
  }
})
