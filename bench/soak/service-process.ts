// One process of the soak's services: HTTP/1 with WebSocket, HTTP/2 and gRPC, each on a port; run by services.ts, retired by a message.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Server as NetServer } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { WebSocketServer } from 'ws'
import { grpcMethods } from './grpc-methods.js'

// So often some connection of the HTTP/2 service ends politely.
const GOAWAY_EVERY_MS = 3000
const GRPC_AGE_MS = 5000
const GRPC_GRACE_MS = 40_000
const EXPAND_PAUSE_MS = 10
const RETIRE_MS = 40_000
const PIECE = Buffer.alloc(65_536, 'p')

const [httpPort = 0, http2Port = 0, grpcPort = 0] = process.argv.slice(2).map(Number)

const web = createServer((request, response) => answer(request, response))
const sockets = new WebSocketServer({ server: web, path: '/ws' })
sockets.on('connection', socket => {
  socket.on('error', () => socket.terminate())
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

const sessions = new Set<ServerHttp2Session>()
const web2 = createHttp2Server()
web2.on('session', session => {
  sessions.add(session)
  session.on('error', () => session.destroy())
  session.on('close', () => sessions.delete(session))
})
web2.on('stream', (stream, headers) => answerStream(stream, String(headers[':path'])))
setInterval(() => [...sessions].at(Math.floor(Math.random() * sessions.size))?.close(), GOAWAY_EVERY_MS).unref()

const calls = new grpc.Server({ 'grpc.max_connection_age_ms': GRPC_AGE_MS, 'grpc.max_connection_age_grace_ms': GRPC_GRACE_MS })
calls.addService(grpcMethods('/'), {
  unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => reply(null, call.request),
  collect: (call: grpc.ServerReadableStream<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
    let bytes = 0
    call.on('data', (part: Buffer) => {
      bytes += part.length
    })
    call.on('end', () => reply(null, Buffer.from(String(bytes))))
  },
  expand: (call: grpc.ServerWritableStream<Buffer, Buffer>) => expand(call, call.request.length),
  chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    call.on('data', part => call.write(part))
    call.on('end', () => call.end())
  },
})

process.on('message', () => retire())
process.on('disconnect', () => process.exit())
const ports = await Promise.all([listening(web, httpPort), listening(web2, http2Port), bound(grpcPort)])
process.send?.(ports)

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://service')
  response.on('error', () => response.destroy())
  if (pathname === '/echo') request.pipe(response)
  else if (pathname === '/slow') later(response, Number(searchParams.get('ms')))
  else pour(response, Number(searchParams.get('bytes')))
}

function answerStream(stream: ServerHttp2Stream, path: string): void {
  const { pathname, searchParams } = new URL(path, 'http://service')
  stream.on('error', () => stream.destroy())
  stream.respond({ ':status': 200, 'content-type': 'application/octet-stream' })
  if (pathname === '/echo') stream.pipe(stream)
  else if (pathname === '/slow') later(stream, Number(searchParams.get('ms')))
  else pour(stream, Number(searchParams.get('bytes')))
}

function later(out: ServerResponse | ServerHttp2Stream, ms: number): void {
  const timer = setTimeout(() => out.end('late'), ms)
  out.on('close', () => clearTimeout(timer))
}

/** As fast as it is taken. */
function pour(out: ServerResponse | ServerHttp2Stream, bytes: number): void {
  let left = bytes
  const more = () => {
    while (left > 0 && !out.destroyed) {
      const piece = PIECE.subarray(0, Math.min(left, PIECE.length))
      left -= piece.length
      if (!out.write(piece)) break
    }
    if (left === 0) out.end()
    else out.once('drain', more)
  }
  more()
}

/** One message each few ms. */
function expand(call: grpc.ServerWritableStream<Buffer, Buffer>, count: number): void {
  let left = count
  const timer = setInterval(() => {
    if (call.cancelled) return clearInterval(timer)
    call.write(Buffer.from([left--]))
    if (left > 0) return
    clearInterval(timer)
    call.end()
  }, EXPAND_PAUSE_MS)
}

/** Takes nothing new, finishes what runs, and goes. */
function retire(): void {
  setTimeout(() => process.exit(1), RETIRE_MS)
  for (const session of sessions) session.close()
  const closed = [web, web2].map(server => new Promise(resolve => server.close(resolve)))
  const told = new Promise(resolve => calls.tryShutdown(resolve))
  void Promise.all([...closed, told]).then(() => process.exit(0))
}

function listening(server: NetServer, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function bound(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    calls.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, chosen) =>
      error === null ? resolve(chosen) : reject(error),
    )
  })
}
