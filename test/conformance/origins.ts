// Services for the suite to stand behind the proxy: a recording HTTP/1 server, an HTTP/2 one, and raw sockets that say exactly what a test wants.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createRawServer, type Server, type Socket } from 'node:net'
import { freePort } from '../free-port.js'
import { endLater } from './start-proxy.js'

export interface Seen {
  method: string
  target: string
  fields: string[]
  body: string
  trailers: string[]
}

export interface Origin {
  port: number
  /** Requests whose body has ended, oldest first. */
  seen: Seen[]
  /** Connections accepted so far, and open now. */
  accepted(): number
  open(): number
  close(): Promise<void>
}

/** HTTP/1: answers with the request as JSON unless `answer` does it. */
export async function http1Origin(answer?: RequestListener): Promise<Origin> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    if (answer !== undefined) return answer(request, response)
    void readBody(request).then(body => {
      const one = { method: request.method!, target: request.url!, fields: request.rawHeaders, body, trailers: request.rawTrailers }
      seen.push(one)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(one))
    })
  })
  return counted(server, seen)
}

/** HTTP/2 without TLS; `answer` gets every stream with its raw header list. */
export async function http2Origin(answer: (stream: ServerHttp2Stream, raw: string[]) => void): Promise<Origin> {
  const server = createHttp2Server({ maxSessionMemory: 1000 })
  server.on('session', session => session.on('error', () => {}))
  server.on('stream', (stream: ServerHttp2Stream, _headers: object, _flags: number, raw: string[]) => {
    stream.on('error', () => {})
    answer(stream, raw)
  })
  return counted(server, [])
}

/** Bytes in, bytes out. */
export async function rawOrigin(connected: (socket: Socket) => void): Promise<Origin> {
  return counted(createRawServer({ allowHalfOpen: true }, connected), [])
}

async function counted(server: Server, seen: Seen[]): Promise<Origin> {
  const sockets = new Set<Socket>()
  let accepted = 0
  server.on('connection', (socket: Socket) => {
    accepted++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    accepted: () => accepted,
    open: () => sockets.size,
    close: endLater(async () => {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    }),
  }
}

export async function readBody(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('latin1')
}

/** A port on 127.0.0.1 where nobody listens, and nobody will but the test that has it. */
export function closedPort(): Promise<number> {
  return freePort()
}

/** The values of a field in a raw name-value list, whatever its case. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let at = 0; at < raw.length; at += 2) if (raw[at]!.toLowerCase() === name) values.push(raw[at + 1]!)
  return values
}
