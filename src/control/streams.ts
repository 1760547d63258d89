// Replies that may go on: log ends and followed logs as bytes, merged logs and events as one JSON object per line.
import { isUtf8 } from 'node:buffer'
import { AppError } from '../core/error.js'
import type { GuardEvent } from '../core/events.js'
import type { InstanceStatus } from '../core/status.js'
import type { Guard } from '../guard.js'
import type { EventFeed } from './event-feed.js'
import type { Piece } from './log-cursor.js'
import { followMerged, type LogSource, type MergedLine, tailMerged } from './log-merge.js'
import { followLog, tailLog } from './log-reader.js'
import { resolveName } from './names.js'
import type { Params } from './params.js'

export interface StreamReply {
  type: 'application/octet-stream' | 'application/x-ndjson'
  body: AsyncIterable<Buffer | string>
}

const NEWLINE = 0x0a

/** Throws BAD_NAME, NO_FILE. */
export async function tailReply(guard: Guard, params: Params<'tail'>, signal: AbortSignal): Promise<StreamReply> {
  const instances = guard.status()
  const target = resolveName(params.name, instances)
  const status = target.kind === 'process' ? instances.find(instance => instance.id === target.id) : undefined
  if (!status) throw new AppError('BAD_NAME', `no such process: ${params.name}`)
  const path = status.logs[params.channel]
  if (path === null) throw new AppError('NO_FILE', `${status.id} has no ${params.channel} log`)
  return oneLog(path, params, signal)
}

/** Throws NO_FILE. */
export function maintailReply(guard: Guard, params: Params<'maintail'>, signal: AbortSignal): Promise<StreamReply> {
  return oneLog(guard.daemonLog().path, params, signal)
}

async function oneLog(path: string, params: { bytes: number; follow: 'yes' | 'no' }, signal: AbortSignal): Promise<StreamReply> {
  const type = 'application/octet-stream'
  if (params.follow === 'no') return { type, body: await tailLog(path, { bytes: params.bytes, align: 'byte' }) }
  return { type, body: withNotes(followLog(path, { bytes: params.bytes, signal })) }
}

// A note stands on a line of its own, as supervisord writes it.
async function* withNotes(pieces: AsyncIterable<Piece>): AsyncGenerator<Buffer | string> {
  let isLineOpen = false
  for await (const piece of pieces) {
    if (piece.kind === 'gap') yield `${isLineOpen ? '\n' : ''}${piece.text}\n`
    else yield piece.bytes
    isLineOpen = piece.kind === 'bytes' && piece.bytes.at(-1) !== NEWLINE
  }
}

/** One record per line: {id, stream, text} or {id, stream, base64} where the line is not UTF-8, {id, stream, gap} for a note.
 *  Throws BAD_NAME. */
export function logsReply(guard: Guard, params: Params<'logs'>, signal: AbortSignal): StreamReply {
  sourcesOf(guard.status(), params.names)
  const options = { bytes: params.bytes, signal }
  const lines =
    params.follow === 'yes'
      ? followMerged(() => sourcesStillThere(guard.status(), params.names), options)
      : tailMerged(sourcesOf(guard.status(), params.names), params.bytes)
  return { type: 'application/x-ndjson', body: records(lines) }
}

async function* records(lines: AsyncIterable<MergedLine>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(recordOf(line))}\n`
}

function recordOf(line: MergedLine): Record<string, string> {
  const { id, stream } = line
  if ('gap' in line) return { id, stream, gap: line.gap }
  // Not by decoding and looking for replacement characters: a program may print those itself.
  return isUtf8(line.line) ? { id, stream, text: line.line.toString('utf8') } : { id, stream, base64: line.line.toString('base64') }
}

/** The log files of the named instances; no names: of all.  Throws BAD_NAME. */
function sourcesOf(instances: InstanceStatus[], names: readonly string[]): LogSource[] {
  if (names.length === 0 || names.includes('all')) return instances.flatMap(logsOf)
  const ids = new Set(
    names.flatMap(name => {
      const target = resolveName(name, instances)
      if (target.kind === 'none') throw new AppError('BAD_NAME', `no such ${target.what}: ${target.name}`)
      return target.kind === 'process' ? [target.id] : target.ids
    }),
  )
  return instances.filter(instance => ids.has(instance.id)).flatMap(logsOf)
}

// A followed instance may be removed by an update; the others go on.
function sourcesStillThere(instances: InstanceStatus[], names: readonly string[]): LogSource[] {
  const left = names.filter(name => name === 'all' || resolveName(name, instances).kind !== 'none')
  return left.length === 0 && names.length > 0 ? [] : sourcesOf(instances, left)
}

function logsOf(instance: InstanceStatus): LogSource[] {
  const { stdout, stderr } = instance.logs
  const sources: LogSource[] = []
  if (stdout !== null) sources.push({ id: instance.id, stream: 'stdout', path: stdout })
  if (stderr !== null && stderr !== stdout) sources.push({ id: instance.id, stream: 'stderr', path: stderr })
  return sources
}

/** Past events, or those from now on. */
export function eventsReply(feed: EventFeed, params: Params<'events'>, signal: AbortSignal): StreamReply {
  const events = params.follow === 'yes' ? feed.follow(signal) : feed.recent()
  return { type: 'application/x-ndjson', body: eventRecords(events) }
}

async function* eventRecords(events: AsyncIterable<GuardEvent> | Iterable<GuardEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`
}
