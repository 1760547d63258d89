// gRPC rule 30 (proxy.md D): the access log has a line per call that says how it went.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { message } from '../h2-frames.js'
import { logLines } from '../log-lines.js'
import { until } from '../start-proxy.js'
import { answer, begin, rawCall, trailersOnly } from './calls.js'
import { type Rig, startRig } from './rig.js'
import { RST, type WireStream } from './wire.js'

type Line = Record<string, unknown>

describe('rule 30: the access log', () => {
  const directory = mkdtempSync(join(tmpdir(), 'guard-log-'))
  const path = join(directory, 'access.log')
  let rig: Rig
  before(async () => {
    rig = await startRig({ settings: { accessLog: { path, format: 'json', maxBytes: 0, backups: 0 } } })
  })
  after(async () => {
    await rig.close()
    rmSync(directory, { recursive: true, force: true })
  })

  /** The line of one call; `target` names it. */
  const lineOf = async (target: string): Promise<Line> => {
    let found: Line | undefined
    await until(() => {
      found = logLines(path)
        .map(line => JSON.parse(line) as Line)
        .find(line => line.target === target)
      return found !== undefined
    })
    return found!
  }

  it('route, method path, both statuses, bytes and messages both ways, duration, instance, retries', async () => {
    rig.act = stream => {
      begin(stream, 'one')
      stream.wire.data(stream.id, Buffer.concat([message('two'), message('')]))
      stream.wire.headers(stream.id, [['grpc-status', '9']], 'end')
    }
    const body = Buffer.concat([message('a'), message('bc')])
    await rawCall(rig.wire, '/s/pkg.Service/Full', { body })
    const line = await lineOf('/s/pkg.Service/Full')
    const { route, upstream, endpoint, status, grpc_status, bytes_in, bytes_out, messages_in, messages_out, retries, end } = line
    assert.deepEqual(
      { route, upstream, endpoint, status, grpc_status, bytes_in, bytes_out, messages_in, messages_out, retries, end },
      {
        route: '/s/',
        upstream: '/s/',
        endpoint: `127.0.0.1:${rig.service.port}`,
        status: 200,
        grpc_status: 9,
        bytes_in: body.length,
        bytes_out: 5 + 3 + 5 + 3 + 5,
        messages_in: 2,
        messages_out: 3,
        retries: 0,
        end: 'ok',
      },
    )
    assert.ok((line.duration_ms as number) > 0 && (line.duration_ms as number) < 5000)
    assert.deepEqual([line.cancelled, line.deadline], [undefined, undefined])
  })

  it('messages are counted however DATA cuts them', async () => {
    const words = Array.from({ length: 30 }, (_, at) => message('w'.repeat(at)))
    const bytes = Buffer.concat(words)
    rig.act = stream => {
      stream.wire.headers(
        stream.id,
        [
          [':status', '200'],
          ['content-type', 'application/grpc'],
        ],
        'more',
      )
      for (let at = 0; at < bytes.length; at += 7) stream.wire.data(stream.id, bytes.subarray(at, at + 7))
      stream.wire.headers(stream.id, [['grpc-status', '0']], 'end')
    }
    await rawCall(rig.wire, '/s/pkg.Service/Cut', { body: bytes })
    const { messages_in, messages_out, grpc_status } = await lineOf('/s/pkg.Service/Cut')
    assert.deepEqual({ messages_in, messages_out, grpc_status }, { messages_in: 30, messages_out: 30, grpc_status: 0 })
  })

  for (const [name, act, more, wanted] of [
    ['Retried', undefined, [], { grpc_status: 0, attempts: 2, retries: 1, end: 'ok' }],
    ['Late', () => {}, [['grpc-timeout', '60m']], { grpc_status: 4, deadline: true, end: 'DEADLINE_PASSED' }],
    ['Broken', (stream: WireStream) => stream.wire.kill(), [], { grpc_status: 14, end: 'UPSTREAM_BROKEN' }],
    ['Only', (stream: WireStream) => trailersOnly(stream, 3), [], { grpc_status: 3, end: 'ok', messages_out: 0 }],
  ] as const) {
    it(`${name}: ${JSON.stringify(wanted)}`, async () => {
      let tries = 0
      rig.act = act ?? (stream => (++tries === 1 ? stream.wire.reset(stream.id, RST.REFUSED) : answer(stream)))
      await rawCall(rig.wire, `/s/pkg.Service/${name}`, { more: more as never })
      const line = await lineOf(`/s/pkg.Service/${name}`)
      assert.deepEqual(Object.fromEntries(Object.keys(wanted).map(key => [key, line[key]])), wanted)
    })
  }

  it('the combined format says the same, but for the messages, behind what every tool reads', async () => {
    const file = join(directory, 'combined.log')
    const own = await startRig({ settings: { accessLog: { path: file, format: 'combined', maxBytes: 0, backups: 0 } } })
    let tries = 0
    own.act = stream => (++tries === 1 ? stream.wire.reset(stream.id, RST.REFUSED) : answer(stream))
    const body = message('abc')
    await own.call({ body, more: [['x-request-id', 'mine']] })
    own.act = () => {}
    // Long enough to reach the service on any machine: it is counted below.
    await own.call({ more: [['grpc-timeout', '500m']] })
    const cancelled = own.open('end')
    await until(() => own.service.calls.length === 4)
    own.wire.reset(cancelled.id, RST.CANCEL)
    const texts = () => logLines(file)
    await until(() => texts().length === 3)
    const [retried, late, left] = texts().map(text => {
      const parts = /^127\.0\.0\.1 - - \[[^\]]+\] "POST \/s\/x\.Y\/Z HTTP\/2\.0" (\d+) (\d+) "-" "-" (.+)$/.exec(text)
      assert.ok(parts, text)
      const facts = Object.fromEntries(parts[3]!.split(' ').map(fact => fact.split('=') as [string, string]))
      return { status: parts[1], bytes_out: parts[2], ...facts } as Record<string, string | undefined>
    })
    const { duration_ms, head_ms, ...rest } = retried!
    assert.ok(Number(duration_ms) >= Number(head_ms) && Number(head_ms) > 0)
    assert.deepEqual(rest, {
      ...{ status: '200', bytes_out: '9', id: 'mine', route: '/s/', endpoint: `127.0.0.1:${own.service.port}` },
      ...{ grpc_status: '0', bytes_in: String(body.length), attempts: '2', retries: '1', end: 'ok' },
    })
    assert.deepEqual([late!.grpc_status, late!.end, late!.deadline], ['4', 'DEADLINE_PASSED', 'true'])
    assert.deepEqual([left!.grpc_status, left!.end, left!.cancelled], ['1', 'client_gone', 'true'])
    await own.close()
  })

  it('a call its client cancels: cancelled, grpc-status 1', async () => {
    rig.act = () => {}
    const stream = rig.wire.open(
      [
        [':method', 'POST'],
        [':scheme', 'http'],
        [':path', '/s/pkg.Service/Left'],
        [':authority', 'suite.test'],
        ['content-type', 'application/grpc'],
      ],
      'end',
    )
    await until(() => rig.seen().field(':path') === '/pkg.Service/Left')
    rig.wire.reset(stream.id, RST.CANCEL)
    const { grpc_status, cancelled, end } = await lineOf('/s/pkg.Service/Left')
    assert.deepEqual({ grpc_status, cancelled, end }, { grpc_status: 1, cancelled: true, end: 'client_gone' })
  })
})
