// gRPC rule 20 (proxy.md D): a draining proxy says GOAWAY in two steps, so that no call is lost on its way.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FLAG, TYPE } from '../h2-frames.js'
import { until } from '../start-proxy.js'
import { answer, GRPC_HEAD, grpcRequest, isOver } from './calls.js'
import { startRig } from './rig.js'
import { openWire, type WireStream } from './wire.js'

const ALL_STREAMS = 2 ** 31 - 1

describe('rule 20: draining', () => {
  it('GOAWAY for all, a PING, the real last id, the open streams to their end, then the connection closes', async () => {
    const rig = await startRig({ settings: { drainMs: 8000 } })
    const said: string[] = []
    let late: WireStream | null = null
    const wire = await openWire(rig.proxy.port, {
      frame: ({ type, flags, payload }) => {
        if (type === TYPE.GOAWAY) said.push(`GOAWAY ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}`)
        // One that comes before has nothing to do with it.
        if (type === TYPE.PING && (flags & FLAG.ACK) === 0 && said.length > 0) said.push('PING')
        // It crosses the first GOAWAY: sent after that has come, before the PING is answered.
        if (type === TYPE.GOAWAY && said.length === 1) late = wire.open(grpcRequest('/s/late'), 'end')
      },
    })
    rig.act = stream => {
      if (stream.field(':path') === '/late') answer(stream, 'late')
      else stream.wire.headers(stream.id, GRPC_HEAD, 'more')
    }
    const open = wire.open(grpcRequest('/s/open'), 'end')
    await until(() => open.shape === 'HEADERS')
    const served = rig.service.calls[0]!
    const settled = rig.proxy.settings({ idleTimeoutMs: 50_000 })
    await until(() => said.length >= 3)
    assert.notEqual(late, null)
    await isOver(late!)
    assert.equal((late as WireStream | null)!.grpcStatus, '0')
    const lastId = (late as WireStream | null)!.id
    assert.deepEqual(said, [`GOAWAY ${ALL_STREAMS} 0`, 'PING', `GOAWAY ${lastId} 0`])
    assert.equal(wire.closed, false, 'the open stream keeps the connection')
    served.wire.headers(served.id, [['grpc-status', '0']], 'end')
    await isOver(open)
    assert.equal(open.grpcStatus, '0')
    await until(() => wire.closed)
    await settled
    await rig.close()
  })

  it('an idle connection is let go in the same two steps', async () => {
    const rig = await startRig()
    await rig.call()
    await rig.proxy.settings({ idleTimeoutMs: 50_000 })
    await until(() => rig.wire.closed)
    assert.deepEqual(rig.wire.goaways, [
      { lastId: ALL_STREAMS, code: 0 },
      { lastId: 1, code: 0 },
    ])
    await rig.close()
  })
})
