// The recording service: keeps every byte it got, tells complete requests from all else, and answers each with its target.
import { type Origin, rawOrigin } from '../origins.js'

/** A complete request as it arrived: nothing decoded, trimmed or put in order. */
export interface Heard {
  method: string
  target: string
  /** `name: value`, byte for byte, in order. */
  fields: string[]
  framing: 'none' | 'length' | 'chunked' | 'frames'
  body: string
  trailers: string[]
}

/** What arrived and is no complete request.  gone: its connection is closed, or its stream reset. */
export interface Stray {
  bytes: string
  gone: boolean
}

export interface Recorder extends Origin {
  /** Complete requests since the last `forget`, in order of completion. */
  readonly heard: Heard[]
  /** Requests begun since the last `forget`, complete or not. */
  begun(): number
  stray(): Stray[]
  forget(): void
}

interface Recording {
  bytes: Buffer
  gone: boolean
  isBegun: boolean
}

/** HTTP/1.1: reads as strictly as anybody can, so that whatever two readers could take differently shows as stray. */
export async function recordHttp1(answer = plainAnswer): Promise<Recorder> {
  const heard: Heard[] = []
  const recordings = new Set<Recording>()
  let begun = 0
  const origin = await rawOrigin(socket => {
    const recording: Recording = { bytes: Buffer.alloc(0), gone: false, isBegun: false }
    recordings.add(recording)
    socket.setNoDelay(true)
    socket.on('data', chunk => {
      recording.bytes = Buffer.concat([recording.bytes, chunk])
      while (recording.bytes.length > 0) {
        if (!recording.isBegun) begun++
        recording.isBegun = true
        const read = readRequest(recording.bytes)
        if (read === null) return
        recording.bytes = recording.bytes.subarray(read.length)
        recording.isBegun = false
        heard.push(read.heard)
        socket.write(answer(read.heard), 'latin1')
      }
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      recording.gone = true
    })
  })
  return {
    ...origin,
    heard,
    begun: () => begun,
    stray: () => [...recordings].filter(one => one.bytes.length > 0).map(one => ({ bytes: one.bytes.toString('latin1'), gone: one.gone })),
    forget: () => {
      heard.length = 0
      begun = 0
      for (const one of recordings) if (one.gone) recordings.delete(one)
    },
  }
}

/** 200 with the target as its body, so that answers can be told apart. */
export function plainAnswer(heard: Heard): string {
  const head = `HTTP/1.1 200 OK\r\ncontent-length: ${heard.target.length}\r\n\r\n`
  return heard.method === 'HEAD' ? head : head + heard.target
}

/** The first request of these bytes and its length; null where they hold no whole one, or something that is none. */
function readRequest(bytes: Buffer): { heard: Heard; length: number } | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return null
  const [line, ...fields] = bytes.toString('latin1', 0, headEnd).split('\r\n')
  const parts = /^([A-Z]+) ([\x21-\x7e]+) HTTP\/1\.1$/.exec(line!)
  if (parts === null || fields.some(field => !FIELD.test(field))) return null
  const lengths = valuesOf(fields, 'content-length')
  const codings = valuesOf(fields, 'transfer-encoding')
  if (lengths.length + codings.length > 1) return null
  const heard: Heard = { method: parts[1]!, target: parts[2]!, fields, framing: 'none', body: '', trailers: [] }
  const begin = headEnd + 4
  if (codings.length === 1) return codings[0] === 'chunked' ? readChunks(bytes, begin, heard) : null
  if (lengths.length === 0) return { heard, length: begin }
  if (!/^[0-9]{1,15}$/.test(lengths[0]!)) return null
  const end = begin + Number(lengths[0])
  if (bytes.length < end) return null
  return { heard: { ...heard, framing: 'length', body: bytes.toString('latin1', begin, end) }, length: end }
}

function readChunks(bytes: Buffer, begin: number, heard: Heard): { heard: Heard; length: number } | null {
  let body = ''
  for (let at = begin; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    const size = bytes.toString('latin1', at, lineEnd)
    if (!/^[0-9a-fA-F]{1,8}$/.test(size)) return null
    const length = Number.parseInt(size, 16)
    at = lineEnd + 2
    if (length === 0) return readTrailers(bytes, at, { ...heard, framing: 'chunked', body })
    if (bytes.length < at + length + 2 || bytes.toString('latin1', at + length, at + length + 2) !== '\r\n') return null
    body += bytes.toString('latin1', at, at + length)
    at += length + 2
  }
}

function readTrailers(bytes: Buffer, begin: number, heard: Heard): { heard: Heard; length: number } | null {
  if (bytes.toString('latin1', begin, begin + 2) === '\r\n') return { heard, length: begin + 2 }
  const end = bytes.indexOf('\r\n\r\n', begin)
  if (end === -1) return null
  const trailers = bytes.toString('latin1', begin, end).split('\r\n')
  return trailers.every(field => FIELD.test(field)) ? { heard: { ...heard, trailers }, length: end + 4 } : null
}

const FIELD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\x21-\x7e\x80-\xff\t ]*$/

/** The values of a field among `name: value` lines. */
export function valuesOf(fields: readonly string[], name: string): string[] {
  const wanted = `${name}: `
  return fields.filter(field => field.toLowerCase().startsWith(wanted)).map(field => field.slice(wanted.length))
}

/** What the client sent, of the fields that arrived: without those that a proxy adds or that frame this one hop. */
export function fieldsOfClient(fields: readonly string[]): string[] {
  return fields.filter(field => !OF_PROXY.test(field)).toSorted()
}

const OF_PROXY = /^(x-forwarded-[a-z]+|x-request-id|forwarded|via|connection|content-length|transfer-encoding|:[a-z]+): /i
