// The wire over both of its carriers: the same events in the same order, whoever carries the bytes.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { missing } from '../../src/proxy/sockets.js'
import { Wire } from '../../src/proxy/wire.js'
import { until } from '../conformance/start-proxy.js'
import { WireDiary } from './wire-diary.js'

const servers = new Set<Server>()
const leftovers = new Set<{ destroy(): void }>()
after(() => {
  for (const server of servers) server.close()
  for (const left of leftovers) left.destroy()
})

class Diary extends WireDiary {
  constructor(wire: Wire) {
    super(wire)
    leftovers.add(wire)
  }
}

const CARRIERS = { socket: (socket: Socket) => Wire.accepted(socket), duplex: (socket: Socket) => Wire.over(socket, 'a') }

/** A wire, and the plain socket at its other end. */
async function pair(carry: (socket: Socket) => Wire): Promise<{ diary: Diary; peer: Socket }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
  servers.add(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const peer = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  peer.on('error', () => {})
  leftovers.add(peer)
  const [socket] = (await once(server, 'connection')) as [Socket]
  const diary = new Diary(carry(socket))
  diary.wire.resumeReading()
  return { diary, peer }
}

it('native/sockets.node is built: the tests below look at both carriers', () => assert.equal(missing, null))

for (const [name, carry] of Object.entries(CARRIERS)) {
  describe(`a wire over a ${name}`, () => {
    it('carries bytes both ways; each direction ends by itself', async () => {
      const { diary, peer } = await pair(carry)
      peer.write('hello')
      await until(() => diary.text === 'hello')
      diary.send('good')
      diary.send('bye')
      assert.equal(String((await once(peer, 'data'))[0]), 'goodbye', 'what one turn writes is one write')
      peer.end()
      await until(() => diary.events.length > 0)
      diary.send('still here')
      assert.equal(String((await once(peer, 'data'))[0]), 'still here')
      diary.wire.end()
      await once(peer, 'end')
      await until(() => diary.events.length === 2)
      assert.deepEqual(diary.events, ['ended', 'closed'])
      assert.ok(diary.wire.isGone)
    })

    it('ends its own direction first and hears the peer to its end', async () => {
      const { diary, peer } = await pair(carry)
      diary.send('all')
      diary.wire.end()
      peer.resume()
      await once(peer, 'end')
      peer.end('the rest')
      await until(() => diary.events.includes('closed'))
      assert.equal(diary.text, 'the rest')
      assert.deepEqual(diary.events, ['ended', 'closed'])
    })

    it('holds what the peer does not take, says so, and loses nothing of it', async () => {
      const { diary, peer } = await pair(carry)
      peer.pause()
      const block = 'x'.repeat(60_000)
      let sent = 0
      while (!diary.wire.isBlocked) {
        diary.send(block)
        sent += block.length
        diary.wire.flush()
      }
      assert.ok(diary.wire.pendingBytes > 256 * 1024, 'blocked is more than the high mark')
      // An end waits for its turn, too.
      diary.wire.end()
      let taken = 0
      peer.on('data', chunk => {
        taken += chunk.length
      })
      peer.resume()
      await once(peer, 'end')
      assert.equal(taken, sent)
      assert.equal(diary.wire.pendingBytes, 0)
    })

    it('tells when there is room again', async () => {
      const { diary, peer } = await pair(carry)
      peer.pause()
      while (!diary.wire.isBlocked) {
        diary.send('x'.repeat(60_000))
        diary.wire.flush()
      }
      assert.deepEqual(diary.events, [])
      peer.resume()
      await until(() => diary.events.length > 0)
      assert.deepEqual(diary.events, ['writable'])
      assert.equal(diary.wire.isBlocked, false)
      diary.wire.destroy()
    })

    it('reads nothing while it is paused, and everything afterwards', async () => {
      const { diary, peer } = await pair(carry)
      peer.write('first')
      await until(() => diary.text === 'first')
      diary.wire.pauseReading()
      peer.write('second')
      await new Promise(resolve => setTimeout(resolve, 50))
      assert.equal(diary.text, 'first')
      diary.wire.resumeReading()
      await until(() => diary.text === 'firstsecond')
      diary.wire.destroy()
    })

    it('says why it was lost, once, and never from within a call', async () => {
      const { diary, peer } = await pair(carry)
      peer.resetAndDestroy()
      await until(() => diary.events.length > 0)
      assert.deepEqual(diary.events, ['closed: read ECONNRESET'])
      const other = await pair(carry)
      other.diary.wire.destroy()
      other.diary.wire.destroy()
      assert.deepEqual(other.diary.events, [])
      await until(() => other.diary.events.length > 0)
      await until(() => other.peer.readableEnded)
      assert.deepEqual(other.diary.events, ['closed'])
    })

    it('resets: the peer cannot take what it has for complete', async () => {
      const { diary, peer } = await pair(carry)
      diary.send('a part of it')
      await once(peer, 'data')
      diary.wire.reset()
      const [error] = (await once(peer, 'error')) as [NodeJS.ErrnoException]
      assert.equal(error.code, 'ECONNRESET')
      await until(() => diary.events.includes('closed'))
    })

    it('is destroyed by what it receives, in the middle of a turn with others', async () => {
      const pairs = await Promise.all(Array.from({ length: 20 }, () => pair(carry)))
      // Whoever is first destroys all: events of the same turn that are for the others find nobody.
      for (const { diary } of pairs) diary.onReceived = () => pairs.forEach(other => void other.diary.wire.destroy())
      for (const { peer } of pairs) peer.write('x')
      await until(() => pairs.every(({ diary }) => diary.events.length === 1))
      assert.equal(pairs.filter(({ diary }) => diary.bytes > 0).length, 1)
    })
  })
}

