// Section F, row 49: heads and bodies that dribble or stop, and clients that never read, are closed in time while others are served.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { FLAG, frame, headerBlock, TYPE } from '../h2-frames.js'
import { http1Origin, type Origin } from '../origins.js'
import { endLater, endpoint, until } from '../start-proxy.js'
import { FrameClient, PREFACE, request } from './h2-client.js'
import { answersOf, memoryOf, type Rig, startRig } from './rig.js'

const LIMIT_MS = 600
// A limit may be looked at a little late, by a worker on a machine that others use too; never early.
const LATE_MS = 4000

describe('row 49: slow clients', () => {
  let rig: Rig
  let endless: Origin
  /** Answers of the endless service that are still being sent. */
  let running = 0
  before(async () => {
    rig = await startRig({
      settings: { headerTimeoutMs: LIMIT_MS, bodyTimeoutMs: LIMIT_MS, sendTimeoutMs: LIMIT_MS, idleTimeoutMs: LIMIT_MS },
      route: { timeoutMs: 20_000 },
    })
    endless = await http1Origin((_request, response) => {
      running++
      const block = Buffer.alloc(64 * 1024)
      const push = () => {
        while (!response.destroyed && response.write(block));
      }
      response.on('drain', push)
      response.on('close', () => running--)
      push()
    })
    await rig.proxy.setTable([
      { prefix: '/w/', endpoints: [endpoint(rig.http1.port)] },
      { prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(rig.http2.port)] },
      { prefix: '/endless/', timeoutMs: 20_000, endpoints: [endpoint(endless.port)] },
    ])
  })
  after(async () => {
    await rig.stop()
    await endless.close()
  })

  /** A connection whose bytes come one at a time. */
  async function dribble(bytes: string | Buffer, everyMs: number): Promise<Watched> {
    const watched = await watch()
    let at = 0
    const whole = Buffer.from(bytes as string, 'latin1')
    const timer = setInterval(() => {
      if (at < whole.length && watched.socket.writable) watched.socket.write(whole.subarray(at, ++at))
    }, everyMs)
    watched.socket.on('close', () => clearInterval(timer))
    return watched
  }

  interface Watched {
    socket: Socket
    text(): string
    /** When it was closed, in ms after it was opened. */
    closed(limitMs: number): Promise<number>
  }

  async function watch(first = ''): Promise<Watched> {
    // Before the worker can know of it: this process may hear late that it is connected.
    const begun = performance.now()
    const socket = connect({ port: rig.proxy.port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => {})
    endLater(() => socket.destroy())
    let text = ''
    let closedAt = 0
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
    })
    await once(socket, 'connect')
    socket.on('close', () => {
      closedAt = performance.now()
    })
    if (first !== '') socket.write(Buffer.from(first, 'latin1'))
    return {
      socket,
      text: () => text,
      closed: async limitMs => {
        await until(() => closedAt > 0, limitMs)
        return closedAt - begun
      },
    }
  }

  function inTime(tookMs: number): void {
    assert.ok(tookMs >= LIMIT_MS - 20 && tookMs <= LIMIT_MS + LATE_MS, `closed after ${Math.round(tookMs)} ms, the limit is ${LIMIT_MS}`)
  }

  const HEAD = `GET /w/x HTTP/1.1\r\nHost: h\r\nX-Fill: ${'a'.repeat(500)}\r\n\r\n`
  const heads: [string, string | Buffer][] = [
    ['a head in HTTP/1.1', HEAD],
    ['an HTTP/2 preface', PREFACE],
    ['an empty line and a head', `\r\n${HEAD}`],
  ]
  for (const [title, bytes] of heads) {
    it(`${title} that comes a byte at a time is closed at header_timeout, others are served`, async () => {
      rig.http1.forget()
      // Short enough a pause that no other limit can be what ends it, long enough that the whole does not fit.
      const slow = await dribble(bytes, 100)
      await rig.stillServes()
      inTime(await slow.closed(5000))
      for (const { status } of answersOf(slow.text())) assert.equal(status, 408)
      assert.deepEqual(
        rig.http1.heard.map(heard => heard.target),
        ['/polite'],
      )
      assert.deepEqual(rig.http1.stray(), [])
      await rig.stillServes()
    })
  }

  it('a kept connection whose second head comes a byte at a time is closed at header_timeout', async () => {
    const slow = await watch('GET /w/x HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => answersOf(slow.text()).length === 1)
    const begun = performance.now()
    const timer = setInterval(() => slow.socket.write('G'), 100)
    await slow.closed(5000)
    clearInterval(timer)
    const tookMs = performance.now() - begun
    assert.ok(tookMs <= 2 * LIMIT_MS + LATE_MS, `${tookMs} ms`)
    await rig.stillServes()
  })

  it('a header block in HTTP/2 whose CONTINUATION comes a byte at a time ends the connection at header_timeout', async () => {
    rig.http2.forget()
    const client = await FrameClient.open(rig.proxy.port)
    const block = headerBlock(request('/g/x', { 'x-fill': 'a'.repeat(500) }))
    const begun = performance.now()
    client.send(frame(TYPE.HEADERS, FLAG.END_STREAM, 1, block.subarray(0, 5)))
    let at = 5
    const timer = setInterval(() => client.send(frame(TYPE.CONTINUATION, 0, 1, block.subarray(at, ++at))), 100)
    await rig.stillServes()
    await until(() => client.goaway !== null || client.closed)
    clearInterval(timer)
    const tookMs = performance.now() - begun
    assert.ok(tookMs <= LIMIT_MS + LATE_MS, `${tookMs} ms`)
    await until(() => client.closed)
    assert.deepEqual(
      rig.http2.heard.map(heard => heard.target),
      ['/polite'],
    )
    await rig.stillServes()
  })

  it('half a frame in HTTP/2 and then nothing ends the connection', async () => {
    const client = await FrameClient.open(rig.proxy.port)
    client.send(Buffer.from([0, 0, 40, TYPE.HEADERS, FLAG.END_HEADERS, 0, 0]))
    await until(() => client.closed, 2 * LIMIT_MS + LATE_MS)
    await rig.stillServes()
  })

  for (const [title, path, recorder] of [
    ['http1', '/w/x', () => rig.http1],
    ['http2', '/g/x', () => rig.http2],
  ] as const) {
    it(`to ${title}: a body in HTTP/1.1 that stops is 408 at body_timeout, and its request is given up`, async () => {
      recorder().forget()
      const slow = await watch(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello`)
      await rig.stillServes()
      inTime(await slow.closed(5000))
      assert.deepEqual(
        answersOf(slow.text()).map(answer => answer.status),
        [408],
      )
      await until(
        () =>
          recorder().stray().length > 0 &&
          recorder()
            .stray()
            .every(stray => stray.gone),
      )
      assert.deepEqual(
        recorder().heard.map(heard => heard.target),
        ['/polite'],
      )
      await rig.stillServes()
    })

    it(`to ${title}: a body in HTTP/2 that stops is 408 at body_timeout, and the connection goes on`, async () => {
      recorder().forget()
      const client = await FrameClient.open(rig.proxy.port)
      const id = client.headers(request(path, { ':method': 'POST' }), 'more')
      const begun = performance.now()
      client.send(frame(TYPE.DATA, 0, id, Buffer.from('hello')))
      await rig.stillServes()
      const answer = await client.settled(id)
      inTime(performance.now() - begun)
      assert.deepEqual([answer.status, answer.ended, JSON.parse(answer.body).error.code], [408, true, 'REQUEST_TOO_SLOW'])
      // Nobody reads the rest: told without an error (rule 10).
      await until(() => client.answer(id).resetCode !== null)
      assert.equal(client.answer(id).resetCode, 0)
      assert.equal((await client.get('/w/polite')).body, '/polite')
      await until(
        () =>
          recorder().stray().length > 0 &&
          recorder()
            .stray()
            .every(stray => stray.gone),
      )
      client.close()
      await rig.stillServes()
    })
  }

  it('a body that comes a byte at a time but never stands still is taken, and holds up nobody', async () => {
    rig.http1.forget()
    const slow = await watch('POST /w/x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n')
    for (let at = 0; at < 10; at++) {
      slow.socket.write('x')
      await new Promise(resolve => setTimeout(resolve, LIMIT_MS / 4))
    }
    await until(() => answersOf(slow.text()).length === 1)
    assert.equal(answersOf(slow.text())[0]!.status, 200)
    slow.socket.destroy()
    await rig.stillServes()
  })

  it('HTTP/1.1: a client that never reads its answer loses it at send_timeout, and the service is told', async () => {
    const before = memoryOf(rig.pid)
    const slow = await watch('')
    slow.socket.pause()
    slow.socket.write('GET /endless/x HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => running === 1)
    const begun = performance.now()
    await rig.stillServes()
    await until(() => running === 0, LIMIT_MS + LATE_MS + 3000)
    const tookMs = performance.now() - begun
    assert.ok(tookMs <= LIMIT_MS + LATE_MS, `${tookMs} ms`)
    assert.ok(memoryOf(rig.pid).highBytes - before.rssBytes < 32 << 20)
    await rig.stillServes()
  })

  it('HTTP/2: a client that opens no window loses its stream at send_timeout, and its other streams go on', async () => {
    const client = await FrameClient.open(rig.proxy.port)
    const id = client.headers(request('/endless/x'), 'end')
    await until(() => running === 1)
    const begun = performance.now()
    const answer = await client.settled(id)
    const tookMs = performance.now() - begun
    assert.ok(tookMs <= LIMIT_MS + LATE_MS, `${tookMs} ms`)
    assert.deepEqual([answer.status, answer.ended], [200, false])
    assert.notEqual(answer.resetCode, null)
    // The stalled stream has used up the connection's window.
    client.send(frame(TYPE.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 255, 255])))
    assert.equal((await client.get('/w/polite')).body, '/polite')
    await until(() => running === 0)
    client.close()
    await rig.stillServes()
  })

  it('HTTP/2: a client that opens all windows and reads nothing loses its connection at send_timeout', async () => {
    const before = memoryOf(rig.pid)
    const settings = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])
    const client = await FrameClient.open(rig.proxy.port, settings)
    client.socket.pause()
    client.send(frame(TYPE.WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0xff, 0, 0])))
    for (let at = 0; at < 4; at++) client.headers(request('/endless/x'), 'end')
    await until(() => running === 4)
    const begun = performance.now()
    await rig.stillServes()
    await until(() => running === 0, LIMIT_MS + LATE_MS + 3000)
    const tookMs = performance.now() - begun
    assert.ok(tookMs <= LIMIT_MS + LATE_MS, `${tookMs} ms`)
    assert.ok(memoryOf(rig.pid).highBytes - before.rssBytes < 32 << 20)
    client.close()
    await rig.stillServes()
  })

  it('a connection without a request is closed at idle_timeout', async () => {
    const idle = await watch('GET /w/x HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => answersOf(idle.text()).length === 1)
    inTime(await idle.closed(5000))
    const client = await FrameClient.open(rig.proxy.port)
    // Its answer is sent behind this, and may be heard late.
    const since = performance.now()
    await client.get('/w/polite')
    await until(() => client.closed)
    inTime(performance.now() - since)
    assert.equal(client.goaway, 0)
  })
})
