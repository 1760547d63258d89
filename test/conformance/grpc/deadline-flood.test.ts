// Ten thousand deadlines of 50 ms against a silent service: every one is kept, told upwards as CANCEL, and leaves nothing behind.
// Both ends are as lean as they can be, because what they cost would be measured too: against a service that answers at 50 ms itself,
// without a proxy, they see p50 50.7 and p99 57 ms (2 cores, others at work on them).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { FLAG, frame, headerBlock, message, TYPE, uint32 } from '../h2-frames.js'
import { parted, stolenMs, waitedForCoreMs } from '../machine.js'
import { type Origin, rawOrigin } from '../origins.js'
import { endLater, endpoint, startTestProxy, until } from '../start-proxy.js'
import { grpcRequest } from './calls.js'
import { HpackReader } from './hpack-reader.js'
import { onFrames } from './tap.js'

const CONNECTIONS = 10
const CALLS = 10_000
const WARM_UP = 10_000
// Five calls on one connection every 2.5 ms: 2000 a second, 100 in flight.  All at once would measure the burst, not the deadline.
const TICK_MS = 2.5
const PER_TICK = 5
// A hundred per connection.
const MOST_OPEN = 1000 - PER_TICK
const DEADLINE_MS = 50
// A timer that fires at 49.6 ms is 50 ms by Node's clock, which counts whole ones.
const EARLIEST_MS = 49
const LATEST_MS = 70
// Neighbours on the cores make everybody late (p99 80 ms was seen without a proxy).  The kernel says how long both processes have waited for
// a core; in a round where that is more than this part of it, only this limit holds: a lost timer would be seconds late.
// (Beside half a dozen busy test runs it was 30-60 %.)
const CALM_PART = 0.1
const BUSY_LATEST_MS = 1000
const ROUNDS = 3
const GROWTH_BYTES = 32 << 20

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const SETTINGS_AND_WINDOW = Buffer.concat([frame(TYPE.SETTINGS, 0, 0), frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(2 ** 30))])

describe('a silent service', () => {
  it(`${CALLS} calls with ${DEADLINE_MS} ms all end as 4 within ${EARLIEST_MS}-${LATEST_MS} ms, each is cancelled upstream, none leaks`, async context => {
    const service = await silentService()
    const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', timeoutMs: 30_000, endpoints: [endpoint(service.port)] }])
    const callers = await Promise.all(Array.from({ length: CONNECTIONS }, () => Caller.open(proxy.port)))
    const worker = () => proxy.status().workers[0]!
    const rss = () => worker().rssBytes
    parted(worker().pid, [process.pid])
    const waited = () => waitedForCoreMs(process.pid) + waitedForCoreMs(worker().pid) + stolenMs()

    await flood(callers, WARM_UP)
    const before = rss()
    const told: string[] = []
    let calls = WARM_UP
    let isBusy = false
    for (let inTime = false; !inTime; ) {
      const [begunAtMs, waitedMs] = [performance.now(), waited()]
      const took = (await flood(callers, CALLS)).sort()
      const waitedPart = (waited() - waitedMs) / (performance.now() - begunAtMs)
      calls += CALLS
      const [first, p99, last] = [took[0]!, took[Math.floor(CALLS * 0.99)]!, took.at(-1)!]
      told.push([first, took[CALLS / 2]!, p99, last, waitedPart * 100].map(value => value.toFixed(1)).join(' '))
      isBusy ||= waitedPart > CALM_PART
      inTime = last <= (waitedPart > CALM_PART ? BUSY_LATEST_MS : LATEST_MS)
      assert.ok(first >= EARLIEST_MS && (inTime || told.length < ROUNDS), told.join('\n'))
    }
    context.diagnostic(`first, p50, p99, last in ms, % of the time spent waiting for a core: ${told.join('; ')}`)
    const after = rss()

    await until(() => service.resets === service.calls)
    assert.deepEqual(service.wrong, [])
    // One whose time is over before it can be sent, because its process stood still, is rightly not sent.
    assert.ok(
      service.calls <= calls && service.calls >= calls * (isBusy ? 0.5 : 0.98),
      `${service.calls} of ${calls} have reached the service`,
    )
    assert.ok(after - before < GROWTH_BYTES, `the worker grew from ${before >> 20} to ${after >> 20} MiB`)
    // Nothing has been closed on the way, and the connections still carry calls.
    const more = await flood(callers, CONNECTIONS)
    assert.ok(more.every(ms => ms >= EARLIEST_MS))
    await proxy.stop()
    await service.close()
  })
})

/** Spreads calls over the connections, a tick at a time.  Returns how long each took, once all are over. */
async function flood(callers: Caller[], count: number): Promise<Float64Array> {
  const took = new Float64Array(count)
  let over = 0
  let nextAtMs = performance.now()
  for (let sent = 0; sent < count; ) {
    // Time that was lost is not caught up: that would be a burst, and more streams than a connection may have.
    if (performance.now() < nextAtMs || sent - over > MOST_OPEN) {
      await new Promise(resolve => setTimeout(resolve, 1))
      continue
    }
    nextAtMs = Math.max(nextAtMs + TICK_MS, performance.now() - TICK_MS)
    const first = sent
    callers[(sent / PER_TICK) % callers.length]!.send(PER_TICK, (place, ms) => {
      took[first + place] = ms
      over++
    })
    sent += PER_TICK
    if (callers.some(caller => caller.wrong.length > 0)) break
  }
  await until(() => over === count || callers.some(caller => caller.wrong.length > 0))
  assert.deepEqual(
    callers.flatMap(caller => caller.wrong.slice(0, 3)),
    [],
  )
  return took
}

