// Which service gets a request and with what target, the same over HTTP/1.1 and h2c, to HTTP/1 services.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { PROTOCOLS, rawExchange, statusOf } from './clients.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

describe('routing', () => {
  let web: Origin
  let deep: Origin
  let proxy: TestProxy

  before(async () => {
    web = await http1Origin()
    deep = await http1Origin()
    proxy = await startTestProxy([
      { prefix: '/core-pipeline/', endpoints: [endpoint(web.port)] },
      { prefix: '/core-pipeline/deep/', endpoints: [endpoint(deep.port)] },
      { prefix: '/whole/', strip: false, endpoints: [endpoint(web.port)] },
    ])
  })
  after(async () => {
    await proxy.stop()
    await web.close()
    await deep.close()
  })

  const forwarded: [string, 'web' | 'deep', string][] = [
    ['/core-pipeline/', 'web', '/'],
    ['/core-pipeline/a?x', 'web', '/a?x'],
    ['/core-pipeline/?', 'web', '/?'],
    ['/core-pipeline//a', 'web', '//a'],
    ['/core-pipeline/a%2fb', 'web', '/a%2fb'],
    ['/core-pipeline/..;/', 'web', '/..;/'],
    ['/core-pipeline/a..b/...', 'web', '/a..b/...'],
    ['/core-pipeline/a?u=../b&v=%2e%2e/', 'web', '/a?u=../b&v=%2e%2e/'],
    ['/core-pipeline/deep', 'web', '/deep'],
    ['/core-pipeline/deep/x', 'deep', '/x'],
    ['/whole/a', 'web', '/whole/a'],
    ['/core-pipeline/%F0%9F%98%80', 'web', '/%F0%9F%98%80'],
  ]
  const refused: [string, number][] = [
    ['/core-pipeline', 404],
    ['/core-pipelineX/a', 404],
    ['/CORE-PIPELINE/a', 404],
    ['//core-pipeline//a', 404],
    ['/core%2dpipeline/a', 404],
    ['/', 404],
    ['/core-pipeline/../whole/a', 400],
    ['/core-pipeline/./a', 400],
    ['/core-pipeline/..', 400],
    ['/core-pipeline/%2e%2e/a', 400],
    ['/core-pipeline/.%2E/a', 400],
    ['/core-pipeline/..%2fwhole/a', 400],
    ['/core-pipeline/a%2f..%2fb', 400],
    ['/core-pipeline/a%5c..', 400],
    ['/core-pipeline/%00', 400],
    ['/core-pipeline/%zz', 400],
    ['/core-pipeline/a\\b', 400],
  ]

  for (const protocol of PROTOCOLS) {
    for (const [path, who, target] of forwarded) {
      it(`${protocol.name}: ${path} goes to ${who} as ${target}`, async () => {
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path })
        client.close()
        assert.equal(answer.status, 200, answer.body)
        assert.equal(JSON.parse(answer.body).target, target)
        const origin = who === 'web' ? web : deep
        assert.equal(origin.seen.at(-1)!.target, target)
      })
    }
    for (const [path, status] of refused) {
      it(`${protocol.name}: ${path} is ${status} and reaches nobody`, async () => {
        const before = web.seen.length + deep.seen.length
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path })
        client.close()
        assert.equal(answer.status, status)
        assert.equal(web.seen.length + deep.seen.length, before)
        const code = status === 404 ? 'ROUTE_UNKNOWN' : 'REQUEST_MALFORMED'
        assert.equal(JSON.parse(answer.body).error.code, code)
      })
    }
  }

  const raw: [string, string, number][] = [
    ['a fragment', 'GET /core-pipeline/a#b HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['raw UTF-8', 'GET /core-pipeline/\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['an absolute form of the same host', 'GET http://h/core-pipeline/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n', 200],
    ['an absolute form of another host', 'GET http://other/core-pipeline/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n', 400],
    ['CONNECT', 'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n', 405],
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n', 200],
  ]
  for (const [title, bytes, status] of raw) {
    it(`${title} in a request line is ${status}`, async () => {
      const text = await rawExchange(proxy.port, bytes, got => got.includes('\r\n\r\n'))
      assert.equal(statusOf(text), status, text)
    })
  }

  it('a new table takes effect for the next request, the old one for none', async () => {
    const own = await startTestProxy([{ prefix: '/a/', endpoints: [endpoint(web.port)] }])
    const client = PROTOCOLS[0]!.open(own.port)
    assert.equal((await client.request({ path: '/a/x' })).status, 200)
    await own.setTable([{ prefix: '/b/', endpoints: [endpoint(deep.port)] }])
    assert.equal((await client.request({ path: '/a/x' })).status, 404)
    assert.equal((await client.request({ path: '/b/x' })).status, 200)
    await own.stop()
  })

  it('a route / takes what no longer prefix takes', async () => {
    const own = await startTestProxy([
      { prefix: '/', endpoints: [endpoint(web.port)] },
      { prefix: '/b/', endpoints: [endpoint(deep.port)] },
    ])
    const client = PROTOCOLS[0]!.open(own.port)
    const before = web.seen.length
    for (const path of ['/', '/b', '/c/d']) assert.equal(JSON.parse((await client.request({ path })).body).target, path)
    assert.equal(web.seen.length, before + 3)
    await own.stop()
  })
})
