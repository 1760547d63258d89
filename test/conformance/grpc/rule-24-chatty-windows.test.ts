// gRPC rule 24 (proxy.md D), for a peer that tells its windows often: two updates per DATA frame, as servers on Python's h2 do, are no flood.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { message } from '../h2-frames.js'
import { GRPC_HEAD, grpcRequest, isOver } from './calls.js'
import { startRig } from './rig.js'
import { openWire } from './wire.js'

// A stream of tokens: small messages, in bursts.
const MESSAGES = 12_000
const BYTES = 5 + 'token'.length

describe('rule 24: a peer with two WINDOW_UPDATEs per DATA frame', () => {
  it('as a service: an upload of small messages arrives', async () => {
    const rig = await startRig({ service: { credit: 'chatty' } })
    for (let round = 0; round < 3; round++) {
      const stream = rig.open('more')
      for (let count = 0; count < MESSAGES; count++) rig.wire.data(stream.id, message('token'))
      rig.wire.data(stream.id, Buffer.alloc(0), 'end')
      await isOver(stream)
      assert.equal(stream.grpcStatus, '0', stream.field('grpc-message'))
      assert.equal(rig.seen().body.length, MESSAGES * BYTES)
    }
    await rig.close()
  })
  it('as a client: a download of small messages arrives', async () => {
    const rig = await startRig()
    rig.act = ({ wire, id }) => {
      wire.headers(id, GRPC_HEAD, 'more')
      for (let count = 0; count < MESSAGES; count++) wire.data(id, message('token'))
      wire.headers(id, [['grpc-status', '0']], 'end')
    }
    const wire = await openWire(rig.proxy.port, { credit: 'chatty' })
    for (let round = 0; round < 3; round++) {
      const stream = wire.open(grpcRequest('/s/x.Y/Z'), 'end')
      await isOver(stream)
      assert.deepEqual([stream.grpcStatus, stream.body.length, wire.goaways], ['0', MESSAGES * BYTES, []])
    }
    wire.close()
    await rig.close()
  })
})