/** A client's connection that knows one request. */
class Caller {
  readonly wrong: string[] = []
  private readonly socket: Socket
  private readonly reader = new HpackReader()
  private readonly sent: { atMs: number; place: number; isOver: boolean; done(place: number, ms: number): void }[] = []

  static async open(port: number): Promise<Caller> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    endLater(() => socket.destroy())
    return new Caller(socket)
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => this.wrong.push('closed'))
    socket.write(Buffer.concat([PREFACE, SETTINGS_AND_WINDOW]))
    onFrames(socket, ({ type, flags, id, payload }) => {
      if (type === TYPE.SETTINGS && (flags & FLAG.ACK) === 0) socket.write(frame(TYPE.SETTINGS, FLAG.ACK, 0))
      const call = this.sent[(id - 1) / 2]
      // Where its time is over before the end of its request has been read, because the worker stood still between two reads, its trailers are followed
      // by RST_STREAM with NO_ERROR (rule 10).
      const isRule10 = type === TYPE.RST && call?.isOver && payload.readUInt32BE(0) === 0
      if (type === TYPE.GOAWAY || (type === TYPE.RST && !isRule10)) this.wrong.push(`${type} on ${id} with ${payload.toString('hex')}`)
      if (type !== TYPE.HEADERS) return
      const { atMs, place, done } = call!
      call!.isOver = true
      done(place, performance.now() - atMs)
      const status = this.reader.read(payload).find(([name]) => name === 'grpc-status')?.[1]
      if (status !== '4' || (flags & FLAG.END_STREAM) === 0) this.wrong.push(`status ${status}, flags ${flags}`)
    })
  }

  /** All of them in one write. */
  send(count: number, done: (place: number, ms: number) => void): void {
    const parts: Buffer[] = []
    const atMs = performance.now()
    for (let place = 0; place < count; place++) {
      const bytes = Buffer.from(REQUEST)
      const id = this.sent.length * 2 + 1
      bytes.writeUInt32BE(id, 5)
      bytes.writeUInt32BE(id, REQUEST.length - BODY_BYTES + 5)
      parts.push(bytes)
      this.sent.push({ atMs, place, isOver: false, done })
    }
    this.socket.write(Buffer.concat(parts))
  }
}

const HEAD = frame(TYPE.HEADERS, FLAG.END_HEADERS, 0, headerBlock(grpcRequest('/s/x.Y/Z', [['grpc-timeout', `${DEADLINE_MS}m`]])))
const BODY = frame(TYPE.DATA, FLAG.END_STREAM, 0, message('anyone?'))
const BODY_BYTES = BODY.length
const REQUEST = Buffer.concat([HEAD, BODY])

interface SilentService extends Origin {
  calls: number
  /** RST CANCELs. */
  resets: number
  wrong: string[]
}

/** Takes calls, and never says a word about them. */
async function silentService(): Promise<SilentService> {
  const counts = { calls: 0, resets: 0, wrong: [] as string[] }
  const origin = await rawOrigin(socket => {
    const reader = new HpackReader()
    socket.setNoDelay(true)
    socket.write(SETTINGS_AND_WINDOW)
    onFrames(
      socket,
      ({ type, flags, payload }) => {
        const asks = (flags & FLAG.ACK) === 0
        if (type === TYPE.SETTINGS && asks) socket.write(frame(TYPE.SETTINGS, FLAG.ACK, 0))
        if (type === TYPE.PING && asks) socket.write(frame(TYPE.PING, FLAG.ACK, 0, Buffer.from(payload)))
        if (type === TYPE.RST) {
          counts.resets++
          if (payload.readUInt32BE(0) !== 8) counts.wrong.push(`reset with ${payload.readUInt32BE(0)}`)
        }
        if (type !== TYPE.HEADERS) return
        counts.calls++
        const timeout = reader.read(payload).find(([name]) => name === 'grpc-timeout')?.[1]
        if (!isLess(timeout)) counts.wrong.push(`grpc-timeout ${timeout}`)
      },
      PREFACE.length,
    )
  })
  // The counts live on in the object that is returned.
  return Object.assign(counts, origin)
}

const UNIT_MS = { n: 1e-6, u: 1e-3, m: 1 }

/** Is it a time, and less than what the client gave? */
function isLess(timeout: string | undefined): boolean {
  const match = /^([0-9]{1,8})([num])$/.exec(timeout ?? '')
  const ms = Number(match?.[1]) * UNIT_MS[match?.[2] as keyof typeof UNIT_MS]
  return ms >= 0 && ms < DEADLINE_MS
}
