// The four interop cases about compression: in frames, because grpc-js hides the Compressed-Flag and its server cannot compress; and once more from grpc-js.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { GRPC_HEAD, grpcRequest, messagesOf, trailersOnly } from './calls.js'
import type { Field } from './hpack-reader.js'
import { InteropClient } from './interop-client.js'
import { type Message, type Method, SERVICE, zeros } from './interop-service.js'
import { openWire, type Wire, type WireService, type WireStream, wireService } from './wire.js'

const INVALID_ARGUMENT = 3
const GZIP: Field[] = [
  ['grpc-encoding', 'gzip'],
  ['grpc-accept-encoding', 'identity,gzip'],
]
const PROXY_ADDS = /^(:path|:authority|x-forwarded-(for|proto|host)|x-request-id|via|forwarded)$/

/** The Compressed-Flag of a message. */
type Flag = 0 | 1

/** A message as it goes over the wire. */
function packed(bytes: Buffer, flag: Flag): Buffer {
  const body = flag === 1 ? gzipSync(bytes) : bytes
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

/** Answers as the description says; a message that is not compressed as it claims is INVALID_ARGUMENT. */
function serve(stream: WireStream): void {
  const { wire, id } = stream
  const name = stream.field(':path')!.split('/').pop() as 'UnaryCall' | 'StreamingInputCall' | 'StreamingOutputCall'
  const method = SERVICE[name]
  const requests = messagesOf(stream.body).map(({ flag, bytes }) => {
    const request = method.requestDeserialize(flag === 1 ? gunzipSync(bytes) : bytes) as Message
    return { request, honest: !request.expect_compressed || request.expect_compressed.value === (flag === 1) }
  })
  if (requests.some(({ honest }) => !honest)) {
    trailersOnly(stream, INVALID_ARGUMENT, [['grpc-message', 'not compressed as it says']])
    return
  }
  wire.headers(id, [...GRPC_HEAD, ...GZIP], 'more')
  const reply = (message: Message, flag: Flag) => wire.data(id, packed(method.responseSerialize(message), flag))
  const [{ request } = { request: {} as Message }] = requests
  if (name === 'StreamingInputCall') {
    const total = requests.reduce((sum, each) => sum + (each.request.payload?.body.length ?? 0), 0)
    reply({ aggregated_payload_size: total }, 0)
  } else if (name === 'UnaryCall') reply(zeros(request.response_size ?? 0), request.response_compressed?.value ? 1 : 0)
  else for (const { size, compressed } of request.response_parameters ?? []) reply(zeros(size), compressed?.value ? 1 : 0)
  wire.headers(id, [['grpc-status', '0']], 'end')
}

interface Ask {
  method: Method
  messages: { message: Message; flag: Flag }[]
}

/** Everything the frames of a call showed, on both sides of the way. */
interface Told {
  shape: string
  status: string | undefined
  head: Field[]
  trailers: Field[]
  replies: { flag: number; bytes: Buffer }[]
  seenHead: Field[]
  seen: { flag: number; bytes: Buffer }[]
}

const unary = (message: Message, flag: Flag): Ask => ({ method: SERVICE.UnaryCall, messages: [{ message, flag }] })
const upload = (messages: Ask['messages']): Ask => ({ method: SERVICE.StreamingInputCall, messages })
const expecting = (value: boolean, size: number): Message => ({ expect_compressed: { value }, response_size: 314_159, ...zeros(size) })
const wanting = (value: boolean): Message => ({ response_compressed: { value }, response_size: 314_159, ...zeros(271_828) })
const LARGE = SERVICE.UnaryCall.responseSerialize(zeros(314_159))

const CASES: { name: string; asks: Ask[]; check(told: Told[]): void }[] = [
  {
    name: 'client_compressed_unary',
    asks: [unary(expecting(true, 271_828), 0), unary(expecting(true, 271_828), 1), unary(expecting(false, 271_828), 0)],
    check: told => {
      assert.deepEqual(
        [told.map(each => each.status), told.map(each => each.seen[0]!.flag)],
        [
          ['3', '0', '0'],
          [0, 1, 0],
        ],
      )
      for (const { replies } of told.slice(1)) assert.ok(replies[0]!.bytes.equals(LARGE))
    },
  },
  {
    name: 'server_compressed_unary',
    asks: [unary(wanting(true), 0), unary(wanting(false), 0)],
    check: told => {
      assert.deepEqual(
        told.map(({ replies }) => replies.map(({ flag }) => flag)),
        [[1], [0]],
      )
      assert.ok(gunzipSync(told[0]!.replies[0]!.bytes).equals(LARGE) && told[1]!.replies[0]!.bytes.equals(LARGE))
    },
  },
  {
    name: 'client_compressed_streaming',
    asks: [
      upload([{ message: expecting(true, 27_182), flag: 0 }]),
      upload([
        { message: expecting(true, 27_182), flag: 1 },
        { message: expecting(false, 45_904), flag: 0 },
      ]),
    ],
    check: ([probe, real]) => {
      assert.deepEqual([probe!.status, real!.status, real!.seen.map(({ flag }) => flag)], ['3', '0', [1, 0]])
      const answer = SERVICE.StreamingInputCall.responseDeserialize(real!.replies[0]!.bytes) as Message
      assert.equal(answer.aggregated_payload_size, 73_086)
    },
  },
  {
    name: 'server_compressed_streaming',
    asks: [
      {
        method: SERVICE.StreamingOutputCall,
        messages: [
          {
            message: {
              response_parameters: [
                { size: 31_415, compressed: { value: true } },
                { size: 92_653, compressed: { value: false } },
              ],
            },
            flag: 0,
          },
        ],
      },
    ],
    check: ([told]) => {
      assert.deepEqual([told!.status, told!.replies.map(({ flag }) => flag)], ['0', [1, 0]])
      const size = (bytes: Buffer) => (SERVICE.StreamingOutputCall.responseDeserialize(bytes) as Message).payload?.body.length
      assert.deepEqual([size(gunzipSync(told!.replies[0]!.bytes)), size(told!.replies[1]!.bytes)], [31_415, 92_653])
    },
  },
]

describe('interop with compression', () => {
  let service: WireService
  let proxy: TestProxy
  let direct: Wire
  let proxied: Wire

  before(async () => {
    service = await wireService({ ended: serve })
    proxy = await startTestProxy([{ prefix: '/interop/', protocol: 'h2c', endpoints: [endpoint(service.port)] }])
    direct = await openWire(service.port)
    proxied = await openWire(proxy.port)
  })
  after(async () => {
    direct.close()
    proxied.close()
    await proxy.stop()
    await service.close()
  })

  const ask = async (wire: Wire, prefix: string, { method, messages }: Ask): Promise<Told> => {
    const stream = wire.open(grpcRequest(`${prefix}${method.path.slice(1)}`, GZIP), 'more')
    for (const { message, flag } of messages) wire.data(stream.id, packed(method.requestSerialize(message), flag))
    wire.data(stream.id, Buffer.alloc(0), 'end')
    await stream.over
    const call = service.calls.at(-1)!
    return {
      shape: stream.shape,
      status: stream.grpcStatus,
      head: stream.head,
      trailers: stream.trailers,
      replies: messagesOf(stream.body),
      seenHead: call.head.filter(([name]) => !PROXY_ADDS.test(name)),
      seen: messagesOf(call.body),
    }
  }

  for (const { name, asks, check } of CASES) {
    it(`${name}: the same frames, field for field and byte for byte`, async () => {
      const runs: Told[][] = []
      for (const [wire, prefix] of [
        [direct, '/'],
        [proxied, '/interop/'],
      ] as const) {
        const told: Told[] = []
        for (const each of asks) told.push(await ask(wire, prefix, each))
        check(told)
        runs.push(told)
      }
      // The order of a request's fields may change, that of equal names may not; a stable sort by name shows exactly that.
      const sorted = (told: Told[]) =>
        told.map(each => ({ ...each, seenHead: each.seenHead.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) }))
      assert.deepEqual(sorted(runs[1]!), sorted(runs[0]!))
    })
  }

  it('grpc-js with gzip: what it compresses arrives compressed, what comes compressed is read', async () => {
    const GZIP_ALGORITHM = 2
    const told = []
    for (const [port, prefix] of [
      [service.port, '/'],
      [proxy.port, '/interop/'],
    ] as const) {
      const client = new InteropClient(port, prefix, { 'grpc.default_compression_algorithm': GZIP_ALGORITHM })
      const sent = await client.unary(SERVICE.UnaryCall, { ...expecting(true, 271_828), response_compressed: { value: true } })
      const flags = messagesOf(service.calls.at(-1)!.body).map(({ flag }) => flag)
      const got = await client.serverStream(SERVICE.StreamingOutputCall, CASES[3]!.asks[0]!.messages[0]!.message)
      client.close()
      assert.deepEqual([sent.code, flags, got.code, got.replies.length], [0, [1], 0, 2], sent.details)
      told.push({ sent, got })
    }
    assert.deepEqual(told[1], told[0])
  })
})
