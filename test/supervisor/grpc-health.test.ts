// grpc.health.v1 over the wire: what Check and Watch find, and that a Watch leaves nothing open.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import * as grpc from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import { checkHealth, watchHealth } from '../../src/supervisor/grpc-health.js'

type Address = { host: string; port: number }
const never = new AbortController().signal

after(async () => {
  await until(() => sockets() === 0)
})

/** A service as most are: grpc.health.v1 by the library. */
async function healthy(t: TestContext) {
  const health = new HealthImplementation({ model: 'SERVING' })
  const server = new grpc.Server()
  health.addToServer(server as never)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  )
  t.after(() => server.forceShutdown())
  return { health, server, address: { host: '127.0.0.1', port } }
}

/** A service that does what a test wants, stream by stream. */
async function raw(t: TestContext, serve: (stream: ServerHttp2Stream, path: string) => void) {
  const sessions = new Set<ServerHttp2Session>()
  const server: Http2Server = createServer()
  server.on('session', session => {
    sessions.add(session)
    session.on('error', () => {}).once('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {}).resume()
    serve(stream, String(headers[':path']))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { sessions, address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } }
}

const message = (...bytes: number[]): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, bytes.length]), Buffer.from(bytes)])
const answer = (stream: ServerHttp2Stream, ...messages: Buffer[]): void => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
  for (const each of messages) stream.write(each)
}
const refuse = (stream: ServerHttp2Stream, status: number): void =>
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status }, { endStream: true })

/** A Watch, and what it was told. */
function watch(t: TestContext, address: Address, service = 'model') {
  const told: string[] = []
  const giveUp = new AbortController()
  t.after(() => giveUp.abort())
  const end = watchHealth(address, service, status => told.push(status), giveUp.signal)
  return { told, end, giveUp: () => giveUp.abort() }
}

