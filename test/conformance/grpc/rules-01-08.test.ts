// gRPC rules 1 to 8 (proxy.md D): what a gRPC call is, and the form in which it goes through.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { http1Request } from '../clients.js'
import { frame, message, TYPE } from '../h2-frames.js'
import { until } from '../start-proxy.js'
import { afterRead, answer, begin, GRPC_HEAD, grpcRequest, isOver, messagesOf, trailersOnly } from './calls.js'
import type { Field } from './hpack-reader.js'
import { type Rig, startRig, valuesOf } from './rig.js'

const request = (path: string, type: string, more: Field[] = []): Field[] => [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'suite.test'],
  ['content-type', type],
  ...more,
]

describe('gRPC rules 1-8', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig({ route: { compression: true } })
  })
  beforeEach(() => {
    rig.act = answer
  })
  after(() => rig.close())

  describe('rule 01: a gRPC request is a POST whose content type is application/grpc, with + or ; after it or nothing', () => {
    const refused = async (fields: Field[]) => {
      const stream = rig.wire.open(fields, 'end')
      await isOver(stream)
      return [stream.field(':status'), stream.grpcStatus, stream.shape]
    }
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc+json', 'application/grpc;charset=utf-8']) {
      it(`${type} gets a refusal in gRPC's form`, async () => {
        assert.deepEqual(await refused(request('/nowhere/x', type)), ['200', '12', 'HEADERS+END'])
      })
    }
    for (const type of ['application/grpcx', 'application/grp', 'text/application/grpc', 'application/json']) {
      it(`${type} gets a plain 404`, async () => {
        assert.deepEqual((await refused(request('/nowhere/x', type))).slice(0, 2), ['404', undefined])
      })
    }
    it('a GET with application/grpc gets a plain 404', async () => {
      const fields = request('/nowhere/x', 'application/grpc').map(([name, value]): Field => [name, value.replace('POST', 'GET')])
      assert.deepEqual((await refused(fields)).slice(0, 2), ['404', undefined])
    })
    it('a service’s own 415 to another content type goes through', async () => {
      rig.act = ({ wire, id }) => wire.headers(id, [[':status', '415']], 'end')
      assert.deepEqual(await refused(request('/s/x.Y/Z', 'application/json')), ['415', undefined, 'HEADERS+END'])
    })
  })

  describe('rule 02: te is `trailers` or is not there', () => {
    it('goes on as it came', async () => {
      await rig.call()
      assert.deepEqual(valuesOf(rig.seen().head, 'te'), ['trailers'])
    })
    it('is added to a gRPC call that lost it', async () => {
      const stream = rig.wire.open(request('/s/x.Y/Z', 'application/grpc'), 'end')
      await isOver(stream)
      assert.deepEqual(valuesOf(rig.seen().head, 'te'), ['trailers'])
    })
    it('is not added to what is no gRPC, and goes on there where it was', async () => {
      for (const more of [[], [['te', 'trailers']]] as Field[][]) {
        await isOver(rig.wire.open(request('/s/x', 'text/plain', more), 'end'))
        assert.deepEqual(valuesOf(rig.seen().head, 'te'), valuesOf(more, 'te'))
      }
    })
    it('any other value is dropped on the way from HTTP/1', async () => {
      await http1Request(rig.proxy.port, { path: '/s/x', headers: { te: 'gzip;q=0.5', connection: 'te' } })
      assert.deepEqual(valuesOf(rig.seen().head, 'te'), [])
    })
  })

  describe('rule 03: equal metadata keys stay apart and in order, binary values byte-exact', () => {
    const ODD: Field[] = [
      ['x-many', 'one'],
      ['x-other', 'between'],
      ['x-many', 'two'],
      ['x-many', ''],
      ['x-many', 'four'],
      ['x-padded-bin', 'AAECAw=='],
      ['x-unpadded-bin', 'AAECAw'],
      ['x-list-bin', 'AAE'],
      ['x-list-bin', '/v8='],
    ]
    const check = (fields: Field[]) => {
      for (const name of new Set(ODD.map(([each]) => each))) assert.deepEqual(valuesOf(fields, name), valuesOf(ODD, name), name)
    }
    it('in a request', async () => {
      await rig.call({ more: ODD })
      check(rig.seen().head)
    })
    it('in the head and the trailers of an answer, and in a trailers-only one', async () => {
      rig.act = ({ wire, id }) => {
        wire.headers(id, [...GRPC_HEAD, ...ODD], 'more')
        wire.headers(id, [['grpc-status', '0'], ...ODD], 'end')
      }
      const stream = await rig.call()
      check(stream.head)
      check(stream.trailers)
      rig.act = each => trailersOnly(each, 0, ODD)
      check((await rig.call()).head)
    })
  })

  describe('rule 04: encodings, message bytes and the Compressed-Flag are nobody else’s business', () => {
    it('a gRPC body is not compressed although the route compresses and the client would take it', async () => {
      const body = Buffer.alloc(5005, 'a')
      body.writeUInt32BE(5000, 1)
      body[0] = 1
      rig.act = ({ wire, id, chunks }) => {
        wire.headers(id, [...GRPC_HEAD, ['grpc-encoding', 'snappy'], ['grpc-accept-encoding', 'snappy,gzip']], 'more')
        for (const chunk of chunks) wire.data(id, chunk)
        wire.headers(id, [['grpc-status', '0']], 'end')
      }
      const more: Field[] = [
        ['grpc-encoding', 'snappy'],
        ['grpc-accept-encoding', 'snappy,identity'],
        ['accept-encoding', 'gzip, br'],
      ]
      const stream = await rig.call({ more, body })
      for (const [fields, name, value] of [
        [rig.seen().head, 'grpc-encoding', 'snappy'],
        [rig.seen().head, 'grpc-accept-encoding', 'snappy,identity'],
        [stream.head, 'grpc-encoding', 'snappy'],
        [stream.head, 'grpc-accept-encoding', 'snappy,gzip'],
      ] as const)
        assert.deepEqual(
          fields.filter(([each]) => each === name),
          [[name, value]],
        )
      assert.deepEqual([stream.field('content-encoding'), rig.seen().field('content-encoding')], [undefined, undefined])
      assert.ok(rig.seen().body.equals(body) && stream.body.equals(body))
    })
  })

  describe('rule 05: messages survive, however DATA is cut', () => {
    const words = ['', 'one', '', '', 'a longer one', '']
    const bytes = Buffer.concat(words.map(word => message(word)))
    for (const [title, size] of [
      ['a byte per frame', 1],
      ['four bytes per frame, which cuts the prefix', 4],
      ['all in one frame', bytes.length],
    ] as const) {
      it(`${title}: empty messages too, in both directions`, async () => {
        rig.act = ({ wire, id }) => {
          wire.headers(id, GRPC_HEAD, 'more')
          for (let at = 0; at < bytes.length; at += size) wire.data(id, bytes.subarray(at, at + size))
          wire.headers(id, [['grpc-status', '0']], 'end')
        }
        const stream = rig.open('more')
        for (let at = 0; at < bytes.length; at += size) rig.wire.data(stream.id, bytes.subarray(at, at + size))
        rig.wire.data(stream.id, Buffer.alloc(0), 'end')
        await isOver(stream)
        for (const body of [stream.body, rig.seen().body])
          assert.deepEqual(
            messagesOf(body).map(each => String(each.bytes)),
            words,
          )
      })
    }
  })

  describe('rule 06: half-close goes through at once and leaves the answer’s direction open', () => {
    const ways: { title: string; end(id: number): void; open: 'end' | 'more' }[] = [
      { title: 'END_STREAM on HEADERS', open: 'end', end: () => {} },
      { title: 'END_STREAM on DATA', open: 'more', end: id => rig.wire.data(id, message('last'), 'end') },
      { title: 'END_STREAM on an empty DATA', open: 'more', end: id => rig.wire.data(id, Buffer.alloc(0), 'end') },
    ]
    for (const { title, open, end } of ways) {
      it(title, async () => {
        rig.act = () => {}
        const known = rig.service.calls.length
        const stream = rig.open(open)
        await until(() => rig.service.calls.length > known)
        const seen = rig.seen()
        assert.equal(seen.ended, open === 'end')
        end(stream.id)
        // Nothing has been answered yet, and the service knows that no more comes.
        await until(() => seen.ended)
        begin(seen, 'first')
        await until(() => stream.body.length > 0)
        seen.wire.data(seen.id, message('second'))
        await afterRead(seen.wire, () => {})
        seen.wire.headers(seen.id, [['grpc-status', '0']], 'end')
        await isOver(stream)
        assert.deepEqual(
          messagesOf(stream.body).map(({ bytes }) => String(bytes)),
          ['first', 'second'],
        )
        assert.equal(stream.shape, 'HEADERS DATA HEADERS+END')
      })
    }
  })

  describe('rule 07: an answer is HEADERS, DATA, HEADERS, or one HEADERS', () => {
    it('trailers-only arrives as trailers-only, with its metadata', async () => {
      rig.act = stream =>
        trailersOnly(stream, 5, [
          ['grpc-message', 'not here'],
          ['x-more', 'yes'],
        ])
      const stream = await rig.call()
      assert.deepEqual([stream.shape, stream.grpcStatus, stream.field('x-more')], ['HEADERS+END', '5', 'yes'])
    })
    it('a whole answer arrives whole', async () => {
      const stream = await rig.call()
      assert.deepEqual(
        [stream.shape, stream.field('grpc-status'), stream.trailer('grpc-status')],
        ['HEADERS DATA HEADERS+END', undefined, '0'],
      )
    })
    it('head and trailers without a message stay two', async () => {
      rig.act = ({ wire, id }) => {
        wire.headers(id, GRPC_HEAD, 'more')
        wire.headers(id, [['grpc-status', '9']], 'end')
      }
      const stream = await rig.call()
      assert.deepEqual([stream.shape, stream.trailer('grpc-status')], ['HEADERS HEADERS+END', '9'])
    })
    it('the head does not wait for the first message', async () => {
      rig.act = ({ wire, id }) => wire.headers(id, GRPC_HEAD, 'more')
      const stream = rig.open('end')
      await until(() => stream.shape === 'HEADERS')
      rig.wire.reset(stream.id, 8)
    })
    it('an empty DATA before the trailers changes nothing', async () => {
      rig.act = stream => {
        const { wire, id } = stream
        begin(stream)
        wire.send(frame(TYPE.DATA, 0, id))
        wire.headers(id, [['grpc-status', '0']], 'end')
      }
      assert.equal((await rig.call()).shape, 'HEADERS DATA HEADERS+END')
    })
  })

  describe('rule 08: a proxy-made error before the head is one HEADERS frame with all of it', () => {
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x=y']) {
      it(`${type} comes back as it was asked`, async () => {
        const stream = rig.wire.open(request('/nowhere/x', type), 'more')
        rig.wire.data(stream.id, message('the body is not waited for'))
        await isOver(stream)
        assert.deepEqual(
          [stream.shape.split(' ')[0], stream.field(':status'), stream.field('content-type'), stream.field('grpc-status')],
          ['HEADERS+END', '200', type, '12'],
        )
        assert.ok(stream.field('grpc-message')!.length > 0)
        assert.equal(stream.field('content-length'), undefined)
        // The client had not finished: it is told to stop, without an error.
        await until(() => stream.resetCode !== null)
        assert.equal(stream.resetCode, 0)
      })
    }
    it('no upstream hears of it', async () => {
      const known = rig.service.calls.length
      await isOver(rig.wire.open(grpcRequest('/nowhere/x.Y/Z'), 'end'))
      assert.equal(rig.service.calls.length, known)
    })
  })
})
