// The PROXY protocol in: the client's address comes from the header, and nobody gets in without one.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { rawExchange, statusOf } from './clients.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

/** For those that are let go after it; what must get through has the default: its bytes take the time that the machine takes. */
const SOON = { headerTimeoutMs: 300 }
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

  it('only senders on the list may introduce others', async () => {
    await proxy.settings({ proxyProtocolFrom: ['192.0.2.0/24'] })
    assert.equal(await rawExchange(proxy.port, `PROXY TCP4 192.0.2.7 10.0.0.1 8080 6006\r\n${REQUEST}`), '')
    await proxy.settings({ proxyProtocolFrom: ['127.0.0.0/8'] })
    assert.equal(statusOf(await rawExchange(proxy.port, `PROXY TCP4 192.0.2.7 10.0.0.1 8080 6006\r\n${REQUEST}`)), 200)
  })

  describe('and whoever does not speak it', () => {
    before(() => proxy.settings({ ...SOON, proxyProtocolFrom: [] }))
    for (const [title, bytes] of [
      ['a request without a header', Buffer.from(REQUEST)],
      ['a broken header', Buffer.from(`PROXY TCP4 nobody 10.0.0.1 1 2\r\n${REQUEST}`)],
      ['a header that never ends', Buffer.from('PROXY TCP4 192.0.2')],
    ] as const) {
      it(`${title} is let go without an answer`, async () => {
        assert.equal(await rawExchange(proxy.port, bytes), '')
      })
    }
  })
})

// Node reads here, not the wire: the header must end where the handshake begins, wherever packets do.
describe('the PROXY protocol in front of TLS', () => {
  const fixture = (name: string) => fileURLToPath(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url))
  const hello = Buffer.from([0x16, 3, 1])
  let origin: Origin
  let proxy: TestProxy
  const port = () => proxy.status().tls!.port

  before(async () => {
    origin = await http1Origin(({ headers }, response) =>
      response.end(JSON.stringify({ for: headers['x-forwarded-for'], proto: headers['x-forwarded-proto'] })),
    )
    proxy = await startTestProxy([{ prefix: '/a/', endpoints: [endpoint(origin.port)] }], {
      proxyProtocol: 'required',
      tls: { listen: { host: '127.0.0.1', port: 0 }, certificate: fixture('first.pem'), key: fixture('first.key.pem') },
    })
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })

  /** Sends the header in these pieces, the last of them in one packet with the client's hello, then asks. */
  async function ask(pieces: Buffer[]): Promise<string> {
    const socket = connect({ port: port(), host: '127.0.0.1', noDelay: true })
    for (const piece of pieces.slice(0, -1)) {
      socket.write(piece)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    socket.cork()
    socket.write(pieces.at(-1)!)
    const secure = tlsConnect({ socket, rejectUnauthorized: false })
    // Where the proxy has let it go before TLS takes it over nobody else says so.
    secure.setTimeout(15_000, () => secure.destroy(new Error('neither an answer nor an end')))
    setImmediate(() => socket.uncork())
    secure.write(REQUEST)
    let text = ''
    for await (const chunk of secure) text += chunk
    return text
  }

  for (const [title, header, address] of [
    ['version 1', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 8080 6007\r\n'), '192.0.2.7'],
    ['version 1, IPv6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 8080 6007\r\n'), '2001:db8::7'],
    ['version 2', V2_HEADER, '203.0.113.9'],
    ['a sender that speaks for itself', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
  ] as const) {
    for (const [cut, pieces] of [
      ['with the hello in one packet', [header]],
      ['byte by byte', Array.from(header, byte => Buffer.of(byte))],
      ['before the hello', [header, Buffer.alloc(0)]],
    ] as const) {
      it(`${title}, ${cut}: the service hears the client's address, and https`, async () => {
        const text = await ask([...pieces])
        assert.deepEqual(
          [statusOf(text), JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1))],
          [200, { for: address, proto: 'https' }],
        )
      })
    }
  }

  describe('and whoever does not speak it', () => {
    before(() => proxy.settings(SOON))
    for (const [title, bytes] of [
      ['a hello without a header', hello],
      ['a hello before the header', Buffer.concat([hello, V2_HEADER])],
      ['a broken header', Buffer.from('PROXY TCP4 nobody 10.0.0.1 1 2\r\n')],
      ['a header that never ends', Buffer.from('PROXY TCP4 192.0.2')],
      ['a header and no hello', V2_HEADER],
      ['a header and a request in plaintext', Buffer.concat([V2_HEADER, Buffer.from(REQUEST)])],
    ] as const) {
      it(`${title} gets no answer of HTTP, and is let go`, async () => {
        assert.doesNotMatch(await rawExchange(port(), bytes), /HTTP/)
      })
    }
  })
})
