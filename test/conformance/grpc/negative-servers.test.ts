// The eight bad servers of http2-interop-test-descriptions.md behind the proxy, and grpc-js in front of it.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type EchoClient, echoClient, unary } from '../grpc-echo.js'
import { FLAG, TYPE } from '../h2-frames.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { answer, GRPC_HEAD } from './calls.js'
import { RST, SETTING, type Wire, type WireService, type WireStream, wireService } from './wire.js'

const RESPONSE_BYTES = 314_159
const FRAME_BYTES = 5
const PADDING_BYTES = 255
const PARALLEL = 15

/** A message of the interop test's large response. */
function largeMessage(): Buffer {
  const out = Buffer.alloc(5 + RESPONSE_BYTES, 'm')
  out[0] = 0
  out.writeUInt32BE(RESPONSE_BYTES, 1)
  return out
}

describe('bad servers', () => {
  let act: (stream: WireStream) => void = () => {}
  let acknowledged = 0
  /** SETTINGS that the proxy has acknowledged; before the first it cannot know any limit. */
  const settingsAcks = new Map<Wire, number>()
  const limits: [number, number][] = []
  let service: WireService
  let proxy: TestProxy
  let client: EchoClient

  before(async () => {
    service = await wireService({
      ended: stream => act(stream),
      settings: limits,
      frame: ({ type, flags }, wire) => {
        if ((flags & FLAG.ACK) === 0) return
        if (type === TYPE.PING) acknowledged++
        if (type === TYPE.SETTINGS) settingsAcks.set(wire, (settingsAcks.get(wire) ?? 0) + 1)
      },
    })
    proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', timeoutMs: 10_000, endpoints: [endpoint(service.port)] }])
    client = echoClient(proxy.port, '/s/')
  })
  after(async () => {
    client.close()
    await proxy.stop()
    await service.close()
  })

  const call = (text = 'x') => unary(client, 'unary', Buffer.from(text))

  it('goaway: after it the next call goes over a new connection, and both succeed', async () => {
    act = stream => {
      answer(stream, 'first')
      stream.wire.goaway(stream.id, RST.NO_ERROR)
    }
    const first = await call()
    assert.deepEqual([first.code, String(first.reply)], [0, 'first'], first.details)
    const used = service.calls.at(-1)!.wire
    act = stream => answer(stream, 'second')
    const second = await call()
    assert.deepEqual([second.code, String(second.reply)], [0, 'second'], second.details)
    assert.notEqual(service.calls.at(-1)!.wire, used)
    // Nothing keeps the old one: the proxy closes it.
    await until(() => used.closed)
  })

  for (const [name, code, status] of [
    ['NO_ERROR', RST.NO_ERROR, 13],
    ['INTERNAL_ERROR', RST.INTERNAL, 13],
  ] as const) {
    it(`rst_after_header with ${name}: ${status}, no message`, async () => {
      act = ({ wire, id }) => {
        wire.headers(id, GRPC_HEAD, 'more')
        wire.reset(id, code)
      }
      const { code: got, reply, details } = await call()
      assert.deepEqual([got, reply], [status, null], details)
    })

    it(`rst_during_data with ${name}: ${status}, and half a message is no message`, async () => {
      act = ({ wire, id }) => {
        wire.headers(id, GRPC_HEAD, 'more')
        wire.data(id, largeMessage().subarray(0, RESPONSE_BYTES / 2))
        void wire.ping().then(() => wire.reset(id, code))
      }
      const { code: got, reply, details } = await call()
      assert.deepEqual([got, reply], [status, null], details)
    })

    it(`rst_after_data with ${name}: ${status}, although the whole message has come`, async () => {
      act = ({ wire, id }) => {
        wire.headers(id, GRPC_HEAD, 'more')
        wire.data(id, largeMessage())
        void wire.ping().then(() => wire.reset(id, code))
      }
      const { code: got, details } = await call()
      assert.equal(got, status, details)
    })
  }

  it('ping: PINGs before the head, between head and data, within and after it are all answered, and the call is well', async () => {
    acknowledged = 0
    const payload = (number: number) => Buffer.from(`ping-00${number}`)
    const seen: string[] = []
    act = ({ wire, id }) => {
      const ping = (number: number) => void wire.ping(payload(number)).then(got => seen.push(String(got)))
      ping(1)
      wire.headers(id, GRPC_HEAD, 'more')
      ping(2)
      wire.data(id, largeMessage().subarray(0, 10_000))
      ping(3)
      wire.data(id, largeMessage().subarray(10_000))
      ping(4)
      wire.headers(id, [['grpc-status', '0']], 'end')
      ping(5)
    }
    const { code, reply, details } = await call()
    assert.deepEqual([code, reply?.length], [0, RESPONSE_BYTES], details)
    await until(() => acknowledged === 5)
    assert.deepEqual(
      seen,
      [1, 2, 3, 4, 5].map(number => String(payload(number))),
    )
  })

  it(`max_streams: a limit of 1 that comes after the first call is kept by ${PARALLEL} parallel ones, and all succeed`, async () => {
    let most = 0
    act = stream => {
      // From now on every connection has it: this one by a change, new ones from their beginning.
      limits.push([SETTING.MAX_STREAMS, 1])
      stream.wire.settings(limits)
      // The answer follows the acknowledgement: whatever comes after it knows the limit.
      const known = settingsAcks.get(stream.wire)!
      void until(() => settingsAcks.get(stream.wire)! > known).then(() => answer(stream))
    }
    assert.equal((await call()).code, 0)
    act = stream => {
      if (settingsAcks.has(stream.wire)) most = Math.max(most, stream.wire.openCalls())
      setTimeout(() => answer(stream), 5)
    }
    const results = await Promise.all(Array.from({ length: PARALLEL }, () => call()))
    limits.length = 0
    assert.deepEqual(new Set(results.map(({ code }) => code)), new Set([0]), results.find(({ code }) => code !== 0)?.details)
    assert.equal(most, 1)
  })

  for (const [name, padding] of [
    ['data_frame_padding', PADDING_BYTES],
    ['no_df_padding_sanity_test', undefined],
  ] as const) {
    it(`${name}: 62,833 DATA frames of ${FRAME_BYTES} bytes and ${padding ?? 'no'} padding arrive as one message`, async () => {
      act = ({ wire, id }) => {
        wire.headers(id, GRPC_HEAD, 'more')
        const message = largeMessage()
        for (let at = 0; at < message.length; at += FRAME_BYTES) wire.data(id, message.subarray(at, at + FRAME_BYTES), 'more', padding)
        wire.headers(id, [['grpc-status', '0']], 'end')
      }
      const { code, reply, details } = await call()
      assert.deepEqual([code, reply?.equals(largeMessage().subarray(5))], [0, true], details)
    })
  }
})
