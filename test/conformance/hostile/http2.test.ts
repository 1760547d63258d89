// Section F, rows 50 to 65 and 72: HTTP/2 requests that must not get through are reset, no service hears of them, and the connection goes on.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FLAG, frame, TYPE } from '../h2-frames.js'
import { until } from '../start-proxy.js'
import { CODE, FrameClient, PREFACE, request } from './h2-client.js'
import { valuesOf } from './recorder.js'
import { answersOf, DIRECTIONS, type Direction, exchange, heardAll, heardNothingOf, orAfter, type Rig, startRig } from './rig.js'
import { PASSED, type PassedStream, REFUSED, type RefusedStream } from './rows-http2.js'

describe('hostile HTTP/2', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig()
  })
  after(() => rig.stop())

  async function refuses(row: RefusedStream, direction: Direction): Promise<void> {
    const recorder = rig[direction.to]
    recorder.forget()
    const client = await FrameClient.open(rig.proxy.port)
    const id = client.id()
    client.send(...row.frames(direction.prefix))
    if (row.second !== undefined) {
      await orAfter(150, () => recorder.begun() > 0)
      client.send(...row.second)
    }
    const answer = await client.settled(id)
    if (row.answer === '400' && answer.status !== 0) assert.equal(answer.status, 400)
    else assert.deepEqual([answer.resetCode, client.goaway, answer.status], [CODE.PROTOCOL, null, 0])
    // The fault was the stream's: the connection and its HPACK state are sound.
    assert.equal((await client.get(`${direction.prefix}polite`)).body, '/polite')
    client.close()
    await rig.stillServes()
    await heardNothingOf(row, recorder)
  }

  async function passes(row: PassedStream, direction: Direction): Promise<void> {
    const recorder = rig[direction.to]
    recorder.forget()
    const client = await FrameClient.open(rig.proxy.port)
    const id = client.id()
    client.send(...row.frames(direction.prefix))
    const answer = await client.settled(id)
    assert.deepEqual([answer.status, answer.body, answer.resetCode], [200, row.answer, null])
    client.close()
    if (row.row === 65 && direction.to === 'http2') {
      const { fields } = recorder.heard[0]!
      const crumbs = valuesOf(fields, 'cookie').join('; ')
      recorder.heard[0]!.fields = [...fields.filter(field => !field.startsWith('cookie: ')), `cookie: ${crumbs}`]
    }
    heardAll([row.heard[direction.to]], recorder, direction)
    await rig.stillServes()
  }

  for (const direction of DIRECTIONS) {
    for (const row of REFUSED) it(`row ${row.row}, to ${direction.to}: ${row.title}`, () => refuses(row, direction))
    for (const row of PASSED) it(`row ${row.row}, to ${direction.to}: ${row.title}`, () => passes(row, direction))
  }

  it('row 72: a preface in 24 one-byte writes is HTTP/2', async () => {
    const client = await FrameClient.silent(rig.proxy.port)
    client.acknowledgesSettings = false
    for (const byte of PREFACE) {
      client.send(Buffer.from([byte]))
      await new Promise(resolve => setImmediate(resolve))
    }
    client.send(frame(TYPE.SETTINGS, 0, 0))
    assert.equal((await client.get('/w/polite')).body, '/polite')
    client.close()
    await rig.stillServes()
  })

  it('row 72: PRI * and then garbage is GOAWAY with PROTOCOL_ERROR', async () => {
    rig.http1.forget()
    const client = await FrameClient.silent(rig.proxy.port)
    client.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\nGET /w/smuggled HTTP/1.1\r\nHost: h\r\n\r\n'))
    await until(() => client.closed)
    assert.equal(client.goaway, CODE.PROTOCOL)
    await rig.stillServes()
    await heardNothingOf({ origin: 'nothing' }, rig.http1)
  })

  it('row 72: a whole preface and then garbage is GOAWAY with PROTOCOL_ERROR or FRAME_SIZE_ERROR', async () => {
    rig.http1.forget()
    const client = await FrameClient.silent(rig.proxy.port)
    client.send(PREFACE, Buffer.from('GET /w/smuggled HTTP/1.1\r\nHost: h\r\n\r\n'))
    await until(() => client.closed)
    assert.ok(client.goaway === CODE.PROTOCOL || client.goaway === CODE.FRAME_SIZE, `GOAWAY ${client.goaway}`)
    await rig.stillServes()
    await heardNothingOf({ origin: 'nothing' }, rig.http1)
  })

  it('row 72: a TLS hello is closed without a word', async () => {
    rig.http1.forget()
    const hello = `\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03${'\x07'.repeat(32)}\x00\x00\x02\x13\x01\x01\x00\x00\x00`
    assert.equal(await exchange(rig.proxy.port, hello), '')
    await rig.stillServes()
    await heardNothingOf({ origin: 'nothing' }, rig.http1)
  })

  it('row 72: a preface behind a request in HTTP/1.1 is 400', async () => {
    rig.http1.forget()
    const bytes = `GET /w/first HTTP/1.1\r\nHost: h\r\n\r\n${PREFACE.toString('latin1')}`
    const answers = answersOf(await exchange(rig.proxy.port, bytes))
    assert.deepEqual(
      answers.map(answer => answer.status),
      [200, 400],
    )
    await rig.stillServes()
    assert.deepEqual(
      rig.http1.heard.map(heard => heard.target),
      ['/first', '/polite'],
    )
    assert.deepEqual(rig.http1.stray(), [])
  })

  it('row 64: request trailers go on behind a body of many frames, byte for byte', async () => {
    for (const direction of DIRECTIONS) {
      const recorder = rig[direction.to]
      recorder.forget()
      const client = await FrameClient.open(rig.proxy.port)
      const id = client.headers(request(`${direction.prefix}x`, { ':method': 'PUT' }), 'more')
      const parts = Array.from({ length: 40 }, (_, at) => Buffer.alloc(at * 31, 65 + (at % 26)))
      client.send(...parts.map(part => frame(TYPE.DATA, 0, id, part)))
      client.send(frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, id, Buffer.from('\0\x05x-sum\x039 9')))
      assert.equal((await client.settled(id)).status, 200)
      client.close()
      assert.equal(recorder.heard[0]!.body, Buffer.concat(parts).toString('latin1'))
      assert.deepEqual(recorder.heard[0]!.trailers, ['x-sum: 9 9'])
    }
    await rig.stillServes()
  })
})
