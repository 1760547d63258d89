// One line per request in the access log, in batches, through rotations and removed files, without a line lost.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect as netConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { h2cClient, http1Request, rawExchange } from './clients.js'
import { echoClient, echoServer, unary } from './grpc-echo.js'
import { logLines } from './log-lines.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, until } from './start-proxy.js'

describe('access log', () => {
  let directory: string
  let path: string
  let origin: Origin
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'guard-log-'))
    origin = await http1Origin((request, response) => {
      if (request.url === '/never') return
      response.end('answer')
    })
  })
  after(async () => {
    await origin.close()
    rmSync(directory, { recursive: true })
  })
  let number = 0
  const start = (change: { format?: 'combined' | 'json'; maxBytes?: number; backups?: number; workers?: number } = {}) => {
    path = join(directory, `${++number}`, 'access.log')
    const { workers = 1, ...log } = change
    return startTestProxy([{ prefix: '/w/', upstream: 'web', endpoints: [endpoint(origin.port, { id: 'web_00' })] }], {
      workers,
      accessLog: { path, format: 'json', maxBytes: 0, backups: 3, ...log },
    })
  }
  const lines = (file = path) => logLines(file)
  const entries = () => lines().map(line => JSON.parse(line))

  it('combined is what every log tool reads, and nothing a client sends can break the line', async () => {
    const proxy = await start({ format: 'combined' })
    const headers = 'Host: h\r\nReferer: http://r/"x\r\nUser-Agent: a\\b "c"\xff\r\nConnection: close\r\n'
    await rawExchange(proxy.port, `GET /w/a?b="c" HTTP/1.1\r\n${headers}\r\n`)
    await proxy.stop()
    const [line, ...more] = lines()
    assert.deepEqual(more, [])
    const form =
      /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/w\/a\?b=\\x22c\\x22 HTTP\/1\.1" 200 6 "http:\/\/r\/\\x22x" "a\\x5cb \\x22c\\x22\\xff" id=\S+ route=\/w\/ endpoint=web_00 bytes_in=0 duration_ms=\d+\.\d{3} head_ms=\d+\.\d{3} attempts=1 retries=0 end=ok$/
    assert.match(line!, form)
  })

  it('JSON has route, endpoint, bytes, time, attempts and the end', async () => {
    const proxy = await start()
    await http1Request(proxy.port, { path: '/w/x', body: 'hello', headers: { 'x-request-id': 'id-1', 'user-agent': 'ua' } })
    await http1Request(proxy.port, { path: '/nowhere' })
    await proxy.stop()
    const [served, refused] = entries()
    const { time, duration_ms, head_ms, authority, ...rest } = served
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 10_000)
    assert.ok(0 < head_ms && head_ms <= duration_ms && duration_ms < 5000)
    assert.equal(authority, `127.0.0.1:${proxy.port}`)
    assert.deepEqual(rest, {
      id: 'id-1',
      client: '127.0.0.1',
      protocol: 'HTTP/1.1',
      method: 'POST',
      target: '/w/x',
      status: 200,
      bytes_in: 5,
      bytes_out: 6,
      route: '/w/',
      upstream: 'web',
      upstream_protocol: 'http1',
      endpoint: 'web_00',
      attempts: 1,
      retries: 0,
      end: 'ok',
      user_agent: 'ua',
    })
    assert.deepEqual([refused.status, refused.end, refused.upstream, refused.attempts], [404, 'ROUTE_UNKNOWN', '', 0])
  })

  it('a gRPC call has its status, a refused one the reason', async () => {
    const model = await echoServer()
    const proxy = await start()
    await proxy.setTable([
      { prefix: '/e/', protocol: 'h2c', upstream: 'model', endpoints: [endpoint(model.port)] },
      { prefix: '/none/', protocol: 'h2c', upstream: 'none' },
    ])
    for (const prefix of ['/e/', '/none/']) {
      const client = echoClient(proxy.port, prefix)
      await unary(client, 'fail', Buffer.from([9]))
      client.close()
    }
    await proxy.stop()
    model.stop()
    const got = entries().map(({ target, status, grpc_status, end }) => [target, status, grpc_status, end])
    assert.deepEqual(got, [
      ['/e/test.Echo/Fail', 200, 9, 'ok'],
      ['/none/test.Echo/Fail', 200, 14, 'UPSTREAM_NONE_READY'],
    ])
  })

  it('a client that leaves is 499 client_gone', async () => {
    const proxy = await start()
    const known = origin.accepted()
    const socket = netConnect(proxy.port, '127.0.0.1')
    socket.write('GET /w/never HTTP/1.1\r\nHost: h\r\n\r\n')
    // Connections of the tests before may still be open.
    await until(() => origin.accepted() > known)
    socket.destroy()
    await until(() => lines().length === 1)
    assert.deepEqual([entries()[0].status, entries()[0].end], [499, 'client_gone'])
    await proxy.stop()
  })

  for (const workers of [1, 2]) {
    it(`${workers} workers, 1000 requests, rotation at 20 kB: every line is there once and whole`, async () => {
      const proxy = await start({ maxBytes: 20_000, backups: 100, workers })
      const clients = Array.from({ length: 4 }, () => h2cClient(proxy.port))
      for (let round = 0; round < 10; round++) {
        await Promise.all(Array.from({ length: 100 }, (_, at) => clients[at % 4]!.request({ path: `/w/${round * 100 + at}` })))
        await new Promise(resolve => setTimeout(resolve, 10))
      }
      for (const client of clients) client.close()
      await proxy.stop()
      const files = readdirSync(join(path, '..'))
      assert.ok(files.length > 3, files.join(' '))
      const targets = files.flatMap(file => lines(join(path, '..', file))).map(line => JSON.parse(line).target)
      assert.equal(targets.length, 1000)
      assert.equal(new Set(targets).size, 1000)
    })
  }

  it('a file that was renamed goes on under its old name after reopen', async () => {
    const proxy = await start()
    await http1Request(proxy.port, { path: '/w/1' })
    await until(() => lines().length === 1)
    renameSync(path, `${path}.moved`)
    proxy.reopenLogs()
    await until(() => existsSync(path))
    await http1Request(proxy.port, { path: '/w/2' })
    await proxy.stop()
    assert.deepEqual([lines(`${path}.moved`).length, lines().length], [1, 1])
  })

  it('a removed file is made again within seconds, without anybody saying so', async () => {
    const proxy = await start()
    await http1Request(proxy.port, { path: '/w/1' })
    await until(() => lines().length === 1)
    rmSync(path)
    let asked = 0
    let waiting = false
    await until(() => {
      if (!waiting) {
        waiting = true
        void http1Request(proxy.port, { path: `/w/again${asked++}` }).finally(() => {
          setTimeout(() => {
            waiting = false
          }, 100)
        })
      }
      return lines().length > 0
    })
    await proxy.stop()
  })

  it('a log that cannot be opened costs no request, and is told', async () => {
    const file = join(directory, 'file')
    writeFileSync(file, '')
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }], {
      accessLog: { path: join(file, 'access.log'), format: 'json', maxBytes: 0, backups: 3 },
    })
    assert.equal((await http1Request(proxy.port, { path: '/w/1' })).status, 200)
    await until(() => proxy.messages.some(message => message.includes(`access log ${file}/access.log`)))
    assert.equal((await http1Request(proxy.port, { path: '/w/1' })).status, 200)
    await proxy.stop()
  })
})
