// The control socket: who may open it, who may claim it, and what hostile requests get.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { serveControl } from '../../src/control/server.js'
import { shortSocketPath } from '../../src/control/socket-path.js'
import type { AppError } from '../../src/core/error.js'
import { FakeGuard, logFile, run, served, temporaryDirectory, until } from './fakes.js'

const RACER = fileURLToPath(new URL('./race-daemon.js', import.meta.url))

interface Reply {
  status: number
  body: { code?: string; message?: string; hint?: string } & Record<string, unknown>
}

function send(socketPath: string, method: string, path: string, body?: string, type = 'application/json'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }
    const outgoing = request({ socketPath, method, path, headers, agent: false }, async reply => {
      const parts: Buffer[] = []
      for await (const part of reply) parts.push(part as Buffer)
      resolve({ status: reply.statusCode!, body: JSON.parse(Buffer.concat(parts).toString()) })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

test('the socket is 0600 from its first moment, whatever the umask, and gone after close with nothing beside it', async t => {
  const umask = process.umask(0)
  t.after(() => process.umask(umask))
  const { socketPath, directory, server } = await served(t, new FakeGuard())
  assert.equal(statSync(socketPath).mode & 0o777, 0o600)
  assert.equal(process.umask(0), 0, 'the umask is as it was')
  assert.deepEqual(readdirSync(directory), ['guard.sock'])
  await server.close()
  assert.deepEqual(readdirSync(directory), [])
})

test('bad requests get {code, message, hint} and change nothing', async t => {
  const guard = new FakeGuard().running('web')
  const { socketPath } = await served(t, guard)
  const rows: [method: string, path: string, body: string | undefined, status: number, code: string, message: RegExp, type?: string][] = [
    ['POST', '/api/stop', '{"names":["web"]', 400, 'USAGE', /./],
    ['POST', '/api/stop', '', 400, 'USAGE', /./],
    ['POST', '/api/stop', '[]', 400, 'USAGE', /expected a JSON object/],
    ['POST', '/api/stop', 'null', 400, 'USAGE', /a name is missing/],
    ['POST', '/api/stop', undefined, 400, 'USAGE', /a name is missing/],
    ['POST', '/api/stop', '{"names":[1]}', 400, 'USAGE', /names: expected a list/],
    ['POST', '/api/stop', '{"names":["web"],"force":true}', 400, 'USAGE', /force/],
    ['POST', '/api/stop', '{"names":["web"],"wait":"maybe"}', 400, 'USAGE', /wait: /],
    ['POST', '/api/stop', '{"__proto__":{"names":["web"]}}', 400, 'USAGE', /./],
    ['POST', '/api/stop', JSON.stringify({ names: Array(1001).fill('web') }), 400, 'USAGE', /names: /],
    ['POST', '/api/stop', JSON.stringify({ names: ['x'.repeat(513)] }), 400, 'USAGE', /names: expected a list/],
    ['POST', '/api/stop', JSON.stringify({ names: ['x'.repeat(70_000)] }), 413, 'USAGE', /large/],
    ['POST', '/api/stop', 'names=web', 415, 'USAGE', /./, 'application/x-www-form-urlencoded'],
    ['POST', '/api/stop', '{"names":["web"]}', 415, 'USAGE', /./, 'text/plain'],
    ['GET', '/api/stop?names=web', undefined, 404, 'USAGE', /no such route: GET \/api\/stop$/],
    ['GET', '/api/../api/%73top', undefined, 404, 'USAGE', /no such route/],
    ['GET', '/%', undefined, 400, 'USAGE', /./],
    ['GET', '/', undefined, 404, 'USAGE', /no such route: GET \/$/],
    ['DELETE', '/api/status', undefined, 404, 'USAGE', /no such route/],
    ['GET', '/api/tail', undefined, 400, 'USAGE', /name: /],
    ['GET', '/api/tail?name=nope', undefined, 404, 'BAD_NAME', /no such process: nope/],
    ['GET', '/api/tail?name=web', undefined, 404, 'NO_FILE', /web has no stdout log/],
    ['GET', '/api/tail?name=web&bytes=-1', undefined, 400, 'USAGE', /bytes: /],
    ['GET', '/api/tail?name=web&bytes=1e9', undefined, 400, 'USAGE', /bytes: /],
    ['GET', '/api/tail?name=web&channel=../../etc/passwd', undefined, 400, 'USAGE', /channel: /],
    ['GET', '/api/logs?names=web&names=nope', undefined, 404, 'BAD_NAME', /no such process: nope/],
  ]
  for (const [method, path, body, status, code, message, type] of rows) {
    const reply = await send(socketPath, method, path, body, type)
    const about = `${method} ${path} ${(body ?? '').slice(0, 40)}`
    assert.equal(reply.status, status, about)
    assert.equal(reply.body.code, code, about)
    assert.match(reply.body.message!, message, about)
    assert.ok(reply.body.hint, about)
    assert.deepEqual(Object.keys(reply.body), ['code', 'message', 'hint'], about)
  }
  assert.deepEqual(guard.calls, [])
})

test('what is not HTTP at all is turned away, and the next caller served', async t => {
  const { socketPath } = await served(t, new FakeGuard().running('web'))
  for (const noise of ['\u0000\u0001\u0002\r\n\r\n', `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 'GET / HTTP/9.9\r\n\r\n']) {
    const socket = connect(socketPath)
    socket.on('error', () => undefined)
    socket.end(noise)
    socket.resume()
    await new Promise(resolve => socket.once('close', resolve))
  }
  const { status, body } = await send(socketPath, 'GET', '/api/status')
  assert.deepEqual([status, (body.instances as unknown[]).length], [200, 1])
})

test('a second daemon is refused while the first lives, and takes over what a dead one left', async t => {
  const { socketPath, server, directory } = await served(t, new FakeGuard())
  const again = serveControl(new FakeGuard(), { socketPath })
  await assert.rejects(again, (error: AppError) => error.code === 'DAEMON_ALREADY_RUNNING' && error.message.includes(socketPath))
  assert.equal((await send(socketPath, 'GET', '/api/version')).status, 200, 'the first is still served')
  assert.deepEqual(readdirSync(directory), ['guard.sock'])
  await server.close()
  await leaveStaleSocket(socketPath)
  const next = await serveControl(new FakeGuard(), { socketPath })
  assert.equal((await send(socketPath, 'GET', '/api/version')).status, 200)
  assert.deepEqual(readdirSync(directory), ['guard.sock'])
  await next.close()
})

// A process that dies without closing leaves exactly this: the name, and nobody behind it.
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(`${path}.dying`, resolve))
  renameSync(`${path}.dying`, path)
  await new Promise(resolve => server.close(resolve))
}

test('of many daemons that start at once over a stale socket exactly one wins', async t => {
  const directory = temporaryDirectory(t)
  for (let round = 0; round < 5; round++) {
    const socketPath = join(directory, `round${round}.sock`)
    await leaveStaleSocket(socketPath)
    const children = Array.from({ length: 3 }, () => spawn(process.execPath, [RACER, socketPath], { stdio: ['pipe', 'pipe', 'inherit'] }))
    const closed = children.map(child => new Promise(resolve => child.once('close', resolve)))
    const words = await Promise.all(
      children.map(child => new Promise<string>(resolve => child.stdout.once('data', data => resolve(String(data))))),
    )
    assert.deepEqual(words.toSorted(), ['DAEMON_ALREADY_RUNNING', 'DAEMON_ALREADY_RUNNING', 'serves'])
    assert.equal((await send(socketPath, 'GET', '/api/version')).status, 200)
    for (const child of children) child.stdin.end()
    await Promise.all(closed)
    assert.equal(existsSync(socketPath), false)
  }
})

test('a file at the socket’s place is left alone', async t => {
  const directory = temporaryDirectory(t)
  const rows: [name: string, make: (path: string) => void][] = [
    ['file', path => writeFileSync(path, 'precious')],
    ['directory', path => mkdirSync(path)],
    ['link', path => symlinkSync('/etc/passwd', path)],
  ]
  for (const [name, make] of rows) {
    const socketPath = join(directory, name)
    make(socketPath)
    await assert.rejects(serveControl(new FakeGuard(), { socketPath }), { code: 'SOCKET_FAILED' })
    assert.ok(existsSync(socketPath))
  }
  assert.deepEqual(readdirSync(directory).toSorted(), ['directory', 'file', 'link'])
  await assert.rejects(serveControl(new FakeGuard(), { socketPath: join(directory, 'absent', 'guard.sock') }), { code: 'SOCKET_FAILED' })
})

test('a run directory too long for a socket path works for the daemon and for guardctl', async t => {
  const directory = join(temporaryDirectory(t), 'a'.repeat(200), 'é'.repeat(60))
  mkdirSync(directory, { recursive: true })
  const socketPath = join(directory, 'guard.sock')
  const server = await serveControl(new FakeGuard(), { socketPath })
  t.after(() => server.close())
  assert.deepEqual(readdirSync(directory), ['guard.sock'])
  const short = shortSocketPath(socketPath)
  t.after(() => short.release())
  assert.equal((await send(short.path, 'GET', '/api/version')).status, 200)
  const ran = await run(['-s', `unix://${socketPath}`, 'version'])
  assert.deepEqual([ran.stdout, ran.exit], ['9.8.7\n', 0])
  await assert.rejects(serveControl(new FakeGuard(), { socketPath }), { code: 'DAEMON_ALREADY_RUNNING' })
  await server.close()
  assert.deepEqual(readdirSync(directory), [])
})

test('close ends followers at once and lets an answer on its way go out', async t => {
  const guard = new FakeGuard().running('web')
  const { socketPath, server, directory } = await served(t, guard)
  guard.instances[0]!.logs.stdout = logFile(directory, 'web.log', 'one\n')
  let finish: (() => void) | null = null
  guard.stop = async ids => {
    await new Promise<void>(resolve => {
      finish = resolve
    })
    return ids.map(id => ({ id, error: null }))
  }
  const answer = send(socketPath, 'POST', '/api/stop', '{"names":["web"]}')
  const followed = await new Promise<{ ended: Promise<unknown> }>(resolve => {
    request({ socketPath, path: '/api/tail?name=web&follow=yes', agent: false }, reply => {
      reply.resume()
      resolve({ ended: new Promise(done => reply.once('close', done)) })
    }).end()
  })
  await until(() => finish !== null, 'the stop is on its way')
  const closed = server.close()
  await followed.ended
  finish!()
  assert.equal((await answer).status, 200)
  await closed
  assert.equal(guard.listeners.size, 0)
})
