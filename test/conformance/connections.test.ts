// How many connections there may be: through both doors together, from one client, before a word was said and after.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { ProxySpec } from '../../src/core/spec.js'
import { startTestProxy, type TestProxy, until } from './start-proxy.js'

const fixture = (name: string) => fileURLToPath(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url))
const TLS = { listen: { host: '127.0.0.1', port: 0 }, certificate: fixture('first.pem'), key: fixture('first.key.pem') }
const REQUEST = 'GET /health HTTP/1.1\r\nhost: a\r\n\r\n'

/** A connection through either door that has said nothing yet. */
class Caller {
  readonly socket: Socket
  heard = ''
  isClosed = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.listen(this.socket)
  }

  private listen(socket: Socket): void {
    socket.on('error', () => {})
    socket.on('data', bytes => {
      this.heard += bytes
    })
    socket.once('close', () => {
      this.isClosed = true
    })
  }

  /** Says hello in TLS, then asks. */
  askSecurely(header = ''): this {
    this.socket.removeAllListeners('data')
    if (header !== '') this.socket.write(header)
    const secure = tlsConnect({ socket: this.socket, rejectUnauthorized: false })
    this.listen(secure)
    secure.write(REQUEST)
    return this
  }

  ask(header = ''): this {
    this.socket.write(`${header}${REQUEST}`)
    return this
  }

  /** What has come of it, when it is certain. */
  async fate(): Promise<'served' | 'refused'> {
    await until(() => this.isClosed || this.heard !== '')
    return this.heard.startsWith('HTTP/1.1 200 ') ? 'served' : 'refused'
  }

  async leave(): Promise<void> {
    this.socket.destroy()
    if (!this.isClosed) await once(this.socket, 'close')
  }
}

const fates = (callers: Caller[]) => Promise.all(callers.map(caller => caller.fate()))
const served = async (callers: Caller[]) => (await fates(callers)).filter(fate => fate === 'served').length

