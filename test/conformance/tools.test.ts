// Clients of other makers: curl in both protocols, nghttp and h2load.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { missing } from './external.js'
import { echoServer } from './grpc-echo.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

const run = promisify(execFile)
const noCurl = missing(['curl', '--version'], 'curl')
const noNghttp = missing(['nghttp', '--version'], 'nghttp2-client')
const noH2load = missing(['h2load', '--version'], 'nghttp2-client')

describe('other clients', () => {
  let web: Origin
  let model: Awaited<ReturnType<typeof echoServer>>
  let proxy: TestProxy
  let url: string
  before(async () => {
    web = await http1Origin()
    model = await echoServer()
    proxy = await startTestProxy([
      { prefix: '/w/', endpoints: [endpoint(web.port)] },
      { prefix: '/e/', protocol: 'h2c', endpoints: [endpoint(model.port)] },
    ])
    url = `http://127.0.0.1:${proxy.port}`
  })
  after(async () => {
    await proxy.stop()
    await web.close()
    model.stop()
  })
  const curl = async (...argv: string[]) => {
    const { stdout } = await run('curl', ['-sS', '--max-time', '60', '-w', '\n%{http_version} %{http_code}', ...argv])
    const at = stdout.lastIndexOf('\n')
    return { body: stdout.slice(0, at), told: stdout.slice(at + 1) }
  }

  for (const [flag, version] of [
    ['--http1.1', '1.1'],
    ['--http2-prior-knowledge', '2'],
    // curl offers Upgrade: h2c; the proxy answers in HTTP/1.1, as it may.
    ['--http2', '1.1'],
    ['--http1.0', '1.1'],
  ] as const) {
    it(`curl ${flag}: GET and an upload`, { skip: noCurl }, async () => {
      const got = await curl(flag, `${url}/w/a?b`)
      assert.equal(got.told, `${version} 200`)
      assert.equal(JSON.parse(got.body).target, '/a?b')
      if (flag === '--http2') return
      const posted = await curl(flag, '-d', 'x'.repeat(100_000), `${url}/w/a`)
      assert.equal(JSON.parse(posted.body).body.length, 100_000)
    })
    it(`curl ${flag}: 404 for an unknown prefix, 200 for both healths`, { skip: noCurl }, async () => {
      assert.equal((await curl(flag, `${url}/nowhere`)).told, `${version} 404`)
      assert.equal((await curl(flag, `${url}/health`)).told, `${version} 200`)
      assert.equal((await curl(flag, `${url}/e/health`)).told, `${version} 200`)
    })
  }

  it('curl --path-as-is: a dot segment is 400', { skip: noCurl }, async () => {
    assert.equal((await curl('--path-as-is', `${url}/w/../e/x`)).told, '1.1 400')
  })

  it('curl with Expect: 100-continue', { skip: noCurl }, async () => {
    const got = await curl('-H', 'Expect: 100-continue', '-d', 'hello', `${url}/w/a`)
    assert.equal(JSON.parse(got.body).body, 'hello')
  })

  it('nghttp: ten requests on one connection', { skip: noNghttp }, async () => {
    const { stdout } = await run('nghttp', ['-nv', '-m', '10', `${url}/w/a`])
    assert.equal(stdout.match(/:status: 200/g)?.length, 10)
    assert.doesNotMatch(stdout, /RST_STREAM|error_code=[A-Z_]*ERROR(?<!NO_ERROR)/)
  })

  for (const path of ['/w/a', '/e/health']) {
    it(`h2load: 2000 requests to ${path} over 4 connections, none fails`, { skip: noH2load }, async () => {
      const { stdout } = await run('h2load', ['-n', '2000', '-c', '4', '-m', '16', `${url}${path}`])
      assert.match(stdout, /2000 succeeded, 0 failed, 0 errored, 0 timeout/)
      assert.match(stdout, /status codes: 2000 2xx/)
    })
  }
})
