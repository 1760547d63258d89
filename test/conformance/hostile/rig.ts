// One proxy before recording services of both protocols, and what every row ends with: the worker lives, and polite requests are served.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { ProxySpec } from '../../../src/core/spec.js'
import { endpoint, startTestProxy, type TestProxy, type TestRoute, until } from '../start-proxy.js'
import { FrameClient } from './h2-client.js'
import { type Http2Recorder, type Http2RecorderOptions, recordHttp2 } from './h2-recorder.js'
import { fieldsOfClient, type Recorder, recordHttp1 } from './recorder.js'
import type { Expected, Refused } from './rows-framing.js'

/** `/w/` leads to the recorder in HTTP/1.1, `/g/` to the one in HTTP/2. */
export interface Rig {
  proxy: TestProxy
  http1: Recorder
  http2: Http2Recorder
  pid: number
  /** Requests that one must succeed at when a row is through, over new connections in both protocols; and the worker is the same. */
  stillServes(): Promise<void>
  stop(): Promise<void>
}

export interface RigOptions {
  settings?: Partial<ProxySpec>
  route?: Partial<TestRoute>
  http2?: Http2RecorderOptions
}

/** A direction through the proxy: the prefix that a row's `/w/` becomes, and who hears it. */
export const DIRECTIONS = [
  { to: 'http1', prefix: '/w/' },
  { to: 'http2', prefix: '/g/' },
] as const
export type Direction = (typeof DIRECTIONS)[number]

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const http1 = await recordHttp1()
  const http2 = await recordHttp2(options.http2)
  const proxy = await startTestProxy(
    [
      { prefix: '/w/', endpoints: [endpoint(http1.port)], ...options.route },
      { prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(http2.port)], ...options.route },
    ],
    options.settings,
  )
  const pid = proxy.status().workers[0]!.pid
  return {
    proxy,
    http1,
    http2,
    pid,
    stillServes: async () => {
      assert.match(
        await exchange(proxy.port, 'GET /w/polite HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'),
        /^HTTP\/1\.1 200 [\s\S]*\/polite$/,
      )
      const client = await FrameClient.open(proxy.port)
      const answer = await client.get('/g/polite')
      client.close()
      assert.equal(answer.body, '/polite')
      assert.deepEqual(
        proxy.status().workers.map(worker => worker.pid),
        [pid],
        'the worker is another',
      )
    },
    stop: async () => {
      await proxy.stop()
      await http1.close()
      await http2.close()
    },
  }
}

/** Nothing of a refused request has come, or only its beginning, whose connection or stream is gone by now. */
export async function heardNothingOf(row: Pick<Refused, 'origin' | 'before'>, recorder: Recorder): Promise<void> {
  assert.deepEqual(
    recorder.heard.map(heard => heard.target).filter(target => target !== '/polite'),
    (row.before ?? []).map(before => before.target),
  )
  if (row.origin === 'nothing') {
    assert.deepEqual(recorder.stray(), [])
    return
  }
  await until(() => recorder.stray().every(stray => stray.gone))
  for (const stray of recorder.stray()) {
    assert.match(stray.bytes, /^[A-Z]+ \/x(?= HTTP\/1\.1\r\n|\r\n)/)
    assert.doesNotMatch(stray.bytes, /smuggled/)
  }
}

/** The request arrived as it was sent. */
export function heardAll(expected: readonly Expected[], recorder: Recorder, direction: Direction): void {
  assert.deepEqual(recorder.stray(), [])
  assert.equal(recorder.heard.length, expected.length)
  for (const [at, wanted] of expected.entries()) {
    const { method, target, framing, body, trailers, fields } = recorder.heard[at]!
    assert.deepEqual({ method, target, body }, { method: wanted.method, target: wanted.target, body: wanted.body })
    assert.equal(framing, direction.to === 'http1' ? wanted.framing : 'frames')
    if (wanted.trailers !== undefined) assert.deepEqual(trailers, wanted.trailers)
    // HTTP/2 says the host in a pseudo field.
    const ofHost = direction.to === 'http1' ? () => true : (field: string) => !field.startsWith('host: ')
    if (wanted.fields !== undefined) assert.deepEqual(fieldsOfClient(fields), wanted.fields.filter(ofHost))
  }
}

