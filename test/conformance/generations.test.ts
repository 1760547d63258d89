// Generations of workers under a few hundred requests a second: a change loses none, a crash only what was in flight on its connections.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { describe, it } from 'node:test'
import { http1Request, rawExchange, statusOf } from './clients.js'
import { type FailedRequest, type Load, pause, startMixedLoad } from './generation-load.js'
import { grpcRequest, isOver } from './grpc/calls.js'
import { openWire } from './grpc/wire.js'
import { echoServer } from './grpc-echo.js'
import { message } from './h2-frames.js'
import { http1Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

const CHANGES = 5
const ALL_STREAMS = 2 ** 31 - 1
// On a machine with nothing else to do it takes a thirtieth of this.
const SUCCESSOR_MS = 15_000
// Load, services and the daemon's part are one process here: on a busy machine its turns take long, which is no failure of the proxy.
const PATIENCE_MS = 20_000
const KINDS = ['h1 kept', 'h1 short', 'raw unary', 'raw dialogue', 'grpc-js unary', 'grpc-js dialogue']

interface Stage {
  proxy: TestProxy
  load: Load
  /** Ends everything; the load first. */
  close(): Promise<void>
}

async function underLoad(workers: number): Promise<Stage> {
  const web = await http1Origin((request, response) => {
    const ms = Number(new URL(request.url!, 'http://x').searchParams.get('ms') ?? 0)
    setTimeout(() => response.end(String(ms)), ms)
  })
  const echo = await echoServer()
  const routes = [
    { prefix: '/w/', endpoints: [endpoint(web.port)], timeoutMs: PATIENCE_MS },
    { prefix: '/e/', protocol: 'h2c' as const, endpoints: [endpoint(echo.port)], timeoutMs: PATIENCE_MS },
  ]
  const proxy = await startTestProxy(routes, { workers, drainMs: 10_000 })
  const load = startMixedLoad(proxy.port)
  const close = async () => {
    await load.stop()
    await proxy.stop()
    echo.stop()
    await web.close()
  }
  await until(() => hasDone(load, 3))
  return { proxy, load, close }
}

const hasDone = ({ done }: Load, times: number) => KINDS.every(kind => (done[kind] ?? 0) >= times)
const alive = (pid: number) => existsSync(`/proc/${pid}`)

/** So many more requests of every kind than there are now. */
async function goesOn(load: Load, times: number): Promise<void> {
  const before = { ...load.done }
  await until(() => KINDS.every(kind => (load.done[kind] ?? 0) >= (before[kind] ?? 0) + times), PATIENCE_MS)
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    // It was closed meanwhile.
    return ''
  }
}

/** Clients' ports of the connections a worker holds. */
function clientPorts(pid: number, port: number): Set<number> {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap(fd => /^socket:\[(\d+)\]$/.exec(targetOf(`/proc/${pid}/fd/${fd}`))?.[1] ?? []),
  )
  const ports = new Set<number>()
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local = '', remote = '', , , , , , , inode = ''] = line.trim().split(/\s+/)
    if (inodes.has(inode) && portIn(local) === port) ports.add(portIn(remote))
  }
  return ports
}

const portIn = (text: string) => Number.parseInt(text.slice(text.lastIndexOf(':') + 1), 16)

interface Death {
  /** It is dead, and our end has had a turn to hear of it. */
  seenMs: number
  ports: Set<number>
}

/** Stopped first: what it holds then is what it holds at its death. */
async function kill(proxy: TestProxy, pid: number): Promise<Death> {
  process.kill(pid, 'SIGSTOP')
  await until(() => / T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/, '')))
  const ports = clientPorts(pid, proxy.port)
  process.kill(pid, 'SIGKILL')
  await until(() => !alive(pid))
  await pause(0)
  return { seenMs: performance.now(), ports }
}

/** Failures that the death of a worker does not explain. */
function unexplained(failed: FailedRequest[], { seenMs, ports }: Death): FailedRequest[] {
  // grpc-js takes some turns to hear of the death, and has one connection: what it begins until the first of its calls has failed goes there, too.
  const firstMs = Math.min(
    ...failed.filter(({ localPort, beganMs }) => localPort === null && beganMs <= seenMs).map(({ endedMs }) => endedMs),
  )
  const heardMs = Number.isFinite(firstMs) ? Math.max(seenMs, firstMs) : seenMs
  return failed.filter(({ localPort, beganMs, why }) => {
    if (localPort !== null) return !ports.has(localPort)
    return beganMs > heardMs || !why.startsWith('14 ')
  })
}

