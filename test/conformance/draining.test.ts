// Workers come and go: nothing in flight is cut, no connection is refused, and nothing is left behind.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startProxy } from '../../src/proxy/workers.js'
import { h2cRequest, http1Request } from './clients.js'
import { echoClient, echoServer, unary } from './grpc-echo.js'
import { closedPort, http1Origin, readBody } from './origins.js'
import { endLater, endpoint, SETTINGS, startTestProxy, type TestProxy, type TestRoute, until } from './start-proxy.js'

/** Requests that have reached a slow origin. */
let begun = 0

const slowOrigin = () =>
  http1Origin((request, response) => {
    begun++
    const ms = Number(new URL(request.url!, 'http://x').searchParams.get('ms') ?? 0)
    const timer = setTimeout(() => response.end(String(ms)), ms)
    response.on('close', () => clearTimeout(timer))
  })

interface SteadyLoad {
  /** Have there been so many, or is it over because one has failed? */
  hasDone(count: number): boolean
  stop(): Promise<void>
}

/** Requests one after the other until told to stop; every one must succeed. */
function steadyLoad(ask: () => Promise<void>): SteadyLoad {
  let stopped = false
  let count = 0
  let failed: unknown
  const running = (async () => {
    while (!stopped) {
      await ask()
      count++
    }
  })().catch(error => {
    failed = error
  })
  return {
    hasDone: wanted => count >= wanted || failed !== undefined,
    stop: async () => {
      stopped = true
      await running
      assert.ifError(failed)
    },
  }
}

const alive = (pid: number) => existsSync(`/proc/${pid}`)

describe('a new generation of workers', () => {
  it('new settings under load: no request fails over HTTP/1 with and without keep-alive, nor over gRPC', async () => {
    const web = await slowOrigin()
    const model = await echoServer()
    const proxy = await startTestProxy([
      { prefix: '/w/', endpoints: [endpoint(web.port)] },
      { prefix: '/e/', protocol: 'h2c', endpoints: [endpoint(model.port)] },
    ])
    const agent = new Agent({ keepAlive: true })
    // node:http2 as a client drops a request that it has not yet written when a GOAWAY comes, and calls it refused.
    const client = echoClient(proxy.port, '/e/', 'transparent')
    const loads = [
      steadyLoad(async () => assert.equal((await http1Request(proxy.port, { path: '/w/x?ms=5' })).status, 200)),
      steadyLoad(() => keptRequest(proxy, agent)),
      steadyLoad(async () => {
        const result = await unary(client, 'unary', Buffer.from('x'))
        assert.equal(result.code, 0, result.details)
      }),
    ]
    const first = proxy.status().workers[0]!.pid
    for (let change = 1; change <= 3; change++) {
      await proxy.settings({ idleTimeoutMs: 50_000 + change })
      await new Promise(resolve => setTimeout(resolve, 300))
      // How many these are in a given time is the machine's business.
      await until(() => loads.every(load => load.hasDone(change * 10)))
    }
    for (const load of loads) await load.stop()
    await until(() => proxy.status().workers.length === 1)
    assert.equal(alive(first), false)
    agent.destroy()
    client.close()
    await proxy.stop()
    model.stop()
    await web.close()
  })

  it('a draining worker finishes what runs: a slow answer, an upload, a stream of gRPC messages', async () => {
    const web = await slowOrigin()
    const uploads = await http1Origin()
    const model = await echoServer()
    const routes: TestRoute[] = [
      { prefix: '/w/', endpoints: [endpoint(web.port)] },
      { prefix: '/u/', endpoints: [endpoint(uploads.port)] },
      { prefix: '/e/', protocol: 'h2c', endpoints: [endpoint(model.port)] },
    ]
    const proxy = await startTestProxy(routes, { drainMs: 15_000 })
    const slow = http1Request(proxy.port, { path: '/w/x?ms=600' })
    const upload = httpRequest({ host: '127.0.0.1', port: proxy.port, path: '/u/x', method: 'POST', agent: false })
    upload.write('first ')
    const client = echoClient(proxy.port, '/e/')
    const chat = client.chat()
    const answers: string[] = []
    chat.on('data', data => answers.push(String(data)))
    chat.write(Buffer.from('before'))
    await until(() => answers.length === 1)
    await proxy.settings({ idleTimeoutMs: 50_000 })
    chat.write(Buffer.from('during'))
    await until(() => answers.length === 2)
    upload.end('second')
    const [answer] = await once(upload, 'response')
    assert.equal(answer.headers.connection, 'close')
    assert.match(await readBody(answer), /first second/)
    const status = once(chat, 'status')
    chat.end()
    assert.equal((await status)[0].code, 0)
    assert.equal((await slow).body, '600')
    client.close()
    await proxy.stop()
    model.stop()
    await Promise.all([web.close(), uploads.close()])
  })

  it('an HTTP/2 client gets two GOAWAYs, the second with its last stream, and calls between them are served', async () => {
    const web = await slowOrigin()
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(web.port)] }], { drainMs: 15_000 })
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    const goaways: [number, number][] = []
    session.on('goaway', (code, lastId) => goaways.push([code, lastId]))
    assert.equal((await h2cRequest(session, { path: '/w/x' })).status, 200)
    // Longer than the new generation takes to start.
    const running = h2cRequest(session, { path: '/w/x?ms=1500' })
    const closed = once(session, 'close')
    await proxy.settings({ idleTimeoutMs: 50_000 })
    assert.equal((await running).status, 200)
    await closed
    assert.deepEqual(goaways[0], [0, 2 ** 31 - 1])
    assert.deepEqual(goaways.at(-1), [0, 3])
    await proxy.stop()
    await web.close()
  })

  it('what is not done at the drain limit is told so, and the worker is gone', async () => {
    const web = await slowOrigin()
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(web.port)] }], { drainMs: 300 })
    const { pid } = proxy.status().workers[0]!
    const never = http1Request(proxy.port, { path: '/w/x?ms=60000' })
    await until(() => web.open() === 1)
    const stopAt = performance.now()
    await proxy.stop()
    const answer = await never
    assert.deepEqual([answer.status, JSON.parse(answer.body).error.code], [503, 'PROXY_DRAINING'])
    assert.ok(performance.now() - stopAt >= 290 && performance.now() - stopAt < 15_000, `${performance.now() - stopAt} ms`)
    assert.equal(alive(pid), false)
    await web.close()
  })

  it('settings that cannot be had change nothing: a taken port', async () => {
    const web = await slowOrigin()
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(web.port)] }])
    const { pid } = proxy.status().workers[0]!
    await assert.rejects(proxy.settings({ listen: { host: '127.0.0.1', port: web.port } }), { code: 'PORT_TAKEN' })
    await assert.rejects(proxy.settings({ listen: { host: '192.0.2.1', port: 0 } }), { code: 'LISTEN_FAILED' })
    assert.deepEqual([proxy.status().workers.map(worker => worker.pid), proxy.status().generation], [[pid], 1])
    assert.equal((await http1Request(proxy.port, { path: '/w/x' })).status, 200)
    await proxy.stop()
    await web.close()
  })
})