/** Sends these parts, the second when `between` is over; reads until the proxy closes, or what came is enough. */
export async function exchange(
  port: number,
  bytes: string,
  how: { second?: string | undefined; between?: () => Promise<void>; enough?: (text: string) => boolean; limitMs?: number } = {},
): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  let text = ''
  let closed = false
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
  })
  socket.on('close', () => {
    closed = true
  })
  socket.write(Buffer.from(bytes, 'latin1'))
  if (how.second !== undefined) {
    await how.between?.()
    socket.write(Buffer.from(how.second, 'latin1'))
  }
  try {
    await until(() => closed || (how.enough?.(text) ?? false), how.limitMs ?? 30_000)
  } catch {
    assert.fail(`neither closed nor answered: ${JSON.stringify(text.slice(0, 2000))}`)
  } finally {
    socket.destroy()
  }
  return text
}

/** The final answers of a connection in HTTP/1.1, each framed by Content-Length. */
export function answersOf(text: string): { status: number; head: string; body: string }[] {
  const answers: { status: number; head: string; body: string }[] = []
  for (let rest = text; ; ) {
    const headEnd = rest.indexOf('\r\n\r\n')
    if (headEnd === -1) return answers
    const head = rest.slice(0, headEnd + 4)
    const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(head)?.[1] ?? Number.NaN)
    if (Number.isNaN(status)) return answers
    const length = Number(/^content-length: ([0-9]+)\r$/im.exec(head)?.[1] ?? 0)
    if (rest.length < headEnd + 4 + length) return answers
    if (status >= 200) answers.push({ status, head, body: rest.slice(headEnd + 4, headEnd + 4 + length) })
    rest = rest.slice(headEnd + 4 + length)
  }
}

/** Resident and highest resident memory of a process, in bytes. */
export function memoryOf(pid: number): { rssBytes: number; highBytes: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+([0-9]+) kB$`, 'm').exec(status)![1]) * 1024
  return { rssBytes: bytes('VmRSS'), highBytes: bytes('VmHWM') }
}

/** Polite requests until the worker has the size it has at work, so that what a flood adds can be told. */
export async function warmUp(rig: Rig, requests = 3000): Promise<void> {
  const client = await FrameClient.open(rig.proxy.port)
  for (let at = 0; at < requests; at += 10) {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, each) => client.get(each < 5 ? '/w/polite' : '/g/polite')))
    for (const answer of answers) assert.equal(answer.status, 200)
  }
  client.close()
}

/** Polite requests, one after the other over a connection of their own, until told to stop; every one must succeed. */
export async function politeBeside(rig: Rig): Promise<{ stop(): Promise<number[]> }> {
  const client = await FrameClient.open(rig.proxy.port)
  const tookMs: number[] = []
  let stopped = false
  const running = (async () => {
    while (!stopped) {
      const begun = performance.now()
      const answer = await client.get(tookMs.length % 2 === 0 ? '/w/polite' : '/g/polite')
      assert.deepEqual([answer.status, answer.body, client.goaway], [200, '/polite', null])
      tookMs.push(performance.now() - begun)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })()
  // A failure is told by `stop`, whenever that is.
  running.catch(() => {})
  return {
    stop: async () => {
      stopped = true
      await running
      client.close()
      return tookMs.toSorted((a, b) => a - b)
    },
  }
}

/** The value below which so much of a sorted list lies. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!
}

/** Until the fact holds, or the time is over: for what may rightly never happen. */
export async function orAfter(limitMs: number, fact: () => boolean): Promise<void> {
  const end = performance.now() + limitMs
  while (!fact() && performance.now() < end) await new Promise(resolve => setTimeout(resolve, 5))
}
