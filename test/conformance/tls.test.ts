// The TLS door: both protocols by ALPN, the plain door beside it, and certificates renewed under open connections.
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect as h2connect } from 'node:http2'
import { request } from 'node:https'
import { connect as netConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { h2cRequest, http1Request } from './clients.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

const fixtures = fileURLToPath(new URL('../../../test/fixtures/tls/', import.meta.url))
const CLIENT = { host: '127.0.0.1', rejectUnauthorized: false }

describe('the TLS door', () => {
  let directory: string
  let origin: Origin
  let proxy: TestProxy
  const spec = () => ({ listen: { host: '127.0.0.1', port: 0 }, certificate: join(directory, 'cert.pem'), key: join(directory, 'key.pem') })
  const port = () => proxy.status().tls!.port

  /** Two renames, as renewal tools do. */
  const install = (name: string) => {
    for (const [from, to] of [
      [`${name}.key.pem`, 'key.pem'],
      [`${name}.pem`, 'cert.pem'],
    ] as const) {
      copyFileSync(join(fixtures, from), join(directory, 'fresh'))
      renameSync(join(directory, 'fresh'), join(directory, to))
    }
  }

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'guard-tls-'))
    install('first')
    origin = await http1Origin((incoming, response) => {
      response.end(JSON.stringify({ path: incoming.url, proto: incoming.headers['x-forwarded-proto'] }))
    })
    proxy = await startTestProxy([{ prefix: '/a/', endpoints: [endpoint(origin.port)] }], { tls: spec() })
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const https = (options: ConnectionOptions & { agent?: false } = {}): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      const asked = request({ ...CLIENT, ...options, port: port(), path: '/a/x', agent: false }, answer => {
        let body = ''
        answer.on('data', chunk => {
          body += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode!, body }))
      })
      asked.on('error', reject)
      asked.end()
    })

  const greet = (options: ConnectionOptions = {}): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = tlsConnect({ ...CLIENT, ...options, port: port() }, () => resolve(socket))
      socket.on('error', reject)
    })

  it('HTTP/1.1 over TLS is served, and the service hears https', async () => {
    assert.deepEqual(await https(), { status: 200, body: '{"path":"/x","proto":"https"}' })
  })

  it('HTTP/2 is chosen by ALPN, and the service hears https', async () => {
    const session = h2connect(`https://127.0.0.1:${port()}`, { rejectUnauthorized: false })
    const answer = await h2cRequest(session, { path: '/a/y' })
    assert.deepEqual([answer.status, answer.body], [200, '{"path":"/y","proto":"https"}'])
    session.destroy()
  })

  it('the plain door stays plain', async () => {
    const answer = await http1Request(proxy.port, { path: '/a/z' })
    assert.equal(answer.body, '{"path":"/z","proto":"http"}')
  })

  it('TLS 1.1 and garbage are turned away, and others are served on', async () => {
    await assert.rejects(https({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }))
    const garbage = netConnect(port(), '127.0.0.1')
    garbage.write('GET /a/x HTTP/1.1\r\nHost: a\r\n\r\n')
    garbage.resume()
    await new Promise(resolve => garbage.on('close', resolve))
    assert.equal((await https()).status, 200)
  })

  it('a renewed certificate serves the next connection, and one that is open goes on', async () => {
    const open = await greet()
    assert.equal(open.getPeerCertificate().subject.CN, 'first.test')
    install('second')
    let name = ''
    const limit = performance.now() + 30_000
    while (name !== 'second.test') {
      assert.ok(performance.now() < limit, 'the certificate was not read again within 30 s')
      const fresh = await greet()
      name = fresh.getPeerCertificate().subject.CN as string
      fresh.destroy()
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    open.write('GET /a/old HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    let text = ''
    for await (const chunk of open) text += chunk
    assert.match(text, /"path":"\/old"/)
  })

  it('a broken renewal leaves the certificate in use, and says so once it is seen', async () => {
    writeFileSync(join(directory, 'cert.pem'), 'no certificate')
    await until(() => proxy.messages.some(message => /certificate stays as it was/.test(message)), 30_000)
    assert.equal((await https()).status, 200)
    install('second')
  })

  it('settings with a certificate that cannot be read are refused, and what served goes on', async () => {
    await assert.rejects(proxy.settings({ tls: { ...spec(), certificate: '/nowhere/cert.pem' } }), { code: 'TLS_UNREADABLE' })
    assert.equal((await https()).status, 200)
    assert.equal((await http1Request(proxy.port, { path: '/a/x' })).status, 200)
  })
})
