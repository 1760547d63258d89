// Services with names for the tests of the routes: each tells who it is, in both protocols, on a port or a unix socket.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createHttp2Server, type Http2Server } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TableEndpoint } from '../../../src/core/route-table.js'
import type { Answer, Client } from '../clients.js'
import { endLater } from '../start-proxy.js'

export interface Asked {
  method: string
  path: string
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** What a service says to a request; `die`: nothing, its connection is gone. */
export type Reply = { status?: number; headers?: Record<string, string>; body?: string; grpc?: number } | 'die' | 'never'

export interface NamedService {
  name: string
  /** Of route tables; its id is the name. */
  endpoint: TableEndpoint
  /** Requests so far, oldest first. */
  asked: Asked[]
  /** Connections now, and the most there were at once. */
  open(): number
  mostOpen(): number
  /** By default its name with status 200. */
  reply: (asked: Asked) => Reply | Promise<Reply>
  close(): Promise<void>
}

export interface ServiceOptions {
  protocol?: 'http1' | 'h2c'
  /** Path of a unix socket instead of a port. */
  socket?: string
  port?: number
}

export async function namedService(name: string, options: ServiceOptions = {}): Promise<NamedService> {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  let most = 0
  const server = options.protocol === 'h2c' ? http2Server(() => service) : http1Server(() => service)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    most = Math.max(most, sockets.size)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  if (options.socket === undefined) server.listen(options.port ?? 0, '127.0.0.1')
  else server.listen(options.socket)
  await once(server, 'listening')
  const address =
    options.socket === undefined ? { host: '127.0.0.1', port: (server.address() as AddressInfo).port } : { socket: options.socket }
  const service: NamedService = {
    name,
    endpoint: { id: name, address, ready: true, weight: 1 },
    asked,
    open: () => sockets.size,
    mostOpen: () => most,
    reply: () => ({ body: name }),
    close: endLater(async () => {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    }),
  }
  return service
}

/** Several at once: a, b, c and so on. */
export async function namedServices(count: number, options: ServiceOptions = {}): Promise<NamedService[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => namedService(String.fromCharCode(97 + at), options)))
}

export async function closeAll(...things: { close(): unknown }[]): Promise<void> {
  for (const thing of things) await thing.close()
}

function http1Server(service: () => NamedService): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', async () => {
      const body = Buffer.concat(chunks).toString('latin1')
      const one = { method: request.method!, path: request.url!, headers: request.headers, body }
      service().asked.push(one)
      const reply = await service().reply(one)
      if (reply === 'die') response.socket?.destroy()
      else if (reply !== 'never') response.writeHead(reply.status ?? 200, reply.headers).end(reply.body ?? '')
    })
  })
}

function http2Server(service: () => NamedService): Http2Server {
  const server = createHttp2Server({ settings: { maxConcurrentStreams: 1000 } })
  server.on('session', session => session.on('error', () => {}))
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', async () => {
      if (stream.aborted) return
      const body = Buffer.concat(chunks).toString('latin1')
      const one = { method: headers[':method']!, path: headers[':path']!, headers, body }
      service().asked.push(one)
      const reply = await service().reply(one)
      if (reply === 'never' || stream.destroyed) return
      if (reply === 'die') {
        stream.session?.destroy()
        return
      }
      const { status = 200, grpc, body: text = '' } = reply
      const head = { ':status': status, ...reply.headers }
      if (grpc === undefined) {
        stream.respond(head)
        stream.end(text)
      } else {
        stream.respond({ ...head, 'content-type': 'application/grpc', 'grpc-status': String(grpc) }, { endStream: true })
      }
    })
  })
  return server
}

/** Bodies of answers and how often each came. */
export function tally(bodies: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const body of bodies) counts[body] = (counts[body] ?? 0) + 1
  return counts
}

/** So many requests, `atOnce` under way at a time; every one must be a 200.  Returns the bodies. */
export async function askMany(client: Client, path: string, count: number, atOnce = 1): Promise<string[]> {
  const bodies: string[] = []
  let begun = 0
  const caller = async () => {
    while (begun++ < count) {
      const answer = await client.request({ path })
      assert.equal(answer.status, 200, answer.body)
      bodies.push(answer.body)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, caller))
  return bodies
}

/** The code in a refusal of the proxy. */
export function codeOf(answer: Answer): string {
  return (JSON.parse(answer.body) as { error: { code: string } }).error.code
}

/** The head of a gRPC request for the clients of both protocols. */
export const GRPC = { 'content-type': 'application/grpc', te: 'trailers' }

/** One gRPC message with this many bytes. */
export function grpcMessage(bytes: number): Buffer {
  const out = Buffer.alloc(5 + bytes, 'm')
  out[0] = 0
  out.writeUInt32BE(bytes, 1)
  return out
}