async function until(holds: () => boolean, withinMs = 15_000): Promise<void> {
  const endMs = performance.now() + withinMs
  while (!holds()) {
    assert.ok(performance.now() < endMs, `not within ${withinMs} ms: ${holds}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

const sockets = (): number => process.getActiveResourcesInfo().filter(kind => kind === 'TCPSocketWrap').length

test('Watch tells the present status first, then each change', async t => {
  const { health, address } = await healthy(t)
  const { told } = watch(t, address)
  await until(() => told.length === 1)
  health.setStatus('model', 'NOT_SERVING')
  await until(() => told.length === 2)
  health.setStatus('model', 'SERVING')
  await until(() => told.length === 3)
  assert.deepEqual(told, ['SERVING', 'NOT_SERVING', 'SERVING'])
})

test('a service that is not known yet is told as such, and then as what it is', async t => {
  const { health, address } = await healthy(t)
  assert.equal(await checkHealth(address, 'late', 10_000), 'SERVICE_UNKNOWN')
  const { told } = watch(t, address, 'late')
  await until(() => told.length === 1)
  health.setStatus('late', 'SERVING')
  await until(() => told.length === 2)
  assert.deepEqual(told, ['SERVICE_UNKNOWN', 'SERVING'])
})

test('a status left out or never heard of is UNKNOWN, and no reason to end', async t => {
  const { address } = await raw(t, stream => answer(stream, message(), message(8), message(8, 77), message(16, 1), message(8, 1)))
  const { told } = watch(t, address)
  await until(() => told.length === 5)
  assert.deepEqual(told, ['UNKNOWN', 'UNKNOWN', 'UNKNOWN', 'UNKNOWN', 'SERVING'])
})

test('given up, the stream is cancelled and the connection closed; given up before it began, too', { timeout: 60_000 }, async t => {
  let cancelled = 0
  const { sessions, address } = await raw(t, stream => {
    stream.once('aborted', () => cancelled++)
    answer(stream, message(8, 1))
  })
  const { told, end, giveUp } = watch(t, address)
  await until(() => told.length === 1)
  giveUp()
  assert.equal(await end, 'lost')
  await until(() => cancelled === 1 && sessions.size === 0)
  assert.equal(await watchHealth(address, '', () => assert.fail(), AbortSignal.abort()), 'lost')
  await until(() => sessions.size === 0)
})

for (const [what, serve, expected] of [
  ['UNIMPLEMENTED', stream => refuse(stream, 12), 'unsupported'],
  ['HTTP 404', stream => stream.respond({ ':status': 404 }, { endStream: true }), 'unsupported'],
  ['UNAVAILABLE', stream => refuse(stream, 14), 'lost'],
  ['OK without a word', stream => refuse(stream, 0), 'lost'],
  ['a reset', stream => stream.close(2), 'lost'],
  ['the end of the connection', stream => stream.session?.destroy(), 'lost'],
  ['a message of 4 KiB', stream => answer(stream, Buffer.concat([Buffer.from([0, 0, 0, 16, 0]), Buffer.alloc(4096)])), 'lost'],
] as [string, (stream: ServerHttp2Stream) => void, string][]) {
  test(`a Watch that ends with ${what} is ${expected}, and leaves no connection`, { timeout: 60_000 }, async t => {
    const { sessions, address } = await raw(t, serve)
    const { told, end } = watch(t, address)
    assert.equal(await end, expected)
    assert.deepEqual(told, [])
    await until(() => sessions.size === 0)
  })
}

test('nobody on the port is a lost Watch', { timeout: 60_000 }, async t => {
  const { address, server } = await healthy(t)
  server.forceShutdown()
  assert.equal(await watch(t, address).end, 'lost')
})

// A graceful stop waits for the open calls: with a Watch held open it would last until SIGKILL.
test('a service that stops gracefully is not held up by the Watch', { timeout: 60_000 }, async t => {
  const { address, server } = await healthy(t)
  const { told, end } = watch(t, address)
  await until(() => told.length === 1)
  const began = performance.now()
  // With the Watch open it would never resolve.
  await new Promise(resolve => server.tryShutdown(resolve))
  assert.equal(await end, 'lost')
  assert.ok(performance.now() - began < 10_000, `${performance.now() - began} ms`)
})

// grpc-js goes through http_proxy unless it is told not to: services on this machine would have been asked of by way of a proxy.
test('http_proxy in the environment of the daemon is none of the probes', async t => {
  const { address } = await healthy(t)
  const before = { ...process.env }
  Object.assign(process.env, { http_proxy: 'http://127.0.0.1:9', no_proxy: '', no_grpc_proxy: '' })
  try {
    assert.equal(await checkHealth(address, 'model', 10_000), 'SERVING')
    const { told } = watch(t, address)
    await until(() => told.length === 1)
  } finally {
    for (const name of ['http_proxy', 'no_proxy', 'no_grpc_proxy']) delete process.env[name]
    Object.assign(process.env, before)
  }
})

test('200 Watches one after the other leave no connection and no listener behind', async t => {
  const { sessions, address } = await raw(t, stream => refuse(stream, 14))
  let listeners = 0
  const counted = new AbortController().signal
  const { addEventListener, removeEventListener } = counted
  counted.addEventListener = (...args: unknown[]) => {
    listeners++
    addEventListener.apply(counted, args as never)
  }
  counted.removeEventListener = (...args: unknown[]) => {
    listeners--
    removeEventListener.apply(counted, args as never)
  }
  for (let round = 0; round < 200; round++) await watchHealth(address, '', () => {}, counted)
  assert.equal(listeners, 0)
  await until(() => sessions.size === 0)
  await until(() => sockets() === 0)
})

test('a daemon without gRPC probes does not load grpc-js', async () => {
  const script = `
    import { createRequire } from 'node:module'
    import { createServer } from 'node:net'
    await import(${JSON.stringify(new URL('../../src/daemon.js', import.meta.url).href)})
    const { probeOnce } = await import(${JSON.stringify(new URL('../../src/supervisor/probe.js', import.meta.url).href)})
    const server = createServer(socket => socket.on('error', () => {}).end())
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = { host: '127.0.0.1', port: server.address().port }
    const look = kind => probeOnce({ target: { kind, service: '' }, timeoutMs: 10_000 }, { address }, new AbortController().signal)
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some(path => path.includes('/@grpc/'))
    const seen = [await look('tcp'), loaded()]
    await look('grpc')
    console.log(JSON.stringify([...seen, loaded()]))
    server.close()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 })
  assert.deepEqual(JSON.parse(stdout), ['pass', false, true])
})

test('never rejects: a host name nobody has', async () => {
  const result = await checkHealth({ host: 'no-such-host.invalid', port: 1 }, '', 2_000)
  assert.equal(typeof result, 'object')
  assert.equal(await watchHealth({ host: 'no-such-host.invalid', port: 1 }, '', () => {}, never), 'lost')
})
