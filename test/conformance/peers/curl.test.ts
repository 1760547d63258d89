// curl as a client, in both protocols: what people try first.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missing } from '../external.js'
import { http1Origin, http2Origin, type Origin, readBody } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { output } from './program.js'

const FILE = Buffer.from(Uint32Array.from({ length: 1 << 18 }, (_, at) => Math.imul(at, 2654435761)).buffer)
const digest = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex')

const VERSIONS = [
  ['--http1.1', '1.1'],
  ['--http2-prior-knowledge', '2'],
] as const

describe('curl', { skip: missing(['curl', '--version'], 'curl') }, () => {
  let directory: string
  let web: Origin
  let h2: Origin
  let proxy: TestProxy
  let url: string
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'guard-curl-'))
    writeFileSync(join(directory, 'file'), FILE)
    web = await http1Origin(async (request, response) => {
      if (request.url === '/file') {
        const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
        const part = range === null ? FILE : FILE.subarray(Number(range[1]), Number(range[2]) + 1)
        response.writeHead(range === null ? 200 : 206, { 'content-length': part.length, 'accept-ranges': 'bytes' })
        response.end(request.method === 'HEAD' ? undefined : part)
      } else if (request.url === '/trailers') {
        response.writeHead(200, { trailer: 'x-sum' })
        response.write('body')
        response.addTrailers({ 'x-sum': '4' })
        response.end()
      } else {
        const body = await readBody(request)
        const { upgrade, expect, 'http2-settings': settings } = request.headers
        response.end(JSON.stringify({ digest: digest(Buffer.from(body, 'latin1')), upgrade, expect, settings }))
      }
    })
    h2 = await http2Origin(stream => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '4' }))
      stream.end('body')
    })
    proxy = await startTestProxy([
      { prefix: '/w/', endpoints: [endpoint(web.port)] },
      { prefix: '/h/', protocol: 'h2c', endpoints: [endpoint(h2.port)] },
    ])
    url = `http://127.0.0.1:${proxy.port}`
  })
  after(async () => {
    await proxy.stop()
    await web.close()
    await h2.close()
    rmSync(directory, { recursive: true })
  })
  const curl = (...argv: string[]) => output('curl', ['-sS', '--max-time', '60', ...argv])
  const path = (name: string) => join(directory, name)

  for (const [flag, version] of VERSIONS) {
    it(`${flag}: a download is what it was`, async () => {
      assert.equal(await curl(flag, '-o', path('got'), '-w', '%{http_version} %{http_code}', `${url}/w/file`), `${version} 200`)
      assert.equal(digest(readFileSync(path('got'))), digest(FILE))
    })

    it(`${flag}: HEAD, with the length and no body`, async () => {
      const head = await curl(flag, '-I', `${url}/w/file`)
      assert.match(head, new RegExp(`^HTTP/${version} 200`))
      assert.match(head, new RegExp(`^content-length: ${FILE.length}\\r$`, 'im'))
    })

    it(`${flag}: a range is 206 and those bytes`, async () => {
      assert.equal(await curl(flag, '-r', '1000-1999', '-o', path('part'), '-w', '%{http_code}', `${url}/w/file`), '206')
      assert.ok(readFileSync(path('part')).equals(FILE.subarray(1000, 2000)))
    })

    it(`${flag}: an upload with Expect: 100-continue gets its 100 and arrives whole`, async () => {
      const told = await curl(flag, '-v', '--stderr', path('log'), '-H', 'Expect: 100-continue', '-T', path('file'), `${url}/w/put`)
      assert.equal(JSON.parse(told).digest, digest(FILE))
      if (version === '1.1') assert.match(readFileSync(path('log'), 'utf8'), /^< HTTP\/1\.1 100/m)
    })

    it(`${flag}: an upload of unknown length arrives whole`, async () => {
      const chunked = await curl(flag, '-H', 'Transfer-Encoding: chunked', '--data-binary', `@${path('file')}`, `${url}/w/put`)
      assert.equal(JSON.parse(chunked).digest, digest(FILE))
    })

    for (const [prefix, service] of [
      ['w', 'HTTP/1'],
      ['h', 'HTTP/2'],
    ]) {
      it(`${flag}: trailers of an ${service} service`, async () => {
        const asked = version === '2' ? [] : ['-H', 'TE: trailers', '-H', 'Connection: TE']
        await curl(flag, ...asked, '-D', path('head'), '-o', path('body'), `${url}/${prefix}/trailers`)
        assert.equal(readFileSync(path('body'), 'utf8'), 'body')
        assert.match(readFileSync(path('head'), 'utf8'), /^x-sum: 4\r$/m)
      })
    }
  }

  // curl 7.88 loses its second request over a kept HTTP/2 connection, with nghttpd itself, too (exit code 16).
  it('--http1.1: two requests share a connection', async () => {
    const told = await curl('--http1.1', '-o', '/dev/null', '-o', '/dev/null', '-w', '%{num_connects} ', `${url}/w/file`, `${url}/w/file`)
    assert.equal(told, '1 0 ')
  })

  it('--http2: the offer to upgrade is ignored and goes no further', async () => {
    const told = await curl('--http2', '-w', '\n%{http_version} %{http_code}', `${url}/w/x`)
    const [body, status] = told.split('\n')
    assert.equal(status, '1.1 200')
    const { upgrade, settings } = JSON.parse(body!)
    assert.deepEqual([upgrade, settings], [undefined, undefined])
  })
})
