// WebSocket between all protocols: HTTP/1's upgrade and HTTP/2's Extended CONNECT (RFC 8441) on either side of the proxy.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { h2cTunneller, h2cTunnels, http1Tunneller, http1Tunnels, type TunnelClient, type TunnelService } from './tunnel-ends.js'

const MIB = 1 << 20

for (const [from, to] of [
  ['http1', 'http1'],
  ['h2c', 'http1'],
  ['http1', 'h2c'],
  ['h2c', 'h2c'],
] as const) {
  describe(`WebSocket, ${from} to ${to}`, () => {
    let service: TunnelService
    let proxy: TestProxy
    let client: TunnelClient
    before(async () => {
      service = await (to === 'h2c' ? h2cTunneller() : http1Tunneller())
      proxy = await startTestProxy([
        { prefix: '/w/', protocol: to, endpoints: [endpoint(service.port)], timeoutMs: 10_000, idleTimeoutMs: 20_000 },
      ])
      client = from === 'h2c' ? await h2cTunnels(proxy.port) : http1Tunnels(proxy.port)
    })
    after(async () => {
      client.close()
      await proxy.stop()
      await service.close()
    })

    it('text, binary, empty and megabyte messages come back as they were', async () => {
      const socket = await client.socket('/w/x')
      for (const message of ['text ☺', '', Buffer.from([0, 255, 1]), Buffer.alloc(MIB, 7)]) {
        const echo = once(socket, 'message')
        socket.send(message)
        const [data, isBinary] = await echo
        assert.equal(isBinary, Buffer.isBuffer(message))
        assert.ok(Buffer.from(message as Buffer).equals(data as Buffer))
      }
      socket.terminate()
    })

    it('the service is asked in its own words, and only in those', async () => {
      const socket = await client.socket('/w/x', ['chat.v2', 'chat.v1'])
      assert.equal(socket.protocol, 'chat.v2')
      const head = service.heads.at(-1)!
      assert.equal(head['sec-websocket-version'], '13')
      assert.equal(head['sec-websocket-protocol']?.toString().replaceAll(' ', ''), 'chat.v2,chat.v1')
      assert.equal(head['x-forwarded-for'], '127.0.0.1')
      if (to === 'h2c') {
        assert.deepEqual([head[':method'], head[':protocol'], head[':path']], ['CONNECT', 'websocket', '/x'])
        for (const name of ['sec-websocket-key', 'connection', 'upgrade', 'host']) assert.equal(head[name], undefined, name)
      } else {
        assert.deepEqual([head.connection?.toLowerCase(), head.upgrade], ['upgrade', 'websocket'])
        assert.equal(Buffer.from(String(head['sec-websocket-key']), 'base64').length, 16)
      }
      socket.terminate()
    })

    it('the client is answered in its own words: 101 with the proof, or 200 without', async () => {
      const { status, headers, stream } = await client.ask('/w/raw')
      const proof = headers['sec-websocket-accept']
      if (from === 'h2c') assert.deepEqual([status, proof, headers.upgrade, headers.connection], [200, undefined, undefined, undefined])
      else assert.deepEqual([status, proof, headers.upgrade], [101, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'websocket'])
      stream.destroy()
    })

    it('a close from either side arrives with its code', async () => {
      service.closes = []
      const mine = await client.socket('/w/x')
      mine.close(4000)
      await until(() => service.closes.includes(4000))
      const theirs = await client.socket('/w/x')
      const closed = once(theirs, 'close')
      service.closes = []
      theirs.send('close')
      theirs.pause()
      await new Promise(resolve => setTimeout(resolve, 50))
      assert.deepEqual(service.closes, [], 'the service waits for the answer to its close')
      theirs.resume()
      const [code, reason] = await closed
      assert.deepEqual([code, String(reason)], [4001, 'asked'])
    })

    it('a side that dies without a close is gone for the other: 1006', async () => {
      service.closes = []
      const mine = await client.socket('/w/x')
      mine.terminate()
      await until(() => service.closes.includes(1006))
      const theirs = await client.socket('/w/x')
      const closed = once(theirs, 'close')
      theirs.send('die')
      assert.equal((await closed)[0], 1006)
    })

    it('what the service sends right behind its answer arrives', async () => {
      service.accept = stream => stream.end('hello')
      const stream = await client.tunnel('/w/raw')
      stream.end()
      assert.equal(String(await readAll(stream)), 'hello')
    })

    it('each direction ends by itself: after the client’s end the service sends on', async () => {
      service.accept = async stream => {
        const size = (await readAll(stream)).length
        stream.write('you sent ')
        setTimeout(() => stream.end(String(size)), 50)
      }
      const stream = await client.tunnel('/w/raw')
      stream.write(Buffer.alloc(100_000, 1))
      stream.end(Buffer.alloc(1000, 2))
      assert.equal(String(await readAll(stream)), 'you sent 101000')
      await until(() => service.open() === 0)
    })

    it('each direction ends by itself: after the service’s end the client sends on', async () => {
      const heard = new Promise<string>(resolve => {
        service.accept = stream => {
          stream.end('goodbye')
          void readAll(stream).then(all => resolve(String(all)))
        }
      })
      const stream = await client.tunnel('/w/raw')
      assert.equal(String(await readAll(stream)), 'goodbye')
      stream.write('still ')
      setTimeout(() => stream.end('here'), 50)
      assert.equal(await heard, 'still here')
      await until(() => service.open() === 0)
    })

    it('a refusal is passed on as it is, body and all', async () => {
      const { status, headers, stream } = await client.ask('/w/refuse')
      assert.deepEqual([status, headers['x-why'], String(await readAll(stream as Duplex))], [403, 'no', 'not here'])
      stream.destroy()
    })

    it('no route and no service are told in HTTP', async () => {
      assert.equal((await client.ask('/nowhere')).status, 404)
    })

    it('200 tunnels at once echo, and are all gone when their clients are', async () => {
      const sockets = await Promise.all(Array.from({ length: 200 }, () => client.socket('/w/x')))
      await Promise.all(
        sockets.map(async (socket, at) => {
          const echo = once(socket, 'message')
          socket.send(String(at))
          assert.equal(String((await echo)[0]), String(at))
        }),
      )
      for (const socket of sockets) socket.terminate()
      await until(() => service.open() === 0)
    })

    it('8 MiB each way against readers that stand still: bounded memory, others pass by, and every byte comes in the end', async () => {
      const stalled: Duplex[] = []
      service.accept = stream => {
        stalled.push(stream.pause())
        stream.write(pattern)
      }
      const { pid } = proxy.status().workers[0]!
      const beforeBytes = residentBytes(pid)
      const streams = await Promise.all(Array.from({ length: 4 }, () => client.tunnel('/w/raw')))
      for (const stream of streams) stream.pause().write(pattern)
      await until(() => stalled.length === 4)
      const other = await client.socket('/w/x')
      for (let round = 0; round < 20; round++) {
        const echo = once(other, 'message')
        other.send(String(round))
        assert.equal(String((await echo)[0]), String(round))
      }
      const grownBytes = residentBytes(pid) - beforeBytes
      assert.ok(grownBytes < 24 * MIB, `the worker grew by ${grownBytes >> 20} MiB for 64 MiB on their way`)
      const digests = await Promise.all(
        [...streams, ...stalled].map(stream => {
          const all = readAll(stream)
          stream.end()
          return all.then(digestOf)
        }),
      )
      assert.deepEqual([...new Set(digests)], [digestOf(pattern)])
      other.terminate()
    })
  })
}

const pattern = Buffer.from(Uint32Array.from({ length: 2 * MIB }, (_, at) => Math.imul(at, 2654435761)).buffer)

function digestOf(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  // Not `for await`: that destroys the stream, and its other direction, when it is done.
  stream.on('data', chunk => chunks.push(chunk as Buffer)).resume()
  await once(stream, 'end')
  return Buffer.concat(chunks)
}

function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096
}
