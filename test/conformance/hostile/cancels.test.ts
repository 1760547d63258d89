// Section F, row 68's gentle side: who cancels a lot, one call after the other, is no flooder (rule 16; nginx, nghttpx and node:http2 send GOAWAY at about 1,000).
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FLAG, frame, headerBlock, message, TYPE, uint32 } from '../h2-frames.js'
import { until } from '../start-proxy.js'
import { CODE, FrameClient, request } from './h2-client.js'
import type { HeardStream } from './h2-recorder.js'
import { memoryOf, type Rig, startRig, warmUp } from './rig.js'

const GROWTH_BYTES = 20 << 20

describe('polite cancels', () => {
  let rig: Rig
  let opened: (stream: HeardStream) => void = () => {}
  before(async () => {
    rig = await startRig({
      // The defaults.
      settings: { maxStreams: 250, maxResetsPerSecond: 500 },
      http2: {
        opened: stream => opened(stream),
        answer: ({ connection, id, heard }) => {
          if (!heard.target.startsWith('/hang')) {
            connection.respond(
              id,
              [
                [':status', '200'],
                ['content-length', String(heard.target.length)],
              ],
              heard.target,
            )
          }
        },
      },
    })
    await warmUp(rig, 1000)
  })
  after(() => rig.stop())

  it('4,000 on one connection get no GOAWAY, and the service hears of every one', async () => {
    rig.http2.forget()
    const before = memoryOf(rig.pid)
    const client = await FrameClient.open(rig.proxy.port)
    const head = headerBlock(request('/g/hang', { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }))
    for (let at = 0; at < 4000; at++) {
      const id = client.id()
      const arrived = new Promise<void>(resolve => {
        opened = () => resolve()
      })
      client.send(frame(TYPE.HEADERS, FLAG.END_HEADERS, id, head), frame(TYPE.DATA, FLAG.END_STREAM, id, message('x')))
      await Promise.race([arrived, client.seen(() => client.goaway !== null || client.closed, 10_000)])
      assert.deepEqual([client.goaway, client.closed], [null, false], `at cancel ${at}`)
      client.send(frame(TYPE.RST, 0, id, uint32(CODE.CANCEL)))
    }
    opened = () => {}
    assert.equal((await client.get('/g/polite')).body, '/polite')
    assert.equal(client.goaway, null)
    client.close()
    const cancelled = rig.http2.streams.filter(stream => stream.heard.target === '/hang')
    assert.equal(cancelled.length, 4000)
    assert.ok(cancelled.every(stream => stream.resetCode === CODE.CANCEL))
    assert.ok(memoryOf(rig.pid).rssBytes - before.rssBytes < GROWTH_BYTES)
    rig.http2.forget()
    await rig.stillServes()
  })

  it('cancelled GETs cost their connection to an HTTP/1.1 service, and nothing else', async () => {
    const client = await FrameClient.open(rig.proxy.port)
    for (let at = 0; at < 300; at++) {
      const id = client.headers(request('/w/x'), 'end')
      client.send(frame(TYPE.RST, 0, id, uint32(CODE.CANCEL)))
      if (at % 10 === 0) assert.equal((await client.get('/w/polite')).body, '/polite')
    }
    assert.equal((await client.get('/w/polite')).body, '/polite')
    assert.deepEqual([client.goaway, client.closed], [null, false])
    client.close()
    // Idle connections are kept, but no more than one answer at a time was wanted.
    await until(() => rig.http1.open() <= 12)
    await rig.stillServes()
  })
})
