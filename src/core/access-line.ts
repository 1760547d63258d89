// One request as one line of the access log: combined, as every log tool reads it, or JSON with what a proxy knows besides.
import { type Fields, fieldValue } from './headers.js'

export interface AccessEntry {
  head: { version: string; method: string; target: string; authority: string; client: string; fields: Fields }
  /** Unix time in ms of the request's head. */
  atMs: number
  requestId: string
  /** Sent to the client; 499: it left before there was one. */
  status: number
  grpcStatus: string | null
  /** Body bytes from and to the client. */
  bytesIn: number
  bytesOut: number
  durationMs: number
  /** '' where no route was found. */
  upstream: string
  /** The last endpoint tried. */
  endpoint: string
  attempts: number
  /** How it ended: `ok`, `client_gone`, or the error's code. */
  end: string
}

/** The entry of a request that has just come. */
export function newEntry(head: AccessEntry['head'], known: { atMs: number; requestId: string }): AccessEntry {
  return {
    head,
    ...known,
    status: 0,
    grpcStatus: null,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    upstream: '',
    endpoint: '',
    attempts: 0,
    end: 'ok',
  }
}

/** The line with its newline. */
export function accessLine(entry: AccessEntry, format: 'combined' | 'json'): string {
  return format === 'json' ? jsonLine(entry) : combinedLine(entry)
}

/** Apache's combined format, times in UTC. */
function combinedLine(entry: AccessEntry): string {
  const { head } = entry
  const request = quoted(`${head.method} ${head.target} ${head.version}`)
  const tail = `${quoted(field(head.fields, 'referer'))} ${quoted(field(head.fields, 'user-agent'))}`
  return `${head.client} - - [${stamp(entry.atMs)}] ${request} ${entry.status} ${entry.bytesOut} ${tail}\n`
}

function jsonLine(entry: AccessEntry): string {
  const { head } = entry
  return `${JSON.stringify({
    time: new Date(entry.atMs).toISOString(),
    id: entry.requestId,
    client: head.client,
    protocol: head.version,
    method: head.method,
    authority: head.authority,
    target: head.target,
    status: entry.status,
    grpc_status: entry.grpcStatus === null ? undefined : Number(entry.grpcStatus),
    bytes_in: entry.bytesIn,
    bytes_out: entry.bytesOut,
    duration_ms: Math.round(entry.durationMs * 1000) / 1000,
    upstream: entry.upstream,
    endpoint: entry.endpoint,
    attempts: entry.attempts,
    end: entry.end,
    user_agent: field(head.fields, 'user-agent'),
  })}\n`
}

function field(fields: Fields, name: string): string {
  return fieldValue(fields, name) ?? '-'
}

/** A client chooses these bytes: whatever could end the quotes or the line is written as \xHH. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]|["\\]/g, char => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function stamp(atMs: number): string {
  const at = new Date(atMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${two(at.getUTCDate())}/${MONTHS[at.getUTCMonth()]}/${at.getUTCFullYear()}`
  return `${day}:${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} +0000`
}
