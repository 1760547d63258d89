// gRPC rules 9 to 13 and 15 (proxy.md D): how what went wrong is told.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { encodeGrpcMessage } from '../../../src/core/grpc.js'
import { frame, message, TYPE } from '../h2-frames.js'
import { until } from '../start-proxy.js'
import { afterRead, answer, begin, GRPC_HEAD, grpcRequest, isOver, rawCall, trailersOnly } from './calls.js'
import type { Field } from './hpack-reader.js'
import { type Rig, startRig } from './rig.js'
import { openWire, RST, SETTING, type WireStream } from './wire.js'

const TRAILERS = 'HEADERS DATA HEADERS+END'
const HEAD_ONLY = 'HEADERS+END'
const IDLE_MS = 1000

describe('gRPC rules 9-13 and 15', () => {
  let rig: Rig
  let early: ((stream: WireStream) => void) | null = null
  before(async () => {
    rig = await startRig({ route: { timeoutMs: IDLE_MS }, service: { data: stream => early?.(stream) } })
  })
  beforeEach(() => {
    rig.act = answer
    early = null
  })
  after(() => rig.close())

  describe('rule 09: a proxy-made error after the head comes as trailers, never as a bare END_STREAM', () => {
    const ways: { title: string; act(stream: WireStream): void; status: string; more?: Field[] }[] = [
      { title: 'the stream is reset', status: '13', act: ({ wire, id }) => wire.reset(id, RST.INTERNAL) },
      { title: 'the connection is lost', status: '14', act: ({ wire }) => void afterRead(wire, () => wire.kill()) },
      { title: 'the connection is closed', status: '14', act: ({ wire }) => void afterRead(wire, () => wire.close()) },
      { title: 'nothing comes for the route’s timeout', status: '14', act: () => {} },
      { title: 'the deadline passes', status: '4', act: () => {}, more: [['grpc-timeout', '500m']] },
    ]
    for (const { title, act, status, more } of ways) {
      it(`${title}: ${status}`, async () => {
        rig.act = stream => {
          begin(stream)
          act(stream)
        }
        const stream = await rig.call({ more: more ?? [] })
        assert.deepEqual([stream.shape, stream.trailer('grpc-status')], [TRAILERS, status])
        assert.ok(stream.trailer('grpc-message')!.length > 0)
      })
    }
    it('the service sends a frame that cannot be: 13, and the connection is used no more', async () => {
      const own = await startRig()
      own.act = stream => {
        begin(stream)
        void afterRead(stream.wire, () => stream.wire.send(frame(TYPE.DATA, 0, 0, Buffer.from('x'))))
      }
      const stream = await own.call()
      assert.deepEqual([stream.shape, stream.trailer('grpc-status')], [TRAILERS, '13'])
      own.act = answer
      assert.equal((await own.call()).grpcStatus, '0')
      assert.equal(own.service.accepted(), 2)
      await own.close()
    })
    const flooded = (stream: WireStream) => {
      stream.wire.headers(stream.id, GRPC_HEAD, 'more')
      stream.wire.data(stream.id, message('m'.repeat(50_000)))
      void afterRead(stream.wire, () => stream.wire.reset(stream.id, RST.INTERNAL))
    }
    const SMALL_WINDOW = { credit: 'withheld', settings: [[SETTING.INITIAL_WINDOW, 1000] as [number, number]] } as const
    it('a client that takes its answer slowly is told as well', async () => {
      const wire = await openWire(rig.proxy.port, { ...SMALL_WINDOW, settings: [...SMALL_WINDOW.settings] })
      rig.act = flooded
      const stream = wire.open(grpcRequest('/s/x.Y/Z'), 'end')
      await until(() => stream.body.length === 1000)
      for (const id of [0, stream.id]) wire.windowUpdate(id, 1_000_000)
      await isOver(stream)
      assert.deepEqual([stream.shape, stream.grpcStatus], [TRAILERS, '13'])
      wire.close()
    })
    it('one that takes nothing at all sees no clean end, and is not waited for longer than send_timeout', async () => {
      const own = await startRig({ settings: { sendTimeoutMs: 400 } })
      const wire = await openWire(own.proxy.port, { ...SMALL_WINDOW, settings: [...SMALL_WINDOW.settings] })
      own.act = flooded
      const stream = await rawCall(wire, '/s/x.Y/Z')
      assert.match(stream.shape, /^HEADERS DATA (HEADERS\+END|RST\([1-9][0-9]*\))$/)
      wire.close()
      await own.close()
    })
  })

  describe('rule 10: trailers before the client has finished are followed by RST NO_ERROR', () => {
    it('late DATA is thrown away and counted: the connection’s window does not run dry', async () => {
      const LATE = 60_000
      rig.act = () => {}
      for (let round = 0; round < 40; round++) {
        early = stream => {
          early = null
          answer(stream, 'enough')
        }
        const stream = rig.open('more')
        rig.wire.data(stream.id, message('first'))
        // On its way before anybody could have told the client.
        rig.wire.data(stream.id, Buffer.alloc(LATE))
        await isOver(stream)
        await until(() => stream.resetCode !== null)
        assert.deepEqual([stream.shape, stream.grpcStatus], [`${TRAILERS} RST(0)`, '0'])
      }
      rig.act = answer
      const body = Buffer.concat([Buffer.from([0, 0, 1, 0x86, 0xa0]), Buffer.alloc(100_000)])
      assert.equal((await rig.call({ body })).grpcStatus, '0')
      assert.equal(rig.seen().body.length, body.length)
    })

    it('a service that does so, and has last words about the ended stream, disturbs no other', async () => {
      early = stream => {
        if (stream.field(':path') !== '/early' || stream.done) return
        answer(stream, 'enough')
        stream.wire.reset(stream.id, RST.NO_ERROR)
        stream.wire.windowUpdate(stream.id, 1000)
      }
      rig.act = stream => setTimeout(() => answer(stream, 'whole'), 5)
      const connections = rig.service.accepted()
      for (let round = 0; round < 10; round++) {
        const calls = Array.from({ length: 40 }, (_, place) => {
          const stream = rig.wire.open(grpcRequest(place % 2 === 0 ? '/s/early' : '/s/whole'), 'more')
          rig.wire.data(stream.id, message('x'), place % 2 === 0 ? 'more' : 'end')
          return stream
        })
        await Promise.all(calls.map(isOver))
        assert.deepEqual(new Set(calls.map(call => call.grpcStatus)), new Set(['0']))
      }
      assert.ok(rig.service.accepted() - connections <= 4, 'the connections are kept')
    })
  })

  describe('rule 11: grpc-status', () => {
    it('0 to 16 go through as they are, in trailers and trailers-only', async () => {
      for (let status = 0; status <= 16; status++) {
        rig.act = stream => trailersOnly(stream, status)
        assert.equal((await rig.call()).field('grpc-status'), String(status))
        rig.act = stream => {
          begin(stream)
          stream.wire.headers(stream.id, [['grpc-status', String(status)]], 'end')
        }
        assert.equal((await rig.call()).trailer('grpc-status'), String(status))
      }
    })
    it('one that is absent from the trailers of a gRPC answer is not made up as success', async () => {
      rig.act = stream => {
        begin(stream)
        stream.wire.headers(stream.id, [['x-only', 'this']], 'end')
      }
      const stream = await rig.call()
      assert.ok(stream.grpcStatus === undefined || stream.grpcStatus === '2', stream.grpcStatus)
      assert.equal(stream.trailer('x-only'), 'this')
    })
    it('a service that ends with DATA and no trailers is no success either', async () => {
      rig.act = ({ wire, id }) => {
        wire.headers(id, GRPC_HEAD, 'more')
        wire.data(id, message('x'), 'end')
      }
      const stream = await rig.call()
      assert.ok(stream.grpcStatus === undefined || stream.grpcStatus === '2', stream.grpcStatus)
    })
    it('a call whose connection is lost is 14', async () => {
      rig.act = stream => stream.wire.kill()
      assert.equal((await rig.call()).grpcStatus, '14')
    })
  })

  describe('rule 12: grpc-message', () => {
    for (const [text, wanted] of [
      ['50% off', '50%25 off'],
      ['é', '%C3%A9'],
      ['\t', '%09'],
      ['\n', '%0A'],
      ['☺😈', '%E2%98%BA%F0%9F%98%88'],
      [' #$&~', ' #$&~'],
      ['\x7f\x00', '%7F%00'],
    ] as const) {
      it(`${JSON.stringify(text)} is written ${wanted}`, () => assert.equal(encodeGrpcMessage(text), wanted))
    }
    it('the proxy’s own messages are written so', async () => {
      const stream = await rawCall(rig.wire, '/nowhere/%C3%A9/x')
      assert.match(stream.field('grpc-message')!, /\/nowhere\/%25C3%25A9\/x/)
    })
    for (const broken of ['%zz', '100%', 'plain "é"', '%c3%a9', 'a%']) {
      it(`a service’s ${JSON.stringify(broken)} goes through untouched`, async () => {
        rig.act = stream => trailersOnly(stream, 3, [['grpc-message', broken]])
        assert.equal((await rig.call()).field('grpc-message'), broken)
        rig.act = stream => {
          begin(stream)
          stream.wire.headers(
            stream.id,
            [
              ['grpc-status', '3'],
              ['grpc-message', broken],
            ],
            'end',
          )
        }
        assert.equal((await rig.call()).trailer('grpc-message'), broken)
      })
    }
  })

  describe('rule 13: an answer that is no gRPC is told by its HTTP status', () => {
    const http = (status: number, more: Field[] = []) => {
      rig.act = ({ wire, id }) => {
        wire.headers(id, [[':status', String(status)], ['content-type', 'text/plain'], ...more], 'more')
        wire.data(id, Buffer.from('no gRPC here'), 'end')
      }
    }
    for (const [status, code] of [
      [400, 13],
      [401, 16],
      [403, 7],
      [404, 12],
      [429, 14],
      [431, 13],
      [502, 14],
      [503, 14],
      [504, 14],
      [200, 2],
      [204, 2],
      [302, 2],
      [418, 2],
      [500, 2],
    ] as const) {
      it(`${status} is ${code}`, async () => {
        http(status)
        const stream = await rig.call()
        assert.deepEqual([stream.shape, stream.field(':status'), stream.field('grpc-status')], [HEAD_ONLY, '200', String(code)])
        assert.match(stream.field('grpc-message')!, new RegExp(`HTTP ${status}`))
        assert.equal(stream.field('content-type'), 'application/grpc')
      })
    }
    it('a 1xx is not the answer', async () => {
      rig.act = stream => {
        stream.wire.headers(
          stream.id,
          [
            [':status', '103'],
            ['link', '</x>'],
          ],
          'more',
        )
        answer(stream, 'the real one')
      }
      const stream = await rig.call()
      assert.deepEqual([stream.grpcStatus, stream.shape], ['0', TRAILERS])
    })
    it('a grpc-status wins over the HTTP status', async () => {
      rig.act = ({ wire, id }) =>
        wire.headers(
          id,
          [
            [':status', '503'],
            ['content-type', 'application/grpc'],
            ['grpc-status', '8'],
            ['grpc-message', 'mine'],
          ],
          'end',
        )
      const stream = await rig.call()
      assert.deepEqual([stream.grpcStatus, stream.field('grpc-message')], ['8', 'mine'])
    })
  })

  describe('rule 15: an upstream’s RST is told by its code', () => {
    for (const [code, status] of [
      [0, 13],
      [1, 13],
      [2, 13],
      [3, 13],
      [4, 13],
      [5, 13],
      [6, 13],
      [7, 14],
      [8, 1],
      [9, 13],
      [10, 13],
      [11, 8],
      [12, 7],
      [13, 13],
      [99, 13],
    ] as const) {
      it(`${code} is ${status}, before the head and after it`, async () => {
        rig.act = stream => stream.wire.reset(stream.id, code)
        const first = await rig.call()
        assert.deepEqual([first.shape, first.grpcStatus], [HEAD_ONLY, String(status)])
        rig.act = stream => {
          begin(stream)
          stream.wire.reset(stream.id, code)
        }
        const second = await rig.call()
        assert.deepEqual([second.shape, second.grpcStatus], [TRAILERS, String(status)])
      })
    }
    it('an END_STREAM that has come before the RST wins', async () => {
      rig.act = stream => {
        answer(stream)
        stream.wire.reset(stream.id, RST.CANCEL)
      }
      assert.equal((await rig.call()).grpcStatus, '0')
    })
  })
})
