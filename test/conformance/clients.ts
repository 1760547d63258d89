// The suite's clients for both protocols: one request in, everything that came back out.
import { once } from 'node:events'
import { type ClientRequest, request as httpRequest } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { connect as netConnect, type Socket } from 'node:net'
import { endLater } from './start-proxy.js'

export interface Request {
  method?: string
  path: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  trailers?: Record<string, string>
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
  trailers: Record<string, string>
  /** The answer was one head and nothing else. */
  headOnly: boolean
  /** Statuses below 200 that came before. */
  informational: number[]
}

export interface Client {
  name: 'http1' | 'h2c'
  request(request: Request): Promise<Answer>
  close(): void
}

/** Both protocols, for suites that must hold for either. */
export const PROTOCOLS: { name: 'http1' | 'h2c'; open(port: number): Client }[] = [
  { name: 'http1', open: http1Client },
  { name: 'h2c', open: h2cClient },
]

/** A connection per request. */
export function http1Client(port: number): Client {
  return { name: 'http1', request: request => http1Request(port, request), close: () => {} }
}

export async function http1Request(port: number, wanted: Request): Promise<Answer> {
  const informational: number[] = []
  const request = httpRequest({
    host: '127.0.0.1',
    port,
    method: wanted.method ?? (wanted.body === undefined ? 'GET' : 'POST'),
    path: wanted.path,
    headers: { ...wanted.headers },
    agent: false,
  })
  request.on('information', info => informational.push(info.statusCode))
  request.on('continue', () => informational.push(100))
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', answer => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () =>
        resolve({
          status: answer.statusCode!,
          headers: answer.headers,
          body: Buffer.concat(chunks).toString('latin1'),
          trailers: answer.trailers as Record<string, string>,
          headOnly: false,
          informational,
        }),
      )
    })
    finish(request, wanted)
  })
}

function finish(request: ClientRequest, wanted: Request): void {
  if (wanted.trailers === undefined) {
    request.end(wanted.body)
    return
  }
  request.write(wanted.body ?? '')
  request.addTrailers(wanted.trailers)
  request.end()
}

/** One connection, a stream per request. */
export function h2cClient(port: number): Client {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  return { name: 'h2c', request: request => h2cRequest(session, request), close: endLater(() => session.destroy()) }
}

export async function h2cRequest(session: ClientHttp2Session, wanted: Request): Promise<Answer> {
  const stream = session.request(
    { ':method': wanted.method ?? (wanted.body === undefined ? 'GET' : 'POST'), ':path': wanted.path, ...wanted.headers },
    { endStream: wanted.body === undefined && wanted.trailers === undefined, waitForTrailers: wanted.trailers !== undefined },
  )
  const answer: Answer = { status: 0, headers: {}, body: '', trailers: {}, headOnly: false, informational: [] }
  const chunks: Buffer[] = []
  stream.on('wantTrailers', () => stream.sendTrailers(wanted.trailers!))
  stream.on('headers', headers => answer.informational.push(Number(headers[':status'])))
  stream.on('response', (headers, flags) => {
    answer.status = Number(headers[':status'])
    answer.headers = headers
    answer.headOnly = (flags & 1) !== 0
  })
  stream.on('trailers', trailers => Object.assign(answer.trailers, trailers))
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (wanted.body !== undefined || wanted.trailers !== undefined) stream.end(wanted.body)
  return new Promise((resolve, reject) => {
    stream.on('error', reject)
    stream.on('close', () => {
      answer.body = Buffer.concat(chunks).toString('latin1')
      if (stream.rstCode === 0 && answer.status !== 0) resolve(answer)
      else reject(new Error(`stream closed with code ${stream.rstCode}`))
    })
  })
}

/** Sends bytes, reads until the peer closes or `enough` holds for what came; gives up after limitMs. */
export async function rawExchange(
  port: number,
  bytes: string | Buffer,
  enough: (text: string) => boolean = () => false,
  limitMs = 30_000,
): Promise<string> {
  const socket = netConnect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  return readUntil(socket, enough, limitMs)
}

/** Reads until the peer closes or `enough` holds; the socket is closed then. */
export async function readUntil(socket: Socket, enough: (text: string) => boolean, limitMs = 30_000): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text)
    }
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`neither closed nor enough after ${limitMs} ms: ${JSON.stringify(text)}`))
    }, limitMs)
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      if (enough(text)) done()
    })
    socket.on('close', done)
  })
}

/** The status line's number of a raw HTTP/1 answer; 0 where there was none. */
export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(text)?.[1] ?? 0)
}
