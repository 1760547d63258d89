// The programs of nghttp2: nghttp and h2load as clients, nghttpd as a service.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { PROTOCOLS } from '../clients.js'
import { missing } from '../external.js'
import { http1Origin, type Origin, rawOrigin } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { output, type Program, startProgram } from './program.js'

const noNghttp = missing(['nghttp', '--version'], 'nghttp2-client')
const noH2load = missing(['h2load', '--version'], 'nghttp2-client')
const noNghttpd = missing(['nghttpd', '--version'], 'nghttp2-server')

const PAGE = Buffer.alloc(300_000, 'page ')

describe('nghttp2’s programs', () => {
  let directory: string
  let web: Origin
  let raw: Origin
  let head = ''
  let nghttpd: Program | null = null
  let proxy: TestProxy
  let url: string
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'guard-nghttp-'))
    writeFileSync(join(directory, 'page'), PAGE)
    writeFileSync(join(directory, 'small'), 'small')
    web = await http1Origin()
    // node:http takes no head of this size.
    raw = await rawOrigin(socket => {
      head = ''
      socket.on('data', chunk => {
        head += chunk.toString('latin1')
        if (head.endsWith('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      })
    })
    if (noNghttpd === false)
      nghttpd = await startProgram('nghttpd', port => [
        '--no-tls',
        '-d',
        directory,
        '--trailer=x-sum: 7',
        '--echo-upload',
        '-b',
        '200',
        '-a',
        '127.0.0.1',
        String(port),
      ])
    proxy = await startTestProxy([
      { prefix: '/r/', endpoints: [endpoint(raw.port)] },
      { prefix: '/w/', endpoints: [endpoint(web.port)] },
      { prefix: '/n/', protocol: 'h2c', endpoints: nghttpd === null ? [] : [endpoint(nghttpd.port)] },
    ])
    url = `http://127.0.0.1:${proxy.port}`
  })
  after(async () => {
    await proxy.stop()
    await nghttpd?.stop()
    await web.close()
    await raw.close()
    rmSync(directory, { recursive: true })
  })

  it('nghttp: a head that needs CONTINUATION frames arrives whole', { skip: noNghttp }, async () => {
    const fields = ['a', 'b', 'c'].map(name => `-Hx-large-${name}: ${name.repeat(9000)}`)
    const told = await output('nghttp', ['-v', '--no-dep', ...fields, `${url}/r/x`])
    // It tells of HEADERS and its CONTINUATION frames as one.
    const [, bytes] = /send HEADERS frame <length=(\d+)/.exec(told)!
    assert.ok(Number(bytes) > 16_384, bytes)
    assert.ok(told.includes(':status: 200'))
    for (const name of ['a', 'b', 'c']) assert.ok(head.includes(`x-large-${name}: ${name.repeat(9000)}\r\n`), name)
  })

  it('nghttp: padded frames, ten of them at once', { skip: noNghttp }, async () => {
    const told = await output('nghttp', ['-nv', '-b', '200', '-m', '10', '-d', join(directory, 'page'), `${url}/w/x`])
    assert.equal(told.match(/:status: 200/g)?.length, 10)
    assert.equal(web.seen.at(-1)!.body.length, PAGE.length)
    assert.doesNotMatch(told, /recv RST_STREAM frame[^\n]*\n[^\n]*error_code=(?!NO_ERROR)/)
  })

  it('nghttp: trailers of a request arrive', { skip: noNghttp }, async () => {
    await output('nghttp', ['-n', '-d', join(directory, 'small'), '--no-content-length', '--trailer', 'x-check: 5', `${url}/w/x`])
    assert.deepEqual([web.seen.at(-1)!.body, web.seen.at(-1)!.trailers], ['small', ['x-check', '5']])
  })

  it('nghttp: its offer to upgrade from HTTP/1.1 is ignored', { skip: noNghttp }, async () => {
    const told = await output('nghttp', ['-nvu', `${url}/w/x`]).catch((error: { stdout: string }) => error.stdout)
    assert.match(told, /HTTP\/1\.1 200/)
  })

  it('nghttp: windows of the smallest size carry everything', { skip: noNghttp }, async () => {
    const told = await output('nghttp', ['-w', '10', '-W', '10', `${url}/n/page`])
    assert.equal(told.length, PAGE.length)
  })

  for (const protocol of PROTOCOLS) {
    it(`nghttpd behind the proxy, ${protocol.name}: padded answers, trailers, uploads, 404`, { skip: noNghttpd }, async () => {
      const client = protocol.open(proxy.port)
      const headers = { te: 'trailers', ...(protocol.name === 'http1' && { connection: 'te' }) }
      const page = await client.request({ path: '/n/page', headers })
      assert.deepEqual([page.status, page.body === PAGE.toString('latin1')], [200, true])
      const echoed = await client.request({ method: 'POST', path: '/n/x', body: PAGE, headers })
      assert.deepEqual([echoed.status, echoed.body.length], [200, PAGE.length])
      // nghttpd tells its lengths, and beside a length HTTP/1 has no room for trailers.
      const trailer = protocol.name === 'h2c' ? '7' : undefined
      assert.deepEqual([page.trailers['x-sum'], echoed.trailers['x-sum']], [trailer, trailer])
      assert.equal((await client.request({ path: '/n/nothing' })).status, 404)
      assert.equal((await client.request({ method: 'HEAD', path: '/n/small' })).body, '')
      client.close()
    })
  }

  for (const path of ['/w/x', '/n/small']) {
    it(`h2load 8×32 for a second to ${path}: none fails`, { skip: path === '/n/small' ? noH2load || noNghttpd : noH2load }, async () => {
      const told = await output('h2load', ['-D', '1', '-c', '8', '-m', '32', `${url}${path}`])
      assert.match(told, /, 0 failed, 0 errored, 0 timeout/)
      const [, succeeded, other] = /status codes: (\d+) 2xx, (\d+ 3xx, \d+ 4xx, \d+ 5xx)/.exec(told)!
      assert.ok(Number(succeeded) > 100, told)
      assert.equal(other, '0 3xx, 0 4xx, 0 5xx')
    })
  }
})
