// What a service is told about the client and what a client is told about the service.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { PROTOCOLS } from './clients.js'
import { http1Origin, http2Origin, type Origin, valuesOf } from './origins.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

describe('forwarded headers', () => {
  let web: Origin
  let model: Origin
  let proxy: TestProxy
  before(async () => {
    web = await http1Origin()
    model = await http2Origin((stream, raw) => {
      stream.respond({ ':status': 200 })
      stream.end(JSON.stringify({ fields: raw }))
    })
    proxy = await startTestProxy([
      { prefix: '/w/', endpoints: [endpoint(web.port)] },
      { prefix: '/m/', protocol: 'h2c', endpoints: [endpoint(model.port)] },
    ])
  })
  after(async () => {
    await proxy.stop()
    await web.close()
    await model.close()
  })

  for (const protocol of PROTOCOLS) {
    for (const prefix of ['/w/', '/m/']) {
      const ask = async (headers: Record<string, string | string[]>) => {
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path: `${prefix}x`, headers })
        client.close()
        const { fields } = JSON.parse(answer.body) as { fields: string[] }
        return { answer, value: (name: string) => valuesOf(fields, name) }
      }
      const where = `${protocol.name} to ${prefix === '/w/' ? 'http1' : 'h2c'}`

      it(`${where}: client address, protocol and host are told; the host itself is the client's`, async () => {
        const { value } = await ask({})
        const host = `127.0.0.1:${proxy.port}`
        assert.deepEqual(
          [value('x-forwarded-for'), value('x-forwarded-proto'), value('x-forwarded-host')],
          [['127.0.0.1'], ['http'], [host]],
        )
        assert.deepEqual(value(prefix === '/w/' ? 'host' : ':authority'), [host])
      })

      it(`${where}: an earlier proxy's words stay, the address is added`, async () => {
        const { value } = await ask({
          'x-forwarded-for': '10.0.0.1, 10.0.0.2',
          'x-forwarded-proto': 'https',
          'x-forwarded-host': 'example.org',
        })
        assert.deepEqual(
          [value('x-forwarded-for'), value('x-forwarded-proto'), value('x-forwarded-host')],
          [['10.0.0.1, 10.0.0.2, 127.0.0.1'], ['https'], ['example.org']],
        )
      })

      it(`${where}: x-request-id goes through, or is made, a new one each time`, async () => {
        assert.deepEqual((await ask({ 'x-request-id': 'mine-1' })).value('x-request-id'), ['mine-1'])
        const made = [(await ask({})).value('x-request-id'), (await ask({})).value('x-request-id')].flat()
        assert.equal(made.length, 2)
        assert.match(made[0]!, /^[0-9a-f-]{36}$/)
        assert.notEqual(made[0], made[1])
      })

      it(`${where}: authorization, cookies and unknown fields are nobody's business here`, async () => {
        const { value } = await ask({ authorization: 'Bearer x', cookie: 'a=1', 'x-own': ['1', '2'], traceparent: '00-a-b-01' })
        assert.deepEqual([value('authorization'), value('cookie'), value('traceparent')], [['Bearer x'], ['a=1'], ['00-a-b-01']])
        assert.equal(value('x-own').join(', '), '1, 2')
      })

      it(`${where}: te goes on only as trailers`, async () => {
        assert.deepEqual((await ask({ te: 'trailers' })).value('te'), ['trailers'])
        assert.deepEqual((await ask({})).value('te'), [])
      })
    }
  }
})
