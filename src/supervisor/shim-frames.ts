// The shim's wire format, pure: requests as netstring frames, and its JSON lines checked into typed messages.
import type { InstanceSpec, LogSpec, RunSpec } from '../core/spec.js'
import type { ExitRecord } from '../core/status.js'

export type Stream = 'stdout' | 'stderr'
export type Field = readonly [key: string, value: string | number]

/** How a run ended, with both clocks: `*Ms` monotonic (process.hrtime's), `*AtMs` Unix time. */
export interface ShimExit extends ExitRecord {
  startedMs: number
  endedMs: number
  startedAtMs: number
}

/** What a shim tells about itself when a daemon connects.  pid 0: nothing runs, and both started times are 0. */
export interface ShimHello {
  shim: number
  pid: number
  startedMs: number
  startedAtMs: number
  /** The last exit that no daemon took yet. */
  exit: ShimExit | null
  /** Bytes that never reached the log files since the shim began. */
  lost: Record<Stream, number>
}

export interface ShimReply {
  kind: 'reply'
  id: number
  /** null: done. */
  failure: { stage: string; errno: number; error: string } | null
  /** Of a `run`, else 0. */
  pid: number
  /** Of a `state`, else null. */
  hello: ShimHello | null
}

export type ShimMessage =
  | ShimReply
  | { kind: 'hello'; hello: ShimHello }
  | { kind: 'exited'; exit: ShimExit }
  | { kind: 'log_lost'; stream: Stream; bytes: number; error: string }
  | { kind: 'log_ok'; stream: Stream; bytes: number }
  | { kind: 'rotated'; stream: Stream }
  | { kind: 'error'; error: string }

/** native/shim_request.h FRAME_MAX. */
export const FRAME_MAX_BYTES = 2 * 1024 * 1024
export const PROTOCOL_VERSION = 1

/** A request's payload and frame.  Throws RangeError where a value has a NUL byte or the frame is too long: values are never shown. */
export function encodeFrame(verb: string, id: number, fields: readonly Field[]): Buffer {
  const parts = [verb, `id=${id}`]
  for (const [key, value] of fields) {
    const part = `${key}=${value}`
    if (part.includes('\0')) throw new RangeError(`${key}: has a NUL byte`)
    parts.push(part)
  }
  const payload = Buffer.from(parts.join('\0'))
  if (payload.length > FRAME_MAX_BYTES)
    throw new RangeError(`${payload.length} bytes of arguments and environment, at most ${FRAME_MAX_BYTES}`)
  return Buffer.concat([Buffer.from(`${payload.length}:`), payload, Buffer.from(',')])
}

export function runFields(run: RunSpec): Field[] {
  const fields: Field[] = [['dir', run.directory]]
  for (const word of run.argv) fields.push(['arg', word])
  for (const [name, value] of Object.entries(run.environment)) fields.push(['env', `${name}=${value}`])
  for (const [name, value] of Object.entries(run.limits)) fields.push(['limit', `${name}:${value}`])
  if (run.user !== null) fields.push(['user', run.user])
  if (run.umask !== null) fields.push(['umask', run.umask])
  if (run.nice !== null) fields.push(['nice', run.nice])
  if (run.oomScoreAdj !== null) fields.push(['oom', run.oomScoreAdj])
  return fields
}

export function logFields(logs: InstanceSpec['logs']): Field[] {
  const fields = streamFields('stdout', logs.stdout)
  if (logs.stderr === 'stdout') fields.push(['redirect', 1])
  else fields.push(...streamFields('stderr', logs.stderr))
  return fields
}

function streamFields(stream: Stream, log: LogSpec | null): Field[] {
  if (log === null) return [[stream, '']]
  return [
    [stream, log.path],
    [`${stream}_max`, log.maxBytes],
    [`${stream}_backups`, log.backups],
  ]
}