describe('a worker that dies', () => {
  it('is replaced at once, its table is known to the next one, and no connection is refused meanwhile', async () => {
    const web = await slowOrigin()
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(web.port)] }])
    for (let round = 0; round < 3; round++) {
      const { pid } = proxy.status().workers[0]!
      process.kill(pid, 'SIGKILL')
      await until(() => !alive(pid) || proxy.status().workers.every(worker => worker.pid !== pid))
      // The listening socket is the daemon's: this connection waits in its backlog.
      assert.equal((await http1Request(proxy.port, { path: '/w/x' })).status, 200)
    }
    await proxy.stop()
    await web.close()
  })

  it('with two workers the other one serves on', async () => {
    const web = await slowOrigin()
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(web.port)] }], { workers: 2 })
    assert.equal(proxy.status().workers.length, 2)
    process.kill(proxy.status().workers[0]!.pid, 'SIGKILL')
    for (let at = 0; at < 20; at++) assert.equal((await http1Request(proxy.port, { path: '/w/x' })).status, 200)
    await until(() => proxy.status().workers.filter(worker => worker.state === 'serving').length === 2)
    await proxy.stop()
    await web.close()
  })

  it('SIGTERM drains it and the next one is there at once; SIGINT and SIGHUP are the daemon’s business', async () => {
    const web = await slowOrigin()
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(web.port)] }])
    const { pid } = proxy.status().workers[0]!
    process.kill(pid, 'SIGINT')
    process.kill(pid, 'SIGHUP')
    const before = begun
    const slow = http1Request(proxy.port, { path: '/w/x?ms=500' })
    await until(() => begun > before)
    assert.equal(proxy.status().workers[0]!.pid, pid)
    process.kill(pid, 'SIGTERM')
    await until(() => proxy.status().workers.some(worker => worker.pid !== pid && worker.state === 'serving'))
    assert.equal((await slow).body, '500')
    await until(() => !alive(pid))
    await proxy.stop()
    await web.close()
  })
})

describe('a daemon that dies', () => {
  it('its workers serve on; the next daemon takes the port over from them and they go', async () => {
    const web = await slowOrigin()
    const directory = mkdtempSync(join(tmpdir(), 'guard-proxy-'))
    // Known beforehand: both daemons must be given the same one.
    const port = await closedPort()
    const spec = { ...SETTINGS, listen: { host: '127.0.0.1', port } }
    const daemon = fork(fileURLToPath(new URL('daemon-that-dies.js', import.meta.url)), [directory, JSON.stringify(spec), String(web.port)])
    endLater(() => daemon.kill('SIGKILL'))
    const [orphan] = (await once(daemon, 'message')) as [number]
    endLater(() => alive(orphan) && process.kill(orphan, 'SIGKILL'))
    daemon.kill('SIGKILL')
    await once(daemon, 'exit')
    assert.equal((await http1Request(port, { path: '/w/x' })).status, 200)
    const before = begun
    const slow = http1Request(port, { path: '/w/x?ms=500' })
    await until(() => begun > before)

    const messages: string[] = []
    const next = await startProxy({
      spec,
      runDir: directory,
      version: 'next',
      table: { version: 1, routes: [] },
      emit: message => messages.push(message),
      portHolder: () => null,
    })
    assert.match(messages[0]!, new RegExp(`earlier daemon drain: ${orphan}`))
    assert.equal(JSON.parse((await http1Request(port, { path: '/health' })).body).version, 'next')
    assert.equal((await slow).body, '500')
    await until(() => !alive(orphan))
    await next.stop()
    assert.deepEqual(readdirSync(join(directory, 'proxy')), [])
    rmSync(directory, { recursive: true })
    await web.close()
  })
})

async function keptRequest(proxy: TestProxy, agent: Agent): Promise<void> {
  const request = httpRequest({ host: '127.0.0.1', port: proxy.port, path: '/w/x?ms=1', agent })
  request.end()
  const [answer] = await once(request, 'response')
  assert.equal(answer.statusCode, 200)
  await readBody(answer)
}
