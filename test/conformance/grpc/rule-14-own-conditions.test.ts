// gRPC rule 14 (proxy.md D): the proxy's own conditions and their status, each as one HEADERS frame.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { frame, headerBlock, message, TYPE } from '../h2-frames.js'
import { closedPort, type Origin, rawOrigin } from '../origins.js'
import { endpoint, until } from '../start-proxy.js'
import { answer, GRPC_HEAD, grpcRequest, isOver, rawCall } from './calls.js'
import type { Field } from './hpack-reader.js'
import { type Rig, startRig } from './rig.js'
import { openWire, type WireStream } from './wire.js'

const BODY_LIMIT = 100_000

describe('rule 14: the proxy’s own conditions', () => {
  let rig: Rig
  let mute: Origin
  before(async () => {
    mute = await rawOrigin(() => {})
    const none = await closedPort()
    rig = await startRig({
      route: { timeoutMs: 1000 },
      routes: port => {
        const common = { protocol: 'h2c' as const, holdMs: 0, timeoutMs: 1000, endpoints: [endpoint(port)] }
        return [
          { ...common, prefix: '/none/', endpoints: [endpoint(port, { ready: false })] },
          { ...common, prefix: '/empty/', endpoints: [] },
          { ...common, prefix: '/down/', endpoints: [endpoint(none)] },
          { ...common, prefix: '/mute/', connectTimeoutMs: 200, endpoints: [endpoint(mute.port)] },
          { ...common, prefix: '/limited/', rateLimit: { requests: 1, perMs: 60_000, burst: 2 } },
          { ...common, prefix: '/denied/', deny: ['127.0.0.0/8'] },
          { ...common, prefix: '/elsewhere/', allow: ['10.0.0.0/8'] },
          { ...common, prefix: '/locked/', auth: { kind: 'bearer', tokens: ['right'], realm: 'suite' } },
          { ...common, prefix: '/small/', timeoutMs: 5000, maxBodyBytes: BODY_LIMIT },
          { ...common, prefix: '/total/', timeoutMs: 5000, totalTimeoutMs: 200 },
        ]
      },
      settings: { maxHeaderBytes: 16_384, maxHeaderFields: 100 },
    })
  })
  after(async () => {
    await rig.close()
    await mute.close()
  })

  const told = (stream: WireStream) => [stream.shape.split(' ')[0], stream.field(':status'), stream.grpcStatus]
  const silent = () => {
    rig.act = () => {}
  }

  for (const [title, prefix, status, more] of [
    ['unknown prefix', '/nowhere/', 12],
    ['no ready instance', '/none/', 14],
    ['no instance at all', '/empty/', 14],
    ['connection refused', '/down/', 14],
    ['a service that accepts and never says a word', '/mute/', 14],
    ['nothing for the route’s timeout', '/s/', 14],
    ['the same, but the deadline was earlier', '/s/', 4, [['grpc-timeout', '100m']]],
    ['the route’s limit for the whole call', '/total/', 4],
    ['an address that is denied', '/denied/', 7],
    ['an address that is not among the allowed', '/elsewhere/', 7],
    ['no credentials', '/locked/', 16],
    ['wrong credentials', '/locked/', 16, [['authorization', 'Bearer wrong']]],
    ['too many fields', '/s/', 8, Array.from({ length: 120 }, (_, at): Field => [`x-${at}`, 'y'])],
    ['too long a field', '/s/', 8, [['x-long', 'y'.repeat(20_000)]]],
  ] as [string, string, number, Field[]?][]) {
    it(`${title}: ${status}`, async () => {
      silent()
      const stream = await rawCall(rig.wire, `${prefix}x.Y/Z`, { more: more ?? [] })
      assert.deepEqual(told(stream), ['HEADERS+END', '200', String(status)])
      assert.equal(stream.field('content-length'), undefined)
      assert.deepEqual([rig.wire.goaways, rig.wire.closed], [[], false])
    })
  }

  it('right credentials are let through', async () => {
    rig.act = answer
    assert.equal((await rawCall(rig.wire, '/locked/x.Y/Z', { more: [['authorization', 'Bearer right']] })).grpcStatus, '0')
  })

  it('rate limited: 8', async () => {
    rig.act = answer
    const codes: (string | undefined)[] = []
    for (let count = 0; count < 4; count++) codes.push((await rawCall(rig.wire, '/limited/x.Y/Z')).grpcStatus)
    assert.deepEqual(codes, ['0', '0', '8', '8'])
  })

  it('a message over the limit: 8, whether its length is told or not', async () => {
    silent()
    const body = message('m'.repeat(BODY_LIMIT + 1))
    const unsaid = await rawCall(rig.wire, '/small/x.Y/Z', { body })
    const said = await rawCall(rig.wire, '/small/x.Y/Z', { body, more: [['content-length', String(body.length)]] })
    for (const stream of [unsaid, said]) assert.deepEqual(told(stream), ['HEADERS+END', '200', '8'])
    rig.act = answer
    assert.equal((await rawCall(rig.wire, '/small/x.Y/Z')).grpcStatus, '0')
  })

  describe('a service that does not keep the protocol: 13', () => {
    const nonsense: { title: string; say(stream: WireStream): void }[] = [
      { title: 'DATA before HEADERS', say: ({ wire, id }) => wire.send(frame(TYPE.DATA, 0, id, Buffer.from('x'))) },
      { title: 'an upper-case field name', say: ({ wire, id }) => wire.headers(id, [...GRPC_HEAD, ['X-Upper', 'y']], 'more') },
      { title: 'no :status', say: ({ wire, id }) => wire.headers(id, [['content-type', 'application/grpc']], 'more') },
      { title: 'CRLF in a value', say: ({ wire, id }) => wire.headers(id, [...GRPC_HEAD, ['x-a', 'b\r\nc: d']], 'more') },
      {
        title: 'a header block that is none',
        say: ({ wire, id }) => wire.send(frame(TYPE.HEADERS, 4, id, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f]))),
      },
      { title: 'a frame larger than allowed', say: ({ wire, id }) => wire.send(frame(TYPE.DATA, 0, id, Buffer.alloc(2 ** 20))) },
      {
        title: 'trailers with a pseudo field',
        say: ({ wire, id }) => {
          wire.headers(id, GRPC_HEAD, 'more')
          wire.send(
            frame(
              TYPE.HEADERS,
              5,
              id,
              headerBlock([
                [':status', '200'],
                ['grpc-status', '0'],
              ]),
            ),
          )
        },
      },
    ]
    for (const { title, say } of nonsense) {
      it(title, async () => {
        const own = await startRig({ route: { timeoutMs: 2000 } })
        own.act = say
        const stream = await own.call()
        assert.equal(stream.grpcStatus, '13', `${stream.shape} ${stream.field('grpc-message')}`)
        own.act = answer
        assert.equal((await own.call()).grpcStatus, '0', 'the next call is well')
        await own.close()
      })
    }
  })

  it('shutting down: a call that is open at the end of the drain is 14, not cut off', async () => {
    const own = await startRig({ settings: { drainMs: 400 } })
    own.act = () => {}
    const streams = [own.open('end'), own.open('end')]
    await until(() => own.service.calls.length === 2)
    own.service.calls[1]!.wire.headers(own.service.calls[1]!.id, GRPC_HEAD, 'more')
    await until(() => streams[1]!.shape === 'HEADERS')
    const stopped = own.proxy.stop()
    await Promise.all(streams.map(isOver))
    await stopped
    assert.deepEqual(
      streams.map(stream => [stream.shape, stream.grpcStatus]),
      [
        ['HEADERS+END', '14'],
        ['HEADERS HEADERS+END', '14'],
      ],
    )
    own.wire.close()
    await own.service.close()
  })

  it('a call that comes on an old connection after the drain has begun is not lost: it is served', async () => {
    const own = await startRig()
    const wire = await openWire(own.proxy.port, {
      frame: ({ type }) => {
        if (type === TYPE.GOAWAY && late === null) late = wire.open(grpcRequest('/s/late'), 'end')
      },
    })
    let late: WireStream | null = null
    own.act = stream => setTimeout(() => answer(stream), stream.field(':path') === '/slow' ? 300 : 0)
    const slow = wire.open(grpcRequest('/s/slow'), 'end')
    await until(() => own.service.calls.length === 1)
    await own.proxy.settings({ idleTimeoutMs: 50_000 })
    await isOver(slow)
    await until(() => late !== null)
    await isOver(late!)
    assert.deepEqual([slow.grpcStatus, (late as WireStream | null)!.grpcStatus], ['0', '0'])
    wire.close()
    await own.close()
  })
})