describe('connections', () => {
  let proxy: TestProxy
  let callers: Caller[] = []
  const plain = () => proxy.port
  const secure = () => proxy.status().tls!.port
  const call = (port: number) => {
    const caller = new Caller(port)
    callers.push(caller)
    return caller
  }
  const many = (count: number, make: () => Caller) => Array.from({ length: count }, make)
  /** The worker hears of the end of a connection in its own time. */
  const servedAtLast = async (make: () => Caller) => {
    const end = performance.now() + 9000
    let last = make()
    while ((await last.fate()) === 'refused' && performance.now() < end) last = make()
    return last.fate()
  }
  const begin = async (change: Partial<ProxySpec>) => {
    await proxy.settings({ ...LIMITS, ...change })
  }
  const LIMITS: Partial<ProxySpec> = {
    tls: TLS,
    maxConnections: 1000,
    maxConnectionsPerClient: 0,
    headerTimeoutMs: 10_000,
    proxyProtocol: 'off',
    proxyProtocolFrom: [],
    drainMs: 100,
  }

  before(async () => {
    proxy = await startTestProxy([], LIMITS)
  })
  after(() => proxy.stop())
  const hangUp = async () => {
    await Promise.all(callers.map(caller => caller.leave()))
    callers = []
  }

  it('both doors together: max_connections are served, one more at either is closed without a byte, and one that leaves makes room', async () => {
    await begin({ maxConnections: 4 })
    const first = [...many(2, () => call(plain()).ask()), ...many(2, () => call(secure()).askSecurely())]
    assert.equal(await served(first), 4)
    const more = [call(plain()).ask(), call(secure()).askSecurely()]
    assert.deepEqual(await fates(more), ['refused', 'refused'])
    assert.deepEqual(
      more.map(({ heard }) => heard),
      ['', ''],
    )
    first.forEach(({ isClosed }) => {
      assert.equal(isClosed, false, 'the others do not notice')
    })
    await first[2]!.leave()
    assert.equal(await servedAtLast(() => call(plain()).ask()), 'served')
    assert.equal(await call(plain()).ask().fate(), 'refused')
    await first[0]!.leave()
    assert.equal(await servedAtLast(() => call(secure()).askSecurely()), 'served')
    assert.equal(await call(plain()).ask().fate(), 'refused')
    await until(() => proxy.messages.some(message => message.includes('there are 4 already')))
    await hangUp()
  })

  it('max_connections_per_client counts a TLS connection that says nothing; there is room when its time for the handshake is over', async () => {
    await begin({ maxConnectionsPerClient: 2, headerTimeoutMs: 2500 })
    const silent = many(5, () => call(secure()))
    await until(() => silent.filter(({ isClosed }) => isClosed).length === 3)
    assert.equal(await call(plain()).ask().fate(), 'refused', 'the plain door is of the same house')
    await until(() => silent.every(({ isClosed }) => isClosed))
    assert.equal(await served([call(plain()).ask(), call(secure()).askSecurely(), call(secure()).askSecurely()]), 2)
    await hangUp()
  })

  it('a handshake that dribbles in has no more time than one that does not come', async () => {
    await begin({ headerTimeoutMs: 500 })
    const caller = call(secure())
    const began = performance.now()
    const hello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
    let at = 0
    const dribble = setInterval(() => caller.socket.write(Buffer.of(hello[at++ % hello.length]!)), 50)
    await until(() => caller.isClosed)
    clearInterval(dribble)
    assert.ok(performance.now() - began < 9000)
    await hangUp()
  })

  for (const [door, ask] of [
    ['plain', (header: string) => call(plain()).ask(header)],
    ['TLS', (header: string) => call(secure()).askSecurely(header)],
  ] as const) {
    const port = () => (door === 'plain' ? plain() : secure())
    const from = (client: string) => ask(`PROXY TCP4 ${client} 10.0.0.1 8080 6006\r\n`)

    it(`${door} door, PROXY header: a sender that is named opens any number, each counts for the client that it names`, async () => {
      await begin({ maxConnectionsPerClient: 2, proxyProtocol: 'required', proxyProtocolFrom: ['127.0.0.0/8'] })
      many(5, () => call(port()))
      assert.equal(await served([from('192.0.2.1'), from('192.0.2.1'), from('192.0.2.2'), from('192.0.2.2')]), 4)
      assert.deepEqual(await fates([from('192.0.2.1'), from('192.0.2.2'), from('192.0.2.3')]), ['refused', 'refused', 'served'])
      await hangUp()
    })

    it(`${door} door, PROXY header: where nobody is named a sender counts itself until it has said for whom it comes`, async () => {
      await begin({ maxConnectionsPerClient: 2, proxyProtocol: 'required', proxyProtocolFrom: [] })
      const silent = many(5, () => call(port()))
      await until(() => silent.filter(({ isClosed }) => isClosed).length === 3)
      await hangUp()
      assert.equal(await servedAtLast(() => from('192.0.2.1')), 'served')
      // One after the other: each has left the sender's count when it is served.
      for (const client of ['192.0.2.1', '192.0.2.2', '192.0.2.2', '192.0.2.3'])
        assert.equal(await servedAtLast(() => from(client)), 'served')
      assert.equal(await from('192.0.2.2').fate(), 'refused')
      await hangUp()
    })
  }

  it('connections that wait for their PROXY header count as connections', async () => {
    const from = (client: string) => call(plain()).ask(`PROXY TCP4 ${client} 10.0.0.1 8080 6006\r\n`)
    await begin({ maxConnections: 3, proxyProtocol: 'required', proxyProtocolFrom: ['127.0.0.0/8'] })
    // The doors accept in no order of theirs.
    const silent = [...many(3, () => call(plain())), ...many(3, () => call(secure()))]
    const closed = () => silent.filter(({ isClosed }) => isClosed).length
    await until(() => closed() === 3)
    assert.equal(await from('192.0.2.1').fate(), 'refused')
    assert.equal(closed(), 3)
    await silent.find(({ isClosed }) => !isClosed)!.leave()
    assert.equal(await servedAtLast(() => from('192.0.2.1')), 'served')
    await hangUp()
  })
})