describe('a wire that is being connected', () => {
  const listening = async (host?: string) => {
    const server = createServer()
    servers.add(server)
    server.listen(0, host)
    await once(server, 'listening')
    return { server, port: (server.address() as AddressInfo).port }
  }

  // By number it is connected by us, by name by Node.
  for (const host of ['127.0.0.1', '::1', 'localhost']) {
    it(`to ${host} sends what was written meanwhile, and an end behind it`, async () => {
      const { server, port } = await listening()
      let isConnected = false
      const wire = Wire.open({ host, port }, () => {
        isConnected = true
      })
      const diary = new Diary(wire)
      diary.send('early')
      diary.wire.end()
      const [peer] = (await once(server, 'connection')) as [Socket]
      assert.equal(String((await once(peer, 'data'))[0]), 'early')
      await until(() => diary.events.includes('closed'))
      assert.ok(isConnected)
    })

    it(`to ${host} says why there is none`, async () => {
      const { server, port } = await listening(host)
      await new Promise(resolve => server.close(resolve))
      const diary = new Diary(Wire.open({ host, port }, () => assert.fail('connected')))
      await until(() => diary.events.length > 0)
      assert.equal(diary.events.length, 1)
      if (host !== 'localhost') assert.equal(diary.events[0], `closed: connect ECONNREFUSED ${host}:${port}`)
    })
  }

  it('to a path says why there is none', async () => {
    for (const [path, name] of [
      ['/nowhere/at-all.sock', 'ENOENT'],
      [`/${'x'.repeat(108)}`, 'EINVAL'],
    ]) {
      const diary = new Diary(Wire.open({ socket: path! }, () => assert.fail('connected')))
      assert.deepEqual(diary.events, [], 'never from within the call')
      await until(() => diary.events.length > 0)
      assert.deepEqual(diary.events, [`closed: connect ${name} ${path}`])
    }
  })

  it('is given up before it is there', async () => {
    const diary = new Diary(Wire.open({ host: '127.0.0.1', port: 9 }, () => assert.fail('connected')))
    diary.wire.destroy()
    await until(() => diary.events.length > 0)
    assert.deepEqual(diary.events, ['closed'])
  })

  it('tells of room when what waited for the connection has left', async () => {
    const { server, port } = await listening()
    const diary = new Diary(Wire.open({ host: '127.0.0.1', port }, () => {}))
    for (let at = 0; at < 10; at++) {
      diary.send('x'.repeat(60_000))
      diary.wire.flush()
    }
    assert.ok(diary.wire.isBlocked)
    const [peer] = (await once(server, 'connection')) as [Socket]
    peer.on('error', () => {})
    peer.resume()
    await until(() => diary.events.length > 0)
    assert.deepEqual(diary.events, ['writable'])
    diary.wire.destroy()
  })

  it('may be given up as it is connected', async () => {
    const { port } = await listening()
    const wire = Wire.open({ host: '127.0.0.1', port }, () => wire.destroy())
    const diary = new Diary(wire)
    diary.send('never sent')
    await until(() => diary.events.length > 0)
    assert.deepEqual(diary.events, ['closed'])
  })
})
