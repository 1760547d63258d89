// gRPC's interop cases (proxy.md 5.2) through the proxy and without it: every call must look the same to the client, and to the service.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { type Duplex, InteropClient, plain, type Told } from './interop-client.js'
import { INITIAL_KEY, type InteropServer, interopServer, type Message, OTHER, SERVICE, TRAILING_KEY, zeros } from './interop-service.js'

const REQUEST_SIZES = [27_182, 8, 1828, 45_904]
const RESPONSE_SIZES = [31_415, 9, 2653, 58_979]
const LARGE = { request: 271_828, response: 314_159 }
// The description's sizes times 1000 are 586 MB in each process at once; a tenth of them goes through CI's memory.
const CONCURRENT = { calls: 1000, request: 27_182, response: 31_415 }
const SPECIAL = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n'

interface Case {
  name: string
  run(client: InteropClient): Promise<Told[]>
  /** What the description demands, whichever way the call went. */
  check(told: Told[]): void
  /** The client makes the status text itself and puts times into it. */
  ownDetails?: true
}

const sizes = ({ replies }: Told) => replies.map(reply => reply.payload?.body.length ?? 0)
const codes = (told: Told[]) => told.map(({ code }) => code)

/** Asks for the sizes one after the other, each when the answer before it has come. */
function pingPong(call: Duplex): void {
  let at = 0
  const ask = () => {
    if (at === RESPONSE_SIZES.length) call.end()
    else call.write({ response_parameters: [{ size: RESPONSE_SIZES[at]! }], ...zeros(REQUEST_SIZES[at++]!) })
  }
  call.on('data', ask)
  ask()
}

function echoMetadata(): grpc.Metadata {
  const metadata = new grpc.Metadata()
  metadata.set(INITIAL_KEY, 'test_initial_metadata_value')
  metadata.set(TRAILING_KEY, Buffer.from([0xab, 0xab, 0xab]))
  return metadata
}

const one = (size: number): Message => ({ response_parameters: [{ size }], ...zeros(0) })
const both = async (client: InteropClient, request: Message, metadata: () => grpc.Metadata): Promise<Told[]> => [
  await client.unary(SERVICE.UnaryCall, { response_size: 1, ...request }, { metadata: metadata() }),
  await client.duplex(
    SERVICE.FullDuplexCall,
    call => {
      call.write({ ...one(1), ...request })
      call.end()
    },
    { metadata: metadata() },
  ),
]