describe('generations under load', () => {
  it(`${CHANGES} changes of settings: no request fails, GOAWAY comes in two steps, HTTP/1 is told \`connection: close\``, async () => {
    const { proxy, load, close } = await underLoad(1)
    const pids = new Set<number>()
    for (let change = 1; change <= CHANGES; change++) {
      for (const { pid } of proxy.status().workers) pids.add(pid)
      await proxy.settings({ idleTimeoutMs: 50_000 + change })
      await goesOn(load, 3)
    }
    await until(() => proxy.status().workers.length === 1)
    assert.equal(proxy.status().generation, CHANGES + 1)
    await close()
    assert.deepEqual(load.failed, [])
    assert.deepEqual([...pids].filter(alive), [])
    assert.ok(load.closes >= CHANGES, `${load.closes} answers with connection: close`)
    const left = load.wires.filter(({ goaways }) => goaways.length > 0)
    assert.ok(left.length >= CHANGES && load.crossed >= CHANGES, `${left.length} connections were told, ${load.crossed} calls crossed that`)
    for (const { goaways, pings, streams } of left) {
      assert.deepEqual(goaways, [
        { lastId: ALL_STREAMS, code: 0 },
        { lastId: Math.max(...streams.keys()), code: 0 },
      ])
      assert.equal(pings, 1)
    }
    assert.deepEqual(proxy.messages, [])
  })

  it('SIGTERM to the worker: no request fails, and the next one is there', async () => {
    const { proxy, load, close } = await underLoad(1)
    const { pid } = proxy.status().workers[0]!
    process.kill(pid, 'SIGTERM')
    await until(() => proxy.status().workers.some(worker => worker.pid !== pid && worker.state === 'serving'), SUCCESSOR_MS)
    await goesOn(load, 3)
    await until(() => !alive(pid))
    await close()
    assert.deepEqual(load.failed, [])
  })
})

describe('a worker that is killed under load', () => {
  it('loses what is in flight on its connections and nothing else; who connects meanwhile is served by the next one', async () => {
    const { proxy, load, close } = await underLoad(1)
    const { pid } = proxy.status().workers[0]!
    const death = await kill(proxy, pid)
    assert.deepEqual(
      proxy.status().workers.filter(({ state }) => state === 'serving'),
      [],
      'nobody accepts now',
    )
    const meanwhile = Array.from({ length: 5 }, () => http1Request(proxy.port, { path: '/w/x' }))
    await until(() => proxy.status().workers.some(worker => worker.pid !== pid && worker.state === 'serving'), SUCCESSOR_MS)
    for (const answer of await Promise.all(meanwhile)) assert.equal(answer.status, 200)
    await goesOn(load, 5)
    await close()
    assert.ok(load.failed.length > 0, 'something was in flight')
    assert.deepEqual(unexplained(load.failed, death), [])
  })

  it('of two: the connections of the other one notice nothing', async () => {
    const { proxy, load, close } = await underLoad(2)
    const [victim, other] = proxy.status().workers.map(({ pid }) => pid) as [number, number]
    // Who accepts is the kernel's choice: until each has some.
    await until(() => clientPorts(victim, proxy.port).size > 0 && clientPorts(other, proxy.port).size > 0)
    const death = await kill(proxy, victim)
    for (let at = 0; at < 10; at++) assert.equal((await http1Request(proxy.port, { path: '/w/x' })).status, 200)
    await until(() => proxy.status().workers.filter(({ state }) => state === 'serving').length === 2, SUCCESSOR_MS)
    await goesOn(load, 5)
    assert.ok(proxy.status().workers.some(({ pid }) => pid === other))
    await close()
    assert.deepEqual(unexplained(load.failed, death), [])
  })
})

describe('the drain limit', () => {
  it('cuts what is left in the form its client understands: 503, grpc-status 14 in a head and in trailers, a body that is not whole', async () => {
    const web = await http1Origin((request, response) => {
      if (request.url === '/begun') response.write('begun')
    })
    const echo = await echoServer()
    const proxy = await startTestProxy([
      { prefix: '/w/', endpoints: [endpoint(web.port)] },
      { prefix: '/e/', protocol: 'h2c', endpoints: [endpoint(echo.port)] },
    ])
    const { pid } = proxy.status().workers[0]!
    const ask = (path: string) => rawExchange(proxy.port, `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
    const [silent, begun] = [ask('/w/silent'), ask('/w/begun')]
    const wire = await openWire(proxy.port)
    const never = wire.open(grpcRequest('/e/test.Echo/Never'), 'more')
    wire.data(never.id, message('x'), 'end')
    const dialogue = wire.open(grpcRequest('/e/test.Echo/Chat'), 'more')
    wire.data(dialogue.id, message('x'))
    await until(() => web.open() === 2 && dialogue.shape === 'HEADERS DATA' && echo.events.includes('a never'))
    const sinceMs = performance.now()
    await proxy.settings({ drainMs: 300 })
    const answer = await silent
    assert.equal(statusOf(answer), 503)
    assert.match(answer, /"code":"PROXY_DRAINING"/)
    assert.match(await begun, /\r\n5\r\nbegun\r\n$/, 'no last chunk')
    await Promise.all([isOver(never), isOver(dialogue)])
    assert.deepEqual([never.shape, never.grpcStatus], ['HEADERS+END', '14'])
    assert.match(never.field('grpc-message')!, /^PROXY_DRAINING/)
    // Its request was not complete: RST_STREAM(NO_ERROR) may follow (rule 10).
    assert.match(dialogue.shape, /^HEADERS DATA HEADERS\+END( RST\(0\))?$/)
    assert.equal(dialogue.grpcStatus, '14')
    assert.match(dialogue.trailer('grpc-message')!, /^PROXY_DRAINING/)
    await until(() => !alive(pid))
    assert.ok(performance.now() - sinceMs >= 290)
    await proxy.stop()
    echo.stop()
    await web.close()
  })
})
