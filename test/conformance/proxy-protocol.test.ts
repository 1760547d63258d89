// The PROXY protocol in: the client's address comes from the header, and nobody gets in without one.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { rawExchange, statusOf } from './clients.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

const REQUEST = 'GET /a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const V2_HEADER = Buffer.concat([
  Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
  Buffer.from([0x21, 0x11, 0, 12, 203, 0, 113, 9, 10, 0, 0, 1, 0x1f, 0x90, 0x17, 0x76]),
])

describe('the PROXY protocol', () => {
  let origin: Origin
  let proxy: TestProxy
  const forwarded = (text: string) => /"for":"([^"]*)"/.exec(text)?.[1]

  before(async () => {
    origin = await http1Origin((incoming, response) => response.end(JSON.stringify({ for: incoming.headers['x-forwarded-for'] })))
    proxy = await startTestProxy([{ prefix: '/a/', endpoints: [endpoint(origin.port)] }], {
      proxyProtocol: 'required',
      headerTimeoutMs: 300,
    })
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })

  for (const [title, bytes, address] of [
    ['version 1', Buffer.from(`PROXY TCP4 192.0.2.7 10.0.0.1 8080 6006\r\n${REQUEST}`), '192.0.2.7'],
    ['version 2', Buffer.concat([V2_HEADER, Buffer.from(REQUEST)]), '203.0.113.9'],
    ['a sender that speaks for itself', Buffer.from(`PROXY UNKNOWN\r\n${REQUEST}`), '127.0.0.1'],
  ] as const) {
    it(`${title}: the service hears the client's address`, async () => {
      const text = await rawExchange(proxy.port, bytes)
      assert.deepEqual([statusOf(text), forwarded(text)], [200, address])
    })
  }

  for (const [title, bytes] of [
    ['a request without a header', Buffer.from(REQUEST)],
    ['a broken header', Buffer.from(`PROXY TCP4 nobody 10.0.0.1 1 2\r\n${REQUEST}`)],
    ['a header that never ends', Buffer.from('PROXY TCP4 192.0.2')],
  ] as const) {
    it(`${title} is let go without an answer`, async () => {
      assert.equal(await rawExchange(proxy.port, bytes), '')
    })
  }

  it('only senders on the list may introduce others', async () => {
    await proxy.settings({ proxyProtocolFrom: ['192.0.2.0/24'] })
    assert.equal(await rawExchange(proxy.port, `PROXY TCP4 192.0.2.7 10.0.0.1 8080 6006\r\n${REQUEST}`), '')
    await proxy.settings({ proxyProtocolFrom: ['127.0.0.0/8'] })
    assert.equal(statusOf(await rawExchange(proxy.port, `PROXY TCP4 192.0.2.7 10.0.0.1 8080 6006\r\n${REQUEST}`)), 200)
  })
})
