// Section F, rows 70 and 71: games with windows stall their own streams only and cost no memory; what HPACK unpacks counts as it is unpacked.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, afterEach, before, describe, it } from 'node:test'
import { WINDOW_BYTES } from '../../../src/proxy/stream.js'
import { FLAG, frame, headerBlock, TYPE, uint32 } from '../h2-frames.js'
import { http1Origin, type Origin } from '../origins.js'
import { endpoint, until } from '../start-proxy.js'
import { CODE, FrameClient, request } from './h2-client.js'
import { memoryOf, orAfter, politeBeside, quantile, type Rig, startRig, warmUp } from './rig.js'

const STREAMS = 100
const SEND_MS = 1500
// The route's own limit is 30 s.
const LATE_MS = 10_000
const GROWTH_BYTES = 20 << 20
// As in floods.test.ts: that requests go on.
const POLITE_MS = 1000

describe('windows and HPACK', () => {
  let rig: Rig
  let endless: Origin
  let running = 0
  before(async () => {
    rig = await startRig({
      settings: { maxStreams: STREAMS, sendTimeoutMs: SEND_MS, maxResetsPerSecond: 2000, maxHeaderBytes: 65_536, maxHeaderFields: 200 },
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
      { prefix: '/endless/', timeoutMs: 30_000, endpoints: [endpoint(endless.port)] },
    ])
    await warmUp(rig)
  })
  after(async () => {
    await rig.stop()
    await endless.close()
  })

  afterEach(() => FrameClient.closeAll())

  const window = (bytes: number): Buffer => Buffer.concat([Buffer.from([0, 4]), uint32(bytes)])
  const settings = (bytes: number): Buffer => frame(TYPE.SETTINGS, 0, 0, window(bytes))
  const credit = (id: number, bytes: number): Buffer => frame(TYPE.WINDOW_UPDATE, 0, id, uint32(bytes))

  describe('row 70: windows', () => {
    it('a window of 0 and 1,000 streams: memory has a bound, all are ended at send_timeout, others are served', async () => {
      const before = memoryOf(rig.pid)
      const polite = await politeBeside(rig)
      const client = await FrameClient.open(rig.proxy.port, window(0))
      const begun = performance.now()
      for (let at = 0; at < 1000; at++) client.headers(request('/endless/x'), 'end')
      await until(() => running > 0)
      await orAfter(SEND_MS / 2, () => running > STREAMS)
      assert.ok(running <= STREAMS, `${running} streams are open, max_streams is ${STREAMS}`)
      await until(() => running === 0, SEND_MS + LATE_MS)
      assert.ok(performance.now() - begun <= SEND_MS + LATE_MS)
      const tookMs = await polite.stop()
      assert.ok(quantile(tookMs, 0.99) < POLITE_MS, `polite requests took up to ${tookMs.at(-1)} ms`)
      client.close()
      // What each stream may have on its way from its service, and as much again in the sockets' own queues.
      assert.ok(memoryOf(rig.pid).highBytes - before.rssBytes < 2 * STREAMS * WINDOW_BYTES + GROWTH_BYTES)
      await rig.stillServes()
    })

    it('an answer through a window of one byte at a time is whole', async () => {
      for (const path of ['/w/a-longer-path-than-one-byte', '/g/a-longer-path-than-one-byte']) {
        const client = await FrameClient.open(rig.proxy.port, window(1))
        const id = client.headers(request(path), 'end')
        const body = path.slice(2)
        for (let at = 1; at < body.length; at++) {
          await client.seen(() => client.answer(id).bodyBytes === at)
          client.send(credit(id, 1))
        }
        const answer = await client.settled(id)
        assert.deepEqual([answer.status, answer.body, answer.ended], [200, body, true])
        client.close()
      }
      await rig.stillServes()
    })

    it('100 streams whose windows open by one byte again and again: memory has a bound, others are served', async () => {
      const before = memoryOf(rig.pid)
      const polite = await politeBeside(rig)
      const client = await FrameClient.open(rig.proxy.port, window(1))
      const ids = Array.from({ length: STREAMS }, () => client.headers(request('/endless/x'), 'end'))
      await until(() => running === STREAMS)
      const drip = Buffer.concat(ids.map(id => credit(id, 1)))
      const timer = setInterval(() => client.send(drip), 50)
      await new Promise(resolve => setTimeout(resolve, 1500))
      clearInterval(timer)
      const tookMs = await polite.stop()
      assert.ok(quantile(tookMs, 0.99) < POLITE_MS, `polite requests took up to ${tookMs.at(-1)} ms`)
      assert.ok(memoryOf(rig.pid).highBytes - before.rssBytes < 2 * STREAMS * WINDOW_BYTES + GROWTH_BYTES)
      client.close()
      await until(() => running === 0)
      await rig.stillServes()
    })

    it('a WINDOW_UPDATE beyond 2^31 - 1 resets its stream with FLOW_CONTROL_ERROR', async () => {
      const client = await FrameClient.open(rig.proxy.port)
      const id = client.headers(request('/w/x', { ':method': 'POST' }), 'more')
      client.send(credit(id, 0x7fffffff))
      const answer = await client.settled(id)
      assert.deepEqual([answer.resetCode, client.goaway], [CODE.FLOW_CONTROL, null])
      assert.equal((await client.get('/w/polite')).body, '/polite')
      client.close()
      await rig.stillServes()
    })

    const ends: [string, Buffer[], number][] = [
      ['a WINDOW_UPDATE of the connection beyond 2^31 - 1', [credit(0, 0x7fffffff)], CODE.FLOW_CONTROL],
      ['an INITIAL_WINDOW_SIZE of 2^31', [settings(0x80000000)], CODE.FLOW_CONTROL],
      [
        'an INITIAL_WINDOW_SIZE that lifts an open window beyond 2^31 - 1',
        [credit(1, 0x7fff0000), settings(0x7fffffff)],
        CODE.FLOW_CONTROL,
      ],
      ['a WINDOW_UPDATE of 0 for the connection', [credit(0, 0)], CODE.PROTOCOL],
    ]
    for (const [title, frames, code] of ends) {
      it(`${title} is GOAWAY with ${code === CODE.PROTOCOL ? 'PROTOCOL_ERROR' : 'FLOW_CONTROL_ERROR'}`, async () => {
        const client = await FrameClient.open(rig.proxy.port)
        client.headers(request('/w/x', { ':method': 'POST' }), 'more')
        client.send(...frames)
        await until(() => client.goaway !== null || client.closed)
        assert.equal(client.goaway, code)
        await until(() => client.closed)
        await rig.stillServes()
      })
    }

    it('300 connections that end with an overflow leave no memory and no descriptor behind', async () => {
      const descriptors = () => readdirSync(`/proc/${rig.pid}/fd`).length
      await until(() => running === 0)
      const before = { ...memoryOf(rig.pid), fds: descriptors() }
      for (let at = 0; at < 300; at += 20) {
        await Promise.all(
          Array.from({ length: 20 }, async () => {
            const client = await FrameClient.open(rig.proxy.port)
            client.headers(request('/endless/x'), 'end')
            client.send(credit(0, 0x7fffffff))
            await client.seen(() => client.closed)
          }),
        )
      }
      await until(() => running === 0)
      await until(() => descriptors() <= before.fds + 5)
      assert.ok(memoryOf(rig.pid).rssBytes - before.rssBytes < GROWTH_BYTES)
      await rig.stillServes()
    })
  })

  describe('row 71: HPACK', () => {
    const text = (value: string): Buffer => headerBlock([[value, '']]).subarray(1, -1)
    // 4,096 bytes in the table, name, value and 32.
    const entry = Buffer.concat([Buffer.from([0x40]), text('x-bomb'), text('b'.repeat(4096 - 32 - 6))])

    for (const [title, change] of [
      ['a request', {}],
      ['a gRPC call', { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }],
    ] as const) {
      it(`${title} with one entry of 4 KiB 10,000 times is refused by its decoded size`, async () => {
        rig.http2.forget()
        const before = memoryOf(rig.pid)
        const client = await FrameClient.open(rig.proxy.port)
        const id = client.id()
        const block = Buffer.concat([headerBlock(request('/g/x', change)), entry, Buffer.alloc(10_000, 0x80 | 62)])
        client.send(frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, id, block))
        const answer = await client.settled(id)
        if (client.goaway !== null) assert.equal(client.goaway, CODE.COMPRESSION)
        else if (title === 'a request') assert.equal(answer.status, 431)
        else assert.ok(answer.headOnly && answer.fields.includes('grpc-status: 8'), JSON.stringify(answer))
        // The table is as the client believes it to be.
        if (client.goaway === null) {
          const next = client.id()
          client.send(
            frame(
              TYPE.HEADERS,
              FLAG.END_HEADERS | FLAG.END_STREAM,
              next,
              Buffer.concat([headerBlock(request('/g/after')), Buffer.from([0x80 | 62])]),
            ),
          )
          assert.equal((await client.settled(next)).body, '/after')
          assert.ok(rig.http2.heard[0]!.fields.includes(`x-bomb: ${'b'.repeat(4096 - 32 - 6)}`))
        }
        client.close()
        assert.ok(rig.http2.streams.every(stream => stream.heard.target !== '/x'))
        assert.ok(memoryOf(rig.pid).highBytes - before.highBytes < GROWTH_BYTES)
        await rig.stillServes()
      })
    }

    it('bombs on every stream of 20 connections cost no memory', async () => {
      const before = memoryOf(rig.pid)
      const polite = await politeBeside(rig)
      const clients = await Promise.all(Array.from({ length: 20 }, () => FrameClient.open(rig.proxy.port)))
      for (const client of clients) {
        const bomb = Buffer.concat([headerBlock(request('/g/x')), Buffer.alloc(10_000, 0x80 | 62)])
        client.send(
          frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, client.id(), Buffer.concat([headerBlock(request('/g/y')), entry])),
        )
        for (let at = 0; at < 20; at++) client.send(frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, client.id(), bomb))
      }
      for (const client of clients) await client.settled(41)
      const tookMs = await polite.stop()
      assert.ok(quantile(tookMs, 0.99) < POLITE_MS, `polite requests took up to ${tookMs.at(-1)} ms`)
      assert.ok(memoryOf(rig.pid).rssBytes - before.rssBytes < GROWTH_BYTES)
      for (const client of clients) client.close()
      await rig.stillServes()
    })

    const broken: [string, Buffer][] = [
      // 001 prefix: 2^20, far above what anybody has announced.
      ['a table size update above the limit', Buffer.from([0x3f, 0xe1, 0xff, 0x3f])],
      ['the index 0', Buffer.from([0x80])],
      ['an index beyond the table', Buffer.from([0xff, 0x80, 0x10])],
      ['an index without end', Buffer.concat([Buffer.from([0xff]), Buffer.alloc(40, 0xff)])],
      ['a text longer than its block', Buffer.from([0, 1, 120, 0x7f, 0xff, 0xff, 0xff, 0x07])],
      ['a Huffman text with an end mark', Buffer.from([0, 1, 120, 0x84, 0xff, 0xff, 0xff, 0xff])],
    ]
    for (const [title, bytes] of broken) {
      it(`${title} is GOAWAY with COMPRESSION_ERROR`, async () => {
        rig.http2.forget()
        const client = await FrameClient.open(rig.proxy.port)
        // A size update stands at the beginning of its block.
        client.send(
          frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, client.id(), Buffer.concat([bytes, headerBlock(request('/g/x'))])),
        )
        await until(() => client.goaway !== null || client.closed)
        assert.equal(client.goaway, CODE.COMPRESSION)
        await until(() => client.closed)
        assert.deepEqual(rig.http2.streams, [])
        await rig.stillServes()
      })
    }
  })
})
