// Section F, rows 1 to 48: HTTP/1.1 that two readers could understand differently is refused and nothing of it goes on; what is sound arrives byte for byte.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { endpoint } from '../start-proxy.js'
import { recordHttp2 } from './h2-recorder.js'
import type { Recorder } from './recorder.js'
import { recordHttp1 } from './recorder.js'
import { answersOf, DIRECTIONS, type Direction, exchange, heardAll, heardNothingOf, orAfter, type Rig, startRig } from './rig.js'
import * as framing from './rows-framing.js'
import * as targets from './rows-targets.js'

describe('hostile HTTP/1.1', () => {
  let rig: Rig
  /** Of `/core-pipeline/` and `/framaist-milvus/`, whose protocol is that of the direction. */
  let services: Record<Direction['to'], { pipeline: Recorder; milvus: Recorder }>
  const everyService = () => Object.values(services).flatMap(({ pipeline, milvus }) => [pipeline, milvus])
  const lead = async ({ to }: Direction) => {
    const protocol = to === 'http1' ? 'http1' : 'h2c'
    const { pipeline, milvus } = services[to]
    await rig.proxy.setTable([
      { prefix: '/w/', endpoints: [endpoint(rig.http1.port)] },
      { prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(rig.http2.port)] },
      { prefix: '/core-pipeline/', protocol, endpoints: [endpoint(pipeline.port)] },
      { prefix: '/framaist-milvus/', protocol, endpoints: [endpoint(milvus.port)] },
    ])
  }
  before(async () => {
    rig = await startRig({ settings: { maxHeaderBytes: 65_536, maxHeaderFields: 200 } })
    services = {
      http1: { pipeline: await recordHttp1(), milvus: await recordHttp1() },
      http2: { pipeline: await recordHttp2(), milvus: await recordHttp2() },
    }
    await lead(DIRECTIONS[0])
  })
  after(async () => {
    await rig.stop()
    for (const service of everyService()) await service.close()
  })
  const forget = () => {
    for (const recorder of [rig.http1, rig.http2, ...everyService()]) recorder.forget()
  }

  async function refuses(row: framing.Refused, direction: Direction): Promise<void> {
    forget()
    const recorder = rig[direction.to]
    const turn = (bytes: string) => bytes.replaceAll('/w/', direction.prefix)
    const finals = 1 + (row.before?.length ?? 0)
    const text = await exchange(rig.proxy.port, turn(row.bytes), {
      second: row.second === undefined ? undefined : turn(row.second),
      between: () => orAfter(150, () => recorder.begun() > 0),
      enough: soFar => row.after === 'open' && answersOf(soFar).length === finals,
    })
    const answers = answersOf(text)
    const last = answers.at(-1)
    assert.deepEqual(
      answers.slice(0, -1).map(answer => answer.status),
      (row.before ?? []).map(() => 200),
      text,
    )
    assert.ok(row.statuses.includes(last?.status ?? 0), `${row.statuses.join(' or ')} expected: ${JSON.stringify(text)}`)
    if (row.after === 'closes' && last !== undefined) assert.match(last.head, /^connection: close\r$/im)
    await rig.stillServes()
    await heardNothingOf(row, recorder)
    for (const other of everyService()) assert.deepEqual([other.heard, other.stray()], [[], []])
  }

  async function passes(row: framing.Passed, direction: Direction): Promise<void> {
    forget()
    const recorder = row.bytes.includes('/core-pipeline/') ? services[direction.to].pipeline : rig[direction.to]
    const isHead = row.bytes.startsWith('HEAD')
    const text = await exchange(rig.proxy.port, row.bytes.replaceAll('/w/', direction.prefix), {
      enough: soFar => (isHead ? soFar.endsWith('\r\n\r\n') : answersOf(soFar).length === row.answers.length),
    })
    if (isHead) assert.match(text, /^HTTP\/1\.1 200 /)
    else {
      assert.deepEqual(
        answersOf(text).map(answer => [answer.status, answer.body]),
        row.answers.map(body => [200, body]),
      )
    }
    heardAll(row.heard, recorder, direction)
    await rig.stillServes()
  }

  for (const direction of DIRECTIONS) {
    for (const row of framing.REFUSED) {
      // One write of ours carries the whole; over HTTP/2 a stream may have been opened by then, and is reset.
      const origin = direction.to === 'http2' && row.bytes.includes('chunked\r\n\r\n') && row.row >= 21 ? 'cut' : row.origin
      it(`row ${row.row}, to ${direction.to}: ${row.title}`, () => refuses({ ...row, origin }, direction))
    }
    for (const row of framing.PASSED) it(`row ${row.row}, to ${direction.to}: ${row.title}`, () => passes(row, direction))
  }

  for (const direction of DIRECTIONS) {
    describe(`request lines, targets and fields, to ${direction.to}`, () => {
      before(() => lead(direction))
      for (const row of targets.REFUSED) it(`row ${row.row}: ${row.title}`, () => refuses(row, direction))
      for (const row of targets.PASSED) it(`row ${row.row}: ${row.title}`, () => passes(row, direction))

      it('row 31: OPTIONS * is answered here', async () => {
        forget()
        const text = await exchange(rig.proxy.port, 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n', {
          enough: soFar => answersOf(soFar).length === 1,
        })
        assert.equal(answersOf(text)[0]!.status, 200)
        await rig.stillServes()
        await heardNothingOf({ origin: 'nothing' }, rig[direction.to])
      })

      for (const row of targets.NOMINATED) {
        it(`row ${row.row}: ${row.title} is refused, or its field stays what it was`, async () => {
          forget()
          const recorder = rig[direction.to]
          const text = await exchange(rig.proxy.port, row.bytes.replaceAll('/w/', direction.prefix), {
            enough: soFar => answersOf(soFar).length === 1,
          })
          const { status } = answersOf(text)[0]!
          assert.ok(status === 400 || status === 200, text)
          assert.deepEqual(recorder.stray(), [])
          assert.equal(recorder.heard.length, status === 400 ? 0 : 1)
          for (const heard of recorder.heard) {
            assert.equal(heard.body, row.body)
            const kept = row.kept[direction.to]
            if (kept !== null) assert.ok(heard.fields.includes(kept), heard.fields.join('\n'))
          }
          await rig.stillServes()
        })
      }
    })
  }
})
