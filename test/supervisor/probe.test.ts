// The four health checks against services that answer, refuse, stall and lie.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ProbeResult } from '../../src/core/readiness.js'
import type { ProbeTarget } from '../../src/core/spec.js'
import { probeOnce } from '../../src/supervisor/probe.js'
import { spec } from './fakes.js'

const never = new AbortController().signal

async function serve(t: TestContext, server: Server, host = '127.0.0.1'): Promise<{ host: string; port: number }> {
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  t.after(() => server.close())
  return { host, port: (server.address() as AddressInfo).port }
}

function ask(
  target: ProbeTarget,
  address: { host: string; port: number } | null,
  timeoutMs = 5_000,
  givenUp = never,
): Promise<ProbeResult> {
  const one = { ...spec('web'), address }
  one.run = { ...one.run, environment: { PATH: process.env.PATH ?? '' } }
  return probeOnce({ target, timeoutMs, intervalMs: 1_000, failures: 1 }, one, givenUp)
}

const exec = (script: string): ProbeTarget => ({ kind: 'exec', argv: ['/bin/sh', '-c', script], account: null })

test('tcp: a connection is enough; none is the reason', async t => {
  const server = createServer(socket => socket.on('error', () => undefined).end())
  const address = await serve(t, server)
  assert.equal(await ask({ kind: 'tcp' }, address), 'pass')
  await new Promise(resolve => server.close(resolve))
  assert.match(JSON.stringify(await ask({ kind: 'tcp' }, address)), /ECONNREFUSED/)
})

for (const [status, expected] of [
  [200, 'pass'],
  [302, 'pass'],
  [404, { fail: 'GET /x answered 404' }],
  [503, { fail: 'GET /x answered 503' }],
] as const) {
  test(`http: ${status}`, async t => {
    const server = createHttp((_request, response) => response.writeHead(status).end('body'))
    assert.deepEqual(await ask({ kind: 'http', path: '/x' }, await serve(t, server)), expected)
  })
}

test('http: a service that does not answer, hangs up, or switches to another protocol fails in time', async t => {
  const silent = createServer(socket => socket.on('error', () => undefined))
  t.after(() => silent.close())
  const address = await serve(t, silent)
  assert.deepEqual(await ask({ kind: 'http', path: '/x' }, address, 100), { fail: 'GET /x: no answer within 100 ms' })
  const rude = await serve(
    t,
    createServer(socket => socket.on('error', () => undefined).once('data', () => socket.end())),
  )
  assert.deepEqual(await ask({ kind: 'http', path: '/x' }, rude), { fail: 'socket hang up' })
  const switching = createServer(socket => {
    socket
      .on('error', () => undefined)
      .once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'))
  })
  assert.deepEqual(await ask({ kind: 'http', path: '/x' }, await serve(t, switching)), { fail: 'GET /x: closed without an answer' })
})

test('grpc: SERVING passes over IPv4 and IPv6, and the service name arrives whole, however long', async t => {
  for (const host of ['127.0.0.1', '::1']) {
    for (const service of ['', 'a.Service', 'x'.repeat(300)]) {
      const heard: Buffer[] = []
      const server = createHttp2()
      server.on('stream', stream => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.on('data', (chunk: Buffer) => heard.push(chunk))
        stream.on('end', () => stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1])))
      })
      assert.equal(await ask({ kind: 'grpc', service }, await serve(t, server, host)), 'SERVING', `${host} ${service.length}`)
      const message = Buffer.concat(heard)
      assert.ok(message.toString('latin1').endsWith(service))
      assert.equal(message.readUInt32BE(1), message.length - 5)
    }
  }
})

test('exec: the exit code decides', async () => {
  assert.equal(await ask(exec('exit 0'), null), 'pass')
  assert.deepEqual(await ask(exec('exit 3'), null), { fail: '/bin/sh: exit status 3' })
  assert.deepEqual(await ask(exec('kill -9 $$'), null), { fail: '/bin/sh: SIGKILL' })
  assert.deepEqual(await ask({ kind: 'exec', argv: ['./no-such'], account: null }, null), { fail: './no-such: ENOENT' })
})

test('exec: too late, or given up, is the end of the whole command', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'guard-probe-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const pidOf = (name: string): number => Number(readFileSync(join(dir, name), 'utf8'))
  assert.deepEqual(await ask(exec(`sleep 1000 & echo $! > ${dir}/late; wait`), null, 2000), { fail: '/bin/sh did not end within 2000 ms' })
  await gone(pidOf('late'))
  const giveUp = new AbortController()
  const asked = ask(exec(`sleep 1000 & echo $! > ${dir}/given.new; mv ${dir}/given.new ${dir}/given; wait`), null, 60_000, giveUp.signal)
  while (!existsSync(join(dir, 'given'))) await new Promise(resolve => setTimeout(resolve, 10))
  giveUp.abort()
  await asked
  await gone(pidOf('given'))
  assert.equal(await ask(exec(`sleep 1000 & echo $! > ${dir}/behind`), null), 'pass')
  await gone(pidOf('behind'))
})

/** Waits until a process is no more than an exit code. */
async function gone(pid: number): Promise<void> {
  for (let round = 0; round < 3000; round++) {
    try {
      if (/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) return
    } catch {
      return
    }
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`${pid} lives on`)
}

test('exec: the command runs as the program’s account', { skip: process.geteuid?.() !== 0 }, async () => {
  const target: ProbeTarget = {
    kind: 'exec',
    argv: ['/bin/sh', '-c', 'test "$(id -u):$(id -g)" = 65534:65534'],
    account: { uid: 65534, gid: 65534 },
  }
  assert.equal(await ask(target, null), 'pass')
})
