// Section F, rows 66 to 69: floods of frames end with ENHANCE_YOUR_CALM, cost no memory, and hold up nobody else; what only looks like one is served.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { FLAG, frame, headerBlock, TYPE, uint32 } from '../h2-frames.js'
import { http1Origin, type Origin } from '../origins.js'
import { endpoint } from '../start-proxy.js'
import { CODE, FrameClient, request } from './h2-client.js'
import { memoryOf, politeBeside, quantile, type Rig, startRig, warmUp } from './rig.js'

const SETTINGS = { maxStreams: 100, maxResetsPerSecond: 200, maxHeaderBytes: 65_536, maxHeaderFields: 200 }
// Row 68's figure; also the noise of V8's young generation.
const GROWTH_BYTES = 20 << 20
// Flooder, polite client and services are one process here, so that this says only that requests go on; beside.test.ts measures the latency.
const POLITE_MS = 1000
const PRIORITY = 2
// Below header_timeout, which would end the connection with the same code.
const CALM_MS = 9000

interface Outcome {
  /** Of the GOAWAY; null: none came, or a reset overtook it. */
  goaway: number | null
  sent: number
  closed: boolean
}

describe('floods', () => {
  let rig: Rig
  let large: Origin
  before(async () => {
    rig = await startRig({
      settings: SETTINGS,
      http2: {
        answer: ({ connection, id, heard }) => {
          if (!heard.target.startsWith('/hang')) {
            connection.respond(
              id,
              [
                [':status', '200'],
                ['content-length', String(heard.target.length)],
              ],
              heard.target,
            )
          }
        },
      },
    })
    large = await http1Origin((_request, response) => response.end(Buffer.alloc(32 << 20, 97)))
    await rig.proxy.setTable([
      { prefix: '/w/', endpoints: [endpoint(rig.http1.port)] },
      { prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(rig.http2.port)] },
      { prefix: '/large/', endpoints: [endpoint(large.port)] },
    ])
    await warmUp(rig)
  })
  after(async () => {
    await rig.stop()
    await large.close()
  })

  afterEach(() => FrameClient.closeAll())

  /** Sends `count` times what `make` makes, as fast as the connection takes it, until it ends. */
  async function pour(client: FrameClient, count: number, make: (at: number) => Buffer): Promise<Outcome> {
    const batch = 200
    let sent = 0
    while (sent < count && client.goaway === null && !client.closed) {
      const parts = Array.from({ length: Math.min(batch, count - sent) }, (_, at) => make(sent + at))
      sent += parts.length
      await new Promise<void>(resolve => {
        if (client.closed) return resolve()
        client.socket.once('close', resolve)
        client.socket.write(Buffer.concat(parts), () => {
          client.socket.off('close', resolve)
          resolve()
        })
      })
      // What has come is read before more is written: a write after a reset would lose it.
      await new Promise(resolve => setImmediate(resolve))
    }
    await client.seen(() => client.goaway !== null || client.closed, CALM_MS).catch(() => {})
    return { goaway: client.goaway, sent, closed: client.closed }
  }

  /** A flood beside polite requests: what became of it.  A reset may overtake the GOAWAY on its way: then it is poured once more. */
  async function beside(flood: () => Promise<Outcome>): Promise<Outcome> {
    const before = memoryOf(rig.pid)
    const polite = await politeBeside(rig)
    let outcome = await flood()
    for (let again = 0; again < 3 && outcome.closed && outcome.goaway === null; again++) outcome = await flood()
    const tookMs = await polite.stop()
    assert.ok(quantile(tookMs, 0.99) < POLITE_MS, `polite requests took up to ${tookMs.at(-1)} ms`)
    const grown = memoryOf(rig.pid).rssBytes - before.rssBytes
    assert.ok(grown < GROWTH_BYTES, `the worker grew by ${grown >> 20} MiB`)
    rig.http1.forget()
    rig.http2.forget()
    await rig.stillServes()
    return outcome
  }

  const calm = (outcome: Outcome) => assert.equal(outcome.goaway, CODE.CALM, JSON.stringify(outcome))

  describe('row 66: long heads', () => {
    const fill = 'a'.repeat(40 * 1024)
    /** The block in frames of at most 16 KiB. */
    const inFrames = (id: number, block: Buffer): Buffer[] => {
      const parts: Buffer[] = []
      for (let at = 0; at < block.length; at += 16_384) parts.push(block.subarray(at, at + 16_384))
      return parts.map((part, at) =>
        frame(
          at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION,
          (at === 0 ? FLAG.END_STREAM : 0) | (at === parts.length - 1 ? FLAG.END_HEADERS : 0),
          id,
          part,
        ),
      )
    }
    // Literal with incremental indexing: `x-kept: here` becomes entry 62.
    const kept = Buffer.concat([Buffer.from([0x40, 6]), Buffer.from('x-kept'), Buffer.from([4]), Buffer.from('here')])
    const entry62 = Buffer.from([0x80 | 62])

    it('40 KiB by CONTINUATION pass below the limit', async () => {
      rig.http2.forget()
      const client = await FrameClient.open(rig.proxy.port)
      const id = client.id()
      client.send(...inFrames(id, headerBlock(request('/g/x', { 'x-fill': fill }))))
      assert.equal((await client.settled(id)).status, 200)
      assert.ok(rig.http2.heard[0]!.fields.includes(`x-fill: ${fill}`))
      client.close()
      await rig.stillServes()
    })

    for (const [title, change] of [
      ['a request', {}],
      ['a gRPC call', { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }],
    ] as const) {
      // One value that no limit lets in, and two that each would pass.
      const long: [string, string][] =
        title === 'a request'
          ? [['x-fill', fill + fill]]
          : [
              ['x-fill', fill],
              ['x-more', fill],
            ]
      it(`${title} with 80 KiB is refused, its stream only, and HPACK goes on`, async () => {
        rig.http2.forget()
        const client = await FrameClient.open(rig.proxy.port)
        const id = client.id()
        const block = headerBlock([...request('/g/x', change), ...long])
        client.send(...inFrames(id, Buffer.concat([block, kept])))
        const answer = await client.settled(id)
        assert.equal(client.goaway, null)
        if (title === 'a request') assert.equal(answer.status, 431)
        else assert.ok(answer.status === 200 && answer.headOnly && answer.fields.includes('grpc-status: 8'), JSON.stringify(answer))
        const next = client.id()
        client.send(
          frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, next, Buffer.concat([headerBlock(request('/g/after')), entry62])),
        )
        assert.equal((await client.settled(next)).body, '/after')
        client.close()
        assert.deepEqual(
          rig.http2.heard.map(heard => heard.target),
          ['/after'],
        )
        assert.ok(rig.http2.heard[0]!.fields.includes('x-kept: here'))
        await rig.stillServes()
      })
    }
  })

  describe('row 67: CONTINUATION without end', () => {
    for (const [title, fragment] of [
      ['fields', headerBlock([['x-fill', 'a'.repeat(20)]])],
      ['single bytes', Buffer.from('a')],
      ['nothing', Buffer.alloc(0)],
    ] as const) {
      it(`20,000 frames of ${title} are GOAWAY with ENHANCE_YOUR_CALM`, async () => {
        const outcome = await beside(async () => {
          const client = await FrameClient.open(rig.proxy.port)
          // A value of 30,000 bytes, within the limit, that the single bytes go on and on filling.
          const begun =
            title === 'single bytes'
              ? Buffer.concat([headerBlock(request('/g/x')), Buffer.from([0, 1, 120, 0x7f, 0xb1, 0xe9, 1])])
              : headerBlock(request('/g/x'))
          client.send(frame(TYPE.HEADERS, FLAG.END_STREAM, 1, begun))
          const each = frame(TYPE.CONTINUATION, 0, 1, fragment)
          return pour(client, 20_000, () => each)
        })
        calm(outcome)
      })
    }
  })

  describe('row 68: resets', () => {
    const opensAndResets = (client: FrameClient, path: string) => () => {
      const id = client.id()
      return Buffer.concat([
        frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, id, headerBlock(request(path))),
        frame(TYPE.RST, 0, id, uint32(CODE.CANCEL)),
      ])
    }
    for (const path of ['/g/hang', '/w/x']) {
      it(`10,000 HEADERS + RST at once to ${path} are slowed down, then GOAWAY with ENHANCE_YOUR_CALM`, async () => {
        calm(
          await beside(async () => {
            const client = await FrameClient.open(rig.proxy.port)
            return pour(client, 10_000, opensAndResets(client, path))
          }),
        )
      })
    }

    const provoked: [string, (id: number) => Buffer][] = [
      ['WINDOW_UPDATE of 0', id => frame(TYPE.WINDOW_UPDATE, 0, id, uint32(0))],
      ['PRIORITY of 4 bytes', id => frame(PRIORITY, 0, id, uint32(0))],
      ['WINDOW_UPDATE beyond 2^31 - 1', id => frame(TYPE.WINDOW_UPDATE, 0, id, uint32(0x7fffffff))],
      ['trailers with a pseudo field', id => frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, id, headerBlock([[':path', '/']]))],
    ]
    for (const [title, provoke] of provoked) {
      it(`10,000 resets that ${title} makes us send are GOAWAY with ENHANCE_YOUR_CALM`, async () => {
        calm(
          await beside(async () => {
            const client = await FrameClient.open(rig.proxy.port)
            const head = headerBlock(request('/g/hang', { ':method': 'POST' }))
            return pour(client, 10_000, () => {
              const id = client.id()
              return Buffer.concat([frame(TYPE.HEADERS, FLAG.END_HEADERS, id, head), provoke(id)])
            })
          }),
        )
      })
    }
  })

  describe('row 69: control frames', () => {
    const frames: [string, Buffer][] = [
      ['SETTINGS', frame(TYPE.SETTINGS, 0, 0)],
      ['SETTINGS with a value', frame(TYPE.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255]))],
      ['PING', frame(TYPE.PING, 0, 0, Buffer.from('12345678'))],
      ['empty DATA', frame(TYPE.DATA, 0, 1)],
      ['PRIORITY', frame(PRIORITY, 0, 3, Buffer.from([0, 0, 0, 0, 15]))],
      ['WINDOW_UPDATE of 1', frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(1))],
      ['WINDOW_UPDATE of 1 for a stream', frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(1))],
    ]
    for (const [title, each] of frames) {
      it(`100,000 ${title} are GOAWAY with ENHANCE_YOUR_CALM`, async () => {
        calm(
          await beside(async () => {
            const client = await FrameClient.open(rig.proxy.port)
            client.headers(request('/g/hang', { ':method': 'POST' }), 'more')
            return pour(client, 100_000, () => each)
          }),
        )
      })
    }

    for (const [title, each] of frames.slice(0, 3)) {
      it(`100,000 ${title} from a client that reads no answer: the queue of answers is bounded`, async () => {
        const outcome = await beside(async () => {
          const client = await FrameClient.open(rig.proxy.port)
          client.socket.pause()
          const whole = Buffer.concat(Array.from({ length: 100_000 }, () => each))
          client.socket.write(whole)
          await new Promise(resolve => setTimeout(resolve, 500))
          client.socket.resume()
          await client.seen(() => client.goaway !== null || client.closed, CALM_MS).catch(() => {})
          const { goaway, closed } = client
          client.close()
          return { goaway, closed, sent: 100_000 }
        })
        calm(outcome)
      })
    }

    it('200 PINGs, one after the other, are answered, and no more is said about them', async () => {
      const client = await FrameClient.open(rig.proxy.port)
      for (let at = 0; at < 200; at++) {
        const payload = Buffer.alloc(8, at)
        client.send(frame(TYPE.PING, 0, 0, payload))
        await client.seen(() => client.control.some(one => one.type === TYPE.PING && one.flags === FLAG.ACK && one.payload.equals(payload)))
      }
      assert.equal((await client.get('/w/polite')).body, '/polite')
      assert.equal(client.goaway, null)
      client.close()
      await rig.stillServes()
    })

    it('a client that credits every frame of 32 MiB on its own is no flooder', async () => {
      const client = await FrameClient.open(rig.proxy.port)
      client.creditsAll = true
      const answer = await client.settled(client.headers(request('/large/x'), 'end'))
      assert.deepEqual([answer.status, answer.bodyBytes, client.goaway], [200, 32 << 20, null])
      client.close()
      await rig.stillServes()
    })

    it('a body in frames of one byte each is no flood', async () => {
      rig.http2.forget()
      const client = await FrameClient.open(rig.proxy.port)
      const id = client.headers(request('/g/x', { ':method': 'POST' }), 'more')
      const one = frame(TYPE.DATA, 0, id, Buffer.from('a'))
      client.send(Buffer.concat(Array.from({ length: 5000 }, () => one)), frame(TYPE.DATA, FLAG.END_STREAM, id))
      assert.equal((await client.settled(id)).status, 200)
      assert.equal(client.goaway, null)
      assert.equal(rig.http2.heard[0]!.body.length, 5000)
      client.close()
      await rig.stillServes()
    })
  })
})
