// guardctl's verbs about what was written and what happened: tail, maintail, logs, events.
import { isUtf8 } from 'node:buffer'
import { eventText } from '../../core/event-text.js'
import type { GuardEvent } from '../../core/events.js'
import { LineSplitter } from '../log-lines.js'
import { printable } from '../printable.js'
import { type Call, type Verb, wrongUsage } from './call.js'
import type { Params } from './client.js'
import { Failure } from './failure.js'
import { takeStream } from './stream.js'

const CTRL_C = '==> Press Ctrl-C to exit <=='

export const tail: Verb = async call => {
  const { name, channel } = tailWords(call)
  try {
    return await oneLog(call, { command: 'tail', params: { name, channel }, heading: { name, channel } })
  } catch (error) {
    throw worded(error, name)
  }
}

function tailWords(call: Call): { name: string; channel: string } {
  const { words, follow, bytes } = call.line
  const hasModifier = follow || bytes !== null
  if (words.length === 0 && !hasModifier) throw wrongUsage('tail', 'too few arguments', 1)
  if (words.length > 2) throw wrongUsage('tail', 'too many arguments', 1)
  const [name, channel = 'stdout'] = words
  if (name === undefined) throw wrongUsage('tail', 'tail requires process name', 1)
  const lower = channel.toLowerCase()
  if (lower !== 'stdout' && lower !== 'stderr') throw wrongUsage('tail', `bad channel '${lower}'`, 1)
  return { name, channel: lower }
}

export const maintail: Verb = async call => {
  const [word, more] = call.line.words
  if (more !== undefined) throw wrongUsage('maintail', 'too many arguments', 1)
  if (word !== undefined) throw wrongUsage('maintail', `bad argument ${word}`, 1)
  try {
    return await oneLog(call, { command: 'maintail', params: {}, heading: { name: 'autodl-guard' } })
  } catch (error) {
    throw worded(error, 'autodl-guard')
  }
}

function worded(error: unknown, name: string): unknown {
  if (!(error instanceof Failure)) return error
  const words = error.code === 'NO_FILE' ? 'no log file' : error.code === 'BAD_NAME' ? 'no such process name' : null
  return words === null ? error : new Failure(error.code, `${name}: ERROR (${words})`, { hint: error.hint, text: error.text })
}

interface LogRequest {
  command: 'tail' | 'maintail'
  params: Params
  /** Stands in every JSON record. */
  heading: Record<string, string>
}

async function oneLog(call: Call, { command, params, heading }: LogRequest): Promise<number> {
  const { json, follow } = call.line
  const request = { command, params: { ...params, ...rangeOf(call) } }
  if (json) return jsonLines(call, request, heading)
  if (follow) call.terminal.print(CTRL_C)
  const ended = await takeStream(call, request, piece => call.terminal.write(piece))
  if (follow && ended === 'left') call.terminal.print('')
  return 0
}

async function jsonLines(
  call: Call,
  request: { command: 'tail' | 'maintail'; params: Params },
  heading: Record<string, string>,
): Promise<number> {
  const splitter = new LineSplitter()
  const record = (line: Buffer): string => {
    const content = isUtf8(line) ? { text: line.toString('utf8') } : { base64: line.toString('base64') }
    return `${JSON.stringify({ ...heading, ...content })}\n`
  }
  await takeStream(call, request, piece => call.terminal.write(splitter.push(piece).map(record).join('')))
  const rest = splitter.flush()
  if (rest) await call.terminal.write(record(rest))
  return 0
}

function rangeOf(call: Call): Params {
  const { bytes, follow } = call.line
  return { follow: follow ? 'yes' : 'no', ...(bytes === null ? {} : { bytes }) }
}

export const logs: Verb = async call => {
  const request = { command: 'logs', params: { names: call.line.words, ...rangeOf(call) } } as const
  if (call.line.json) await takeStream(call, request, piece => call.terminal.write(piece))
  else {
    const painter = linePainter(call.terminal.hasColour)
    await takeRecords(call, request, records => call.terminal.write(Buffer.concat(records.map(record => painter(record as LogRecord)))))
  }
  return 0
}

type LogRecord = { id: string; stream: string; text?: string; base64?: string; gap?: string }

const COLOURS = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94]

// The line's own bytes go through as they are, whatever they are: only the prefix is ours.
function linePainter(hasColour: boolean): (record: LogRecord) => Buffer {
  const order = new Map<string, number>()
  let width = 0
  return ({ id, text, base64, gap }) => {
    if (!order.has(id)) order.set(id, order.size)
    width = Math.max(width, id.length)
    const prefix = `${id.padEnd(width)} |`
    const painted = hasColour ? `\u001b[${COLOURS[order.get(id)! % COLOURS.length]}m${prefix}\u001b[0m` : prefix
    const content = base64 !== undefined ? Buffer.from(base64, 'base64') : Buffer.from(text ?? gap ?? '')
    return Buffer.concat([Buffer.from(`${painted} `), content, Buffer.from('\n')])
  }
}

export const events: Verb = async call => {
  if (call.line.words.length > 0) throw wrongUsage('events', 'events accepts no arguments', 2)
  const request = { command: 'events', params: { follow: call.line.follow ? 'yes' : 'no' } } as const
  if (call.line.json) await takeStream(call, request, piece => call.terminal.write(piece))
  else
    await takeRecords(call, request, records => call.terminal.write(records.map(record => `${eventLine(record as GuardEvent)}\n`).join('')))
  return 0
}

function eventLine(event: GuardEvent): string {
  const { level, text } = eventText(event)
  return `${momentText(new Date(event.atMs))} ${level.padEnd(5)} ${printable(text)}`
}

// In the zone of whoever looks, like the times of `status`.
function momentText(at: Date): string {
  const pad = (value: number, length: number): string => String(value).padStart(length, '0')
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1, 2)}-${pad(at.getDate(), 2)}`
  return `${day} ${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}.${pad(at.getMilliseconds(), 3)}`
}

async function takeRecords(
  call: Call,
  request: { command: 'logs' | 'events'; params: Params },
  take: (records: unknown[]) => Promise<void>,
): Promise<void> {
  const parts: Buffer[] = []
  await takeStream(call, request, async piece => {
    // Our own JSON lines, which may be longer than any log line: base64 and escapes.
    const end = piece.lastIndexOf(0x0a)
    if (end < 0) {
      parts.push(piece)
      return
    }
    const whole = Buffer.concat([...parts.splice(0), piece.subarray(0, end)])
    if (end + 1 < piece.length) parts.push(piece.subarray(end + 1))
    await take(
      whole
        .toString('utf8')
        .split('\n')
        .map(line => JSON.parse(line)),
    )
  })
}
