// gRPC rule 16 (proxy.md D): a client's RST is CANCEL upstream at once; cancels are cheap, floods of them are slowed down.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { frame, headerBlock, TYPE, uint32 } from '../h2-frames.js'
import { fairClock } from '../machine.js'
import { until } from '../start-proxy.js'
import { answer, GRPC_HEAD, grpcRequest, rawCall } from './calls.js'
import { type Rig, startRig } from './rig.js'
import { openWire, RST, type WireStream } from './wire.js'

const FLOOD = 10_000
const POLITE = 400
const HEAD = headerBlock(grpcRequest('/s/x.Y/Z'))

describe('rule 16: RST_STREAM from a client', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig({ route: { timeoutMs: 30_000 } })
  })
  after(() => rig.close())

  const resets = () => rig.service.calls.filter(call => call.resetCode !== null)
  const quiet = () => {
    rig.act = () => {}
  }

  it('goes on as CANCEL before the head, after it, and while the request is still sent; other streams stay', async () => {
    rig.act = stream => {
      if (stream.field('x-begin') !== undefined) stream.wire.headers(stream.id, GRPC_HEAD, 'more')
    }
    const known = rig.service.calls.length
    const kept = rig.open('end')
    const silent = rig.open('end')
    const begun = rig.open('end', [['x-begin', 'yes']])
    const sending = rig.open('more')
    await until(() => rig.service.calls.length === known + 4 && begun.shape === 'HEADERS')
    const passedMs = fairClock(process.pid, rig.workerPid())
    for (const stream of [silent, begun, sending]) rig.wire.reset(stream.id, RST.CANCEL)
    await until(() => resets().length === 3)
    assert.ok(passedMs() < 1000, `${passedMs()} ms`)
    assert.deepEqual(
      resets().map(call => call.resetCode),
      [RST.CANCEL, RST.CANCEL, RST.CANCEL],
    )
    answer(rig.service.calls[known] as WireStream)
    await kept.over
    assert.equal(kept.grpcStatus, '0')
  })

  it(`${POLITE} at once are nothing special: the next call is answered at once`, async () => {
    quiet()
    const wire = await openWire(rig.proxy.port)
    for (let count = 0; count < POLITE; count++) wire.reset(wire.open(grpcRequest('/s/x.Y/Z'), 'end').id, RST.CANCEL)
    rig.act = answer
    const passedMs = fairClock(process.pid, rig.workerPid())
    assert.equal((await rawCall(wire, '/s/x.Y/Z')).grpcStatus, '0')
    assert.ok(passedMs() < 1000, `${passedMs()} ms`)
    assert.deepEqual(wire.goaways, [])
    wire.close()
  })

  it(`${FLOOD} as fast as they can be written: slowed down or sent away, and nobody else feels it`, async () => {
    quiet()
    const begunAt = performance.now()
    const before = rig.service.calls.length
    const wire = await openWire(rig.proxy.port)
    const parts: Buffer[] = []
    for (let count = 0, id = 1; count < FLOOD; count++, id += 2)
      parts.push(frame(TYPE.HEADERS, 5, id, HEAD), frame(TYPE.RST, 0, id, uint32(RST.CANCEL)))
    wire.send(Buffer.concat(parts))
    rig.act = stream => stream.field('x-polite') !== undefined && answer(stream)
    for (let count = 0; count < 20; count++) {
      const passedMs = fairClock(process.pid, rig.workerPid())
      assert.equal((await rig.call({ more: [['x-polite', 'yes']] })).grpcStatus, '0')
      assert.ok(passedMs() < 1000, `call ${count} took ${passedMs()} ms`)
    }
    assert.ok(
      wire.goaways.every(({ code }) => code === RST.CALM),
      JSON.stringify(wire.goaways),
    )
    const passedMs = performance.now() - begunAt
    const reached = rig.service.calls.length - before
    // 500 a second by default, and as many as burst; a tenth of the flood would be what an unguarded proxy lets through at once.
    assert.ok(reached < 1500 + passedMs, `${reached} of them reached the service in ${passedMs} ms`)
    wire.kill()
    assert.equal((await rig.call({ more: [['x-polite', 'yes']] })).grpcStatus, '0')
    await until(() => rig.service.wires.every(each => each.openCalls() === 0))
  })
})
