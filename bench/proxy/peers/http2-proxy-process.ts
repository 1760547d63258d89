// http2-proxy 5.0.53 with a keep-alive agent for HTTP/1 and node:http2 behind an adapter for HTTP/2; run as a process.
import { randomUUID } from 'node:crypto'
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { Socket } from 'node:net'
import untyped from 'http2-proxy'
import { Http2StreamRequest, sessions } from './http2-stream-request.js'
import { accessLog, settings, stripped } from './npm-log.js'

const { port, originPort, accessLog: file, protocol } = settings()
const note = accessLog(file)
const agent = new Agent({ keepAlive: true, maxFreeSockets: 1024 })
const nextSession = sessions(originPort)

interface Outgoing {
  method?: string
  path?: string
  headers: Record<string, string>
}

/** It has `Forwarded` only, and takes `te` off, without which gRPC servers refuse. */
function prepared(incoming: IncomingMessage, outgoing: Outgoing): Outgoing & { method: string; path: string } {
  const { headers } = outgoing
  headers['x-forwarded-for'] = incoming.socket.remoteAddress ?? ''
  headers['x-forwarded-proto'] = 'http'
  headers['x-request-id'] ??= randomUUID()
  if (incoming.headers.te === 'trailers') headers.te = 'trailers'
  return { headers, method: outgoing.method ?? 'GET', path: stripped(outgoing.path ?? '/') }
}

function onReq(incoming: IncomingMessage, outgoing: Outgoing): unknown {
  const { headers, method, path } = prepared(incoming, outgoing)
  if (protocol === 'http1') return httpRequest({ host: '127.0.0.1', port: originPort, agent, method, path, headers })
  const stream = nextSession().request({ ':method': method, ':path': path, ...headers })
  return new Http2StreamRequest(stream, method)
}

type Done = (error?: Error | null) => void

/** Its own types tell HTTP/1 from HTTP/2 by the options, which are the same here. */
const http2Proxy = untyped as unknown as {
  web(request: IncomingMessage, response: ServerResponse, options: object, done: Done): void
  ws(request: IncomingMessage, socket: Socket, head: Buffer, options: object, done: Done): void
}

const options = { hostname: '127.0.0.1', port: originPort, onReq }

function onRequest(request: IncomingMessage, response: ServerResponse): void {
  if (note !== null) {
    response.on('finish', () => {
      const { method, url, httpVersion, headers, socket } = request
      note({ method, url, httpVersion, address: socket?.remoteAddress, agent: headers['user-agent'], status: response.statusCode })
    })
  }
  http2Proxy.web(request, response, options, error => {
    if (error === null || error === undefined) return
    if (response.headersSent) response.destroy()
    else response.writeHead(502).end()
  })
}

const listen = { port, host: '127.0.0.1', backlog: 4096 }
if (protocol === 'h2c') {
  const server = createHttp2Server({ settings: { initialWindowSize: 4 << 20 } }, onRequest as never)
  server.on('session', session => session.on('error', () => session.destroy()))
  server.listen(listen)
} else {
  const server = createServer({ keepAliveTimeout: 75_000 }, onRequest)
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    http2Proxy.ws(request, socket, head, options, error => {
      if (error) socket.destroy()
    })
  })
  server.listen(listen)
}