const CASES: Case[] = [
  {
    name: 'empty_unary',
    run: async client => [await client.unary(SERVICE.EmptyCall, {})],
    check: told => assert.deepEqual([codes(told), told[0]!.replies], [[0], [{}]]),
  },
  {
    name: 'large_unary',
    run: async client => [await client.unary(SERVICE.UnaryCall, { response_size: LARGE.response, ...zeros(LARGE.request) })],
    check: told => assert.deepEqual([codes(told), sizes(told[0]!)], [[0], [LARGE.response]]),
  },
  {
    name: 'client_streaming',
    run: async client => [
      await client.clientStream(SERVICE.StreamingInputCall, call => {
        for (const size of REQUEST_SIZES) call.write(zeros(size))
        call.end()
      }),
    ],
    check: told => assert.deepEqual([codes(told), told[0]!.replies[0]?.aggregated_payload_size], [[0], 74_922]),
  },
  {
    name: 'server_streaming',
    run: async client => [
      await client.serverStream(SERVICE.StreamingOutputCall, { response_parameters: RESPONSE_SIZES.map(size => ({ size })) }),
    ],
    check: told => assert.deepEqual([codes(told), sizes(told[0]!)], [[0], RESPONSE_SIZES]),
  },
  {
    name: 'ping_pong',
    run: async client => [await client.duplex(SERVICE.FullDuplexCall, pingPong)],
    check: told => assert.deepEqual([codes(told), sizes(told[0]!)], [[0], RESPONSE_SIZES]),
  },
  {
    name: 'empty_stream',
    run: async client => [await client.duplex(SERVICE.FullDuplexCall, call => call.end())],
    check: told => assert.deepEqual([codes(told), told[0]!.replies], [[0], []]),
  },
  {
    name: 'custom_metadata',
    run: client => both(client, {}, echoMetadata),
    check: told => {
      for (const { code, initial, trailing } of told) {
        assert.equal(code, 0)
        assert.deepEqual(initial[INITIAL_KEY], ['test_initial_metadata_value'])
        assert.deepEqual(trailing[TRAILING_KEY], [Buffer.from([0xab, 0xab, 0xab])])
      }
    },
  },
  {
    name: 'duplicated_custom_metadata',
    run: client =>
      both(client, {}, () => {
        const metadata = echoMetadata()
        metadata.add(INITIAL_KEY, 'second, with a comma')
        metadata.add(TRAILING_KEY, Buffer.from([0, 1, 2, 3]))
        metadata.add(TRAILING_KEY, Buffer.alloc(0))
        return metadata
      }),
    check: told => {
      for (const { trailing } of told) assert.equal((trailing[TRAILING_KEY] as Buffer[])[1]?.toString('hex'), '00010203')
    },
  },
  {
    name: 'status_code_and_message',
    run: client => both(client, { response_status: { code: 2, message: 'test status message' } }, () => new grpc.Metadata()),
    check: told => {
      for (const { code, details } of told) assert.deepEqual([code, details], [2, 'test status message'])
    },
  },
  {
    name: 'special_status_message',
    run: client => both(client, { response_status: { code: 2, message: SPECIAL } }, () => new grpc.Metadata()),
    check: told => {
      for (const { code, details } of told) assert.deepEqual([code, details], [2, SPECIAL])
    },
  },
  {
    name: 'fail_unary with metadata',
    run: client => both(client, { response_status: { code: 9, message: '' } }, echoMetadata),
    check: told => {
      for (const { code, trailing } of told) assert.deepEqual([code, trailing[TRAILING_KEY]], [9, [Buffer.from([0xab, 0xab, 0xab])]])
    },
  },
  {
    name: 'unimplemented_method',
    run: async client => [await client.unary(SERVICE.UnimplementedCall, {})],
    check: told => assert.deepEqual(codes(told), [12]),
  },
  {
    name: 'unimplemented_server_streaming_method',
    run: async client => [await client.serverStream(SERVICE.UnimplementedStream, {})],
    check: told => assert.deepEqual(codes(told), [12]),
  },
  {
    name: 'unimplemented_service',
    run: async client => [await client.unary(OTHER.UnimplementedCall, {})],
    check: told => assert.deepEqual(codes(told), [12]),
  },
  {
    name: 'cancel_after_begin',
    run: async client => [await client.clientStream(SERVICE.StreamingInputCall, call => call.cancel())],
    check: told => assert.deepEqual(codes(told), [1]),
  },
  {
    name: 'cancel_after_first_response',
    run: async client => [
      await client.duplex(SERVICE.FullDuplexCall, call => {
        call.on('data', () => call.cancel())
        call.write({ ...one(31_415), ...zeros(27_182) })
      }),
    ],
    check: told => assert.deepEqual([codes(told), sizes(told[0]!)], [[1], [31_415]]),
  },
  {
    name: 'timeout_on_sleeping_server',
    // 1 ms is over before the call has left; at 60 ms it sleeps at the service.
    run: client =>
      Promise.all([1, 60].map(deadlineMs => client.duplex(SERVICE.FullDuplexCall, call => call.write(zeros(27_182)), { deadlineMs }))),
    check: told => assert.deepEqual(codes(told), [4, 4]),
    ownDetails: true,
  },
  {
    name: 'concurrent_large_unary',
    run: client =>
      Promise.all(
        Array.from({ length: CONCURRENT.calls }, () =>
          client.unary(SERVICE.UnaryCall, { response_size: CONCURRENT.response, ...zeros(CONCURRENT.request) }),
        ),
      ),
    check: told => {
      for (const each of told) assert.deepEqual([each.code, sizes(each)], [0, [CONCURRENT.response]], each.details)
    },
  },
]

/** What the proxy adds to a request, and what cannot be the same twice. */
const PROXY_ADDS = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id', 'via', 'forwarded']

describe('interop', () => {
  let server: InteropServer
  let proxy: TestProxy
  let direct: InteropClient
  let proxied: InteropClient
  let runs = 0

  before(async () => {
    server = await interopServer()
    proxy = await startTestProxy([{ prefix: '/interop/', protocol: 'h2c', timeoutMs: 20_000, endpoints: [endpoint(server.port)] }])
    direct = new InteropClient(server.port, '/')
    proxied = new InteropClient(proxy.port, '/interop/')
  })
  after(async () => {
    direct.close()
    proxied.close()
    await proxy.stop()
    server.stop()
  })

  /** One run with what the service saw of it. */
  const observe = async (client: InteropClient, { run, check, ownDetails }: Case) => {
    client.run = `${++runs}`
    const told = await run(client)
    check(told)
    const mine = server.seen.map(plain).filter(fields => String(fields['x-run']) === client.run)
    const seen = mine.map(fields => {
      delete fields['x-run']
      for (const name of PROXY_ADDS) delete fields[name]
      // What is left of a deadline differs from run to run; that it is there does not.
      if ('grpc-timeout' in fields) fields['grpc-timeout'] = 'there'
      return fields
    })
    return { told: ownDetails ? told.map(each => ({ ...each, details: '' })) : told, seen }
  }

  for (const each of CASES) {
    it(`${each.name}: the same status, message, metadata and bytes as without the proxy`, async () => {
      const without = await observe(direct, each)
      const through = await observe(proxied, each)
      assert.deepEqual(through.told, without.told)
      // A call that its client gives up at once may or may not have reached the service.
      if (!/cancel_after_begin|timeout/.test(each.name)) assert.deepEqual(through.seen, without.seen)
    })
  }
})
