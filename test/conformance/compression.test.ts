// Answers compressed for clients that take it: the same bytes after decompression, promptly in pieces, and never a complete-looking piece.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { brotliDecompressSync, createGunzip, gunzipSync } from 'node:zlib'
import { PROTOCOLS } from './clients.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

const TEXT = 'model output, line after line\n'.repeat(20_000)

describe('compression', () => {
  let origin: Origin
  let proxy: TestProxy
  let pending: ServerResponse | null = null

  before(async () => {
    origin = await http1Origin((incoming, response) => {
      response.setHeader('content-type', incoming.url === '/image' ? 'image/png' : 'text/plain')
      if (incoming.url === '/pieces' || incoming.url === '/broken') {
        response.write('first piece')
        pending = response
      } else {
        response.end(TEXT)
      }
    })
    const compression = { types: ['text/*'], minBytes: 256 }
    proxy = await startTestProxy(
      [
        { prefix: '/a/', compression: true, endpoints: [endpoint(origin.port)] },
        { prefix: '/plain/', endpoints: [endpoint(origin.port)] },
      ],
      { compression },
    )
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })

  for (const protocol of PROTOCOLS) {
    for (const [coding, open] of [
      ['gzip', gunzipSync],
      ['br', brotliDecompressSync],
    ] as const) {
      it(`${protocol.name}: ${coding} is the same text, much shorter`, async () => {
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path: '/a/text', headers: { 'accept-encoding': coding } })
        client.close()
        assert.deepEqual([answer.status, answer.headers['content-encoding'], answer.headers.vary], [200, coding, 'Accept-Encoding'])
        assert.equal(answer.headers['content-length'], undefined)
        const bytes = Buffer.from(answer.body, 'latin1')
        assert.ok(bytes.length < TEXT.length / 20, `${bytes.length} bytes`)
        assert.equal(open(bytes).toString(), TEXT)
      })
    }

    for (const [title, path, accept] of [
      ['a client that takes none', '/a/text', 'identity'],
      ['a type that is not on the list', '/a/image', 'gzip'],
      ['a route that does not compress', '/plain/text', 'gzip'],
    ] as const) {
      it(`${protocol.name}: ${title} gets the bytes as they are`, async () => {
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path, headers: { 'accept-encoding': accept } })
        client.close()
        assert.equal(answer.headers['content-encoding'], undefined)
        assert.equal(answer.body, TEXT)
      })
    }
  }

  const open = async (path: string): Promise<IncomingMessage> => {
    pending = null
    const asked = get({ host: '127.0.0.1', port: proxy.port, path, agent: false, headers: { 'accept-encoding': 'gzip' } })
    asked.on('error', () => {})
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    await until(() => pending !== null)
    return answer
  }

  it('a piece arrives while the rest is not there yet', async () => {
    const answer = await open('/a/pieces')
    const text = answer.pipe(createGunzip()).setEncoding('utf8')
    const [piece] = await once(text, 'data')
    assert.equal(piece, 'first piece')
    pending!.end(', second piece')
    const [rest] = await once(text, 'data')
    assert.equal(rest, ', second piece')
  })

  it('an answer that breaks off is reset, not ended', async () => {
    const answer = await open('/a/broken')
    answer.resume()
    pending!.socket!.destroy()
    const [error] = await once(answer, 'error')
    assert.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET')
  })
})
