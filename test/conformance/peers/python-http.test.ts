// A service on Python's http.server: HTTP/1.0 answers that end with their connection, and HTTP/1.1 in chunks with a trailer.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Client, PROTOCOLS } from '../clients.js'
import { missing } from '../external.js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { type Program, startProgram } from './program.js'

const PYTHON = '/usr/bin/python3'
const SCRIPT = fileURLToPath(new URL('../../../../test/conformance/peers/http_service.py', import.meta.url))

describe('a service on Python’s http.server', { skip: missing([PYTHON, '--version'], 'python3') }, () => {
  let service: Program
  let proxy: TestProxy
  before(async () => {
    service = await startProgram(PYTHON, port => [SCRIPT, String(port)])
    proxy = await startTestProxy([{ prefix: '/p/', endpoints: [endpoint(service.port)] }])
  })
  after(async () => {
    await proxy?.stop()
    await service?.stop()
  })

  for (const protocol of PROTOCOLS) {
    const withClient = async (act: (client: Client) => Promise<void>) => {
      const client = protocol.open(proxy.port)
      await act(client)
      client.close()
    }

    it(`${protocol.name}: an HTTP/1.0 answer that ends with its connection`, () =>
      withClient(async client => {
        const answer = await client.request({ path: '/p/old' })
        assert.equal(answer.status, 200)
        assert.deepEqual(JSON.parse(answer.body), { method: 'GET', path: '/old', bytes: 0, version: 'HTTP/1.1' })
        assert.equal(answer.headers['content-length'], undefined)
      }))

    it(`${protocol.name}: chunks, with the trailer for those who ask for it`, () =>
      withClient(async client => {
        const answer = await client.request({
          path: '/p/new',
          headers: { te: 'trailers', ...(protocol.name === 'http1' && { connection: 'te' }) },
        })
        assert.equal(JSON.parse(answer.body).path, '/new')
        assert.deepEqual(Object.entries(answer.trailers), [['x-sum', String(answer.body.length)]])
      }))

    it(`${protocol.name}: uploads with and without a length`, () =>
      withClient(async client => {
        const body = Buffer.alloc(300_000, 1)
        for (const path of ['/p/old', '/p/new']) {
          for (const headers of [{ 'content-length': String(body.length) }, { 'x-framing': 'chunked' }]) {
            assert.equal(JSON.parse((await client.request({ method: 'PUT', path, body, headers })).body).bytes, body.length)
          }
        }
      }))

    it(`${protocol.name}: HEAD has the fields and no body`, () =>
      withClient(async client => {
        for (const path of ['/p/new', '/p/old-head']) {
          const answer = await client.request({ method: 'HEAD', path })
          assert.deepEqual([answer.status, answer.body], [200, ''])
        }
      }))

    it(`${protocol.name}: 100 requests at once`, () =>
      withClient(async client => {
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, at) => client.request({ path: `/p/${at % 2 ? 'old' : 'new'}${at}` })),
        )
        for (const [at, answer] of answers.entries()) assert.equal(JSON.parse(answer.body).path, `/${at % 2 ? 'old' : 'new'}${at}`)
      }))
  }
})
