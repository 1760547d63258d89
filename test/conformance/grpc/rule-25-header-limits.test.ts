// gRPC rule 25 (proxy.md D): large heads pass up to the limit, larger ones are told as such, and the connection's HPACK state lives on.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { FLAG, frame, headerBlock, message, TYPE } from '../h2-frames.js'
import { type Origin, rawOrigin } from '../origins.js'
import { endpoint } from '../start-proxy.js'
import { answer, GRPC_HEAD, grpcRequest, isOver, rawCall, trailersOnly } from './calls.js'
import type { Field } from './hpack-reader.js'
import { type Rig, startRig } from './rig.js'
import type { Wire, WireStream } from './wire.js'

const LIMIT = 65_536
// gRPC's interop list asks for 63 KiB in one field.
const LARGE: Field = ['x-large', 'v'.repeat(63 * 1024 - 200)]
const TOO_LARGE: Field[] = Array.from({ length: 10 }, (_, at) => [`x-large-${at}`, 'w'.repeat(8000)])

/** HEADERS and CONTINUATIONs of a block as it is; frames of 4000 bytes. */
function sendBlock(wire: Wire, id: number, block: Buffer, flags: number): void {
  for (let at = 0; at < block.length; at += 4000) {
    const last = at + 4000 >= block.length ? FLAG.END_HEADERS : 0
    wire.send(frame(at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION, last | (at === 0 ? flags : 0), id, block.subarray(at, at + 4000)))
  }
}

/** A literal that both ends add to their table. */
function indexed([name, value]: Field): Buffer {
  const literal = headerBlock([[name, value]])
  literal[0] = 0x40
  return literal
}

describe('rule 25: heads up to the limit and beyond', () => {
  let rig: Rig
  /** Speaks HTTP/1.1, and answers with these lines. */
  let one: Origin
  let lines = ''
  before(async () => {
    one = await rawOrigin(socket => {
      socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 0\r\n${lines}\r\n`))
    })
    rig = await startRig({
      settings: { maxHeaderBytes: LIMIT, maxHeaderFields: 200 },
      route: { timeoutMs: 5000 },
      routes: () => [{ prefix: '/one/', endpoints: [endpoint(one.port)] }],
    })
  })
  beforeEach(() => {
    rig.act = answer
  })
  after(async () => {
    await rig.close()
    await one.close()
  })

  const nextIsWell = async () => {
    rig.act = answer
    assert.equal((await rig.call()).grpcStatus, '0')
    assert.deepEqual([rig.wire.goaways, rig.wire.closed], [[], false])
  }

  it('63 KiB in one field go through in a request, in a head, in trailers and in a trailers-only answer', async () => {
    rig.act = ({ wire, id }) => {
      wire.headers(id, [...GRPC_HEAD, LARGE], 'more')
      wire.data(id, message('x'))
      wire.headers(id, [['grpc-status', '0'], LARGE], 'end')
    }
    const stream = await rig.call({ more: [LARGE] })
    assert.equal(stream.grpcStatus, '0', stream.field('grpc-message'))
    for (const value of [rig.seen().field('x-large'), stream.field('x-large'), stream.trailer('x-large')]) assert.equal(value, LARGE[1])
    rig.act = each => trailersOnly(each, 3, [LARGE])
    const only = await rig.call()
    assert.deepEqual([only.grpcStatus, only.field('x-large')?.length], ['3', LARGE[1].length])
  })

  it('above it a gRPC call is 8, anything else 431; nothing goes upstream, the connection and the next call are well', async () => {
    const known = rig.service.calls.length
    const call = await rig.call({ more: TOO_LARGE })
    assert.deepEqual([call.shape.split(' ')[0], call.field(':status'), call.grpcStatus], ['HEADERS+END', '200', '8'])
    const plain = rig.wire.open(
      [[':method', 'GET'], [':scheme', 'http'], [':path', '/s/x'], [':authority', 'suite.test'], ...TOO_LARGE],
      'end',
    )
    await isOver(plain)
    assert.equal(plain.field(':status'), '431')
    assert.equal(rig.service.calls.length, known)
    await nextIsWell()
  })

  it('what a refused head has put into the HPACK table is there for the next one', async () => {
    const KEPT: Field = ['x-kept', 'in the table']
    const refused = rig.wire.reserve()
    sendBlock(
      rig.wire,
      refused.id,
      Buffer.concat([headerBlock(grpcRequest('/s/x.Y/Z')), indexed(KEPT), headerBlock(TOO_LARGE)]),
      FLAG.END_STREAM,
    )
    await isOver(refused)
    assert.equal(refused.grpcStatus, '8')
    // Entry 62 is the newest of the dynamic table.
    const next = rig.wire.reserve()
    sendBlock(rig.wire, next.id, Buffer.concat([headerBlock(grpcRequest('/s/x.Y/Z')), Buffer.from([0x80 | 62])]), FLAG.END_STREAM)
    await isOver(next)
    assert.deepEqual([next.grpcStatus, rig.seen().field('x-kept')], ['0', KEPT[1]])
  })

  it('nor does it matter that the service speaks HTTP/1.1: 8 for a call, 502 for others', async () => {
    for (const fields of [TOO_LARGE, Array.from({ length: 250 }, (_, at): Field => [`x-${at}`, 'y'])]) {
      lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      assert.equal((await rig.call({ path: '/one/x.Y/Z' })).grpcStatus, '8')
      const plain = rig.wire.open(
        [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':path', '/one/x'],
          [':authority', 'suite.test'],
        ],
        'end',
      )
      await isOver(plain)
      assert.equal(plain.field(':status'), '502')
    }
  })

  it('an answer’s head or trailers above it are 8, too, and the next call is well', async () => {
    for (const act of [
      ({ wire, id }: WireStream) => wire.headers(id, [...GRPC_HEAD, ...TOO_LARGE], 'more'),
      ({ wire, id }: WireStream) => {
        wire.headers(id, GRPC_HEAD, 'more')
        wire.data(id, message('x'))
        wire.headers(id, [['grpc-status', '0'], ...TOO_LARGE], 'end')
      },
    ]) {
      rig.act = act
      const stream = await rawCall(rig.wire, '/s/x.Y/Z')
      assert.equal(stream.grpcStatus, '8')
      await nextIsWell()
    }
  })
})