/** One line from a shim.  Returns null for an event this version does not know.  Throws TypeError for anything malformed. */
export function parseLine(line: string): ShimMessage | null {
  const object = asObject(parseJson(line), 'line')
  if ('reply' in object) return parseReply(object)
  switch (object.event) {
    case 'hello':
      return { kind: 'hello', hello: parseHello(object) }
    case 'exited':
      return { kind: 'exited', exit: parseExit(object) }
    case 'log_lost':
      return { kind: 'log_lost', stream: streamOf(object), bytes: count(object, 'bytes'), error: text(object, 'error') }
    case 'log_ok':
      return { kind: 'log_ok', stream: streamOf(object), bytes: count(object, 'bytes') }
    case 'rotated':
      return { kind: 'rotated', stream: streamOf(object) }
    case 'error':
      return { kind: 'error', error: text(object, 'error') }
    default:
      text(object, 'event')
      return null
  }
}

/** The exit object of an event, of hello, or of exit.json.  Throws TypeError. */
export function parseExit(value: unknown): ShimExit {
  const object = asObject(value, 'exit')
  const code = object.code === null ? null : count(object, 'code')
  const signal = object.signal === null ? null : text(object, 'signal')
  if ((code === null) === (signal === null)) throw new TypeError('exit: exactly one of code and signal')
  if (signal !== null && !/^[A-Z0-9]{1,10}$/.test(signal)) throw new TypeError('exit: signal has no signal name')
  return {
    pid: count(object, 'pid'),
    code,
    signal,
    coreDumped: object.core === true,
    userMs: number(object, 'user_ms'),
    systemMs: number(object, 'system_ms'),
    maxRssKb: count(object, 'max_rss_kb'),
    startedMs: number(object, 'started_ms'),
    endedMs: number(object, 'ended_ms'),
    startedAtMs: number(object, 'started_at_ms'),
    endedAtMs: number(object, 'ended_at_ms'),
  }
}

/** Throws TypeError where the text is not JSON. */
export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new TypeError('not JSON', { cause })
  }
}

function parseReply(object: Record<string, unknown>): ShimReply {
  const id = count(object, 'reply')
  if (object.ok === true) {
    const pid = 'pid' in object ? count(object, 'pid') : 0
    return { kind: 'reply', id, failure: null, pid, hello: 'hello' in object ? parseHello(object.hello) : null }
  }
  const failure = { stage: text(object, 'stage'), errno: count(object, 'errno'), error: text(object, 'error') }
  return { kind: 'reply', id, failure, pid: 0, hello: null }
}

function parseHello(value: unknown): ShimHello {
  const object = asObject(value, 'hello')
  if (object.version !== PROTOCOL_VERSION) throw new TypeError(`protocol version ${String(object.version)}, not ${PROTOCOL_VERSION}`)
  const lost = asObject(object.lost, 'lost')
  return {
    shim: count(object, 'shim'),
    pid: count(object, 'pid'),
    startedMs: number(object, 'started_ms'),
    startedAtMs: number(object, 'started_at_ms'),
    exit: object.exit === null ? null : parseExit(object.exit),
    lost: { stdout: count(lost, 'stdout'), stderr: count(lost, 'stderr') },
  }
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${what}: not an object`)
  return value as Record<string, unknown>
}

function number(object: Record<string, unknown>, key: string): number {
  const value = object[key]
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw new TypeError(`${key}: not a number >= 0`)
  return value
}

function count(object: Record<string, unknown>, key: string): number {
  const value = number(object, key)
  if (!Number.isSafeInteger(value)) throw new TypeError(`${key}: not a whole number`)
  return value
}

function text(object: Record<string, unknown>, key: string): string {
  const value = object[key]
  if (typeof value !== 'string' || value.length > 1000) throw new TypeError(`${key}: not a short text`)
  return value
}

function streamOf(object: Record<string, unknown>): Stream {
  const stream = object.stream
  if (stream !== 'stdout' && stream !== 'stderr') throw new TypeError('stream: not stdout or stderr')
  return stream
}
