// Both ends of a WebSocket tunnel in both protocols: HTTP/1's upgrade and HTTP/2's Extended CONNECT (RFC 8441), as bytes or with the ws package on top.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { type ClientHttp2Session, createServer as createHttp2Server, connect as h2connect, type IncomingHttpStatusHeader } from 'node:http2'
import { type AddressInfo, connect as netConnect, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { endLater } from '../start-proxy.js'

export type Headers = IncomingHttpHeaders & IncomingHttpStatusHeader & Record<string, string | string[] | number | undefined>

/** What a service answered to the wish for a tunnel. */
export interface Asked {
  status: number
  headers: Headers
  /** The tunnel, or the body of a refusal. */
  stream: Duplex | IncomingMessage
}

export interface TunnelClient {
  /** early: HTTP/2 only, sent with the head. */
  ask(path: string, headers?: Record<string, string>, early?: Buffer): Promise<Asked>
  /** A tunnel as bytes. */
  tunnel(path: string): Promise<Duplex>
  socket(path: string, protocols?: string[]): Promise<WebSocket>
  close(): void
}

export interface TunnelService {
  port: number
  protocol: 'http1' | 'h2c'
  /** Heads of the tunnels, oldest first. */
  heads: Headers[]
  /** What it does with a tunnel below /raw. */
  accept: (stream: Duplex) => void
  /** Codes with which WebSockets were closed. */
  closes: number[]
  /** Tunnels that are open now. */
  open(): number
  close(): Promise<void>
}

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const digest = (key: string) =>
  createHash('sha1')
    .update(key + GUID)
    .digest('base64')

export function http1Tunnels(port: number): TunnelClient {
  const ask = (path: string, headers: Record<string, string> = {}): Promise<Asked> =>
    new Promise((resolve, reject) => {
      const request = httpRequest({
        path,
        headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': KEY, ...headers },
        createConnection: () => netConnect({ host: '127.0.0.1', port, allowHalfOpen: true }),
      })
      request.on('error', reject)
      request.on('response', stream => resolve({ status: stream.statusCode!, headers: stream.headers, stream }))
      request.on('upgrade', (answer, stream, head) => {
        if (head.length > 0) stream.unshift(head)
        stream.on('error', () => {})
        resolve({ status: 101, headers: answer.headers, stream })
      })
      request.end()
    })
  return {
    ask,
    tunnel: async path => opened(await ask(path), 101),
    socket: async (path, protocols = []) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols)
      socket.on('error', () => {})
      await once(socket, 'open')
      return socket
    },
    close: () => {},
  }
}

/** All tunnels in one connection. */
export async function h2cTunnels(port: number): Promise<TunnelClient> {
  const session = h2connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 })
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  const ask = (path: string, headers: Record<string, string> = {}, early?: Buffer) => extendedConnect(session, { path, headers, early })
  return {
    ask,
    tunnel: async path => opened(await ask(path), 200),
    socket: async (path, protocols) => {
      const headers = protocols === undefined ? {} : { 'sec-websocket-protocol': protocols.join(', ') }
      const asked = await ask(path, headers)
      return overStream(opened(asked, 200), 'client', String(asked.headers['sec-websocket-protocol'] ?? ''))
    },
    close: endLater(() => session.destroy()),
  }
}

function extendedConnect(
  session: ClientHttp2Session,
  { path, headers, early }: { path: string; headers: Record<string, string>; early: Buffer | undefined },
): Promise<Asked> {
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': path, 'sec-websocket-version': '13', ...headers },
    { endStream: false },
  )
  if (early !== undefined) stream.write(early)
  return new Promise((resolve, reject) => {
    stream.on('error', reject)
    stream.on('response', answer => {
      stream.on('error', () => {})
      resolve({ status: Number(answer[':status']), headers: answer as Headers, stream })
    })
  })
}

function opened({ status, stream }: Asked, wanted: number): Duplex {
  if (status !== wanted) throw new Error(`${status} instead of a tunnel`)
  return stream as Duplex
}

// Of the ws package's servers and clients.  A WebSocket made without either has none of its own, which is 1 ms: it destroys its stream right behind its
// close frame, and where the other side's answer takes longer, that is a reset.
const CLOSE_TIMEOUT_MS = 30_000

/** The ws package speaks HTTP/1's handshake only; its frames go over any stream. */
function overStream(stream: Duplex, role: 'client' | 'server', protocol: string): WebSocket {
  const Bare = WebSocket as unknown as new (address: null, protocols: undefined, options: object) => WebSocket
  const socket = new Bare(null, undefined, { closeTimeout: CLOSE_TIMEOUT_MS })
  const inner = socket as unknown as {
    _isServer: boolean
    _protocol: string
    setSocket(stream: Duplex, head: Buffer, options: object): void
  }
  inner._isServer = role === 'server'
  inner._protocol = protocol
  socket.on('error', () => {})
  inner.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: 1 << 24, skipUTF8Validation: false })
  return socket
}

/** Echoes; obeys `close` and `die`. */
function serve(socket: WebSocket, service: TunnelService): void {
  socket.on('error', () => {})
  socket.on('close', code => service.closes.push(code))
  socket.on('message', (data, isBinary) => {
    if (!isBinary && String(data) === 'close') socket.close(4001, 'asked')
    else if (!isBinary && String(data) === 'die') socket.terminate()
    else socket.send(data, { binary: isBinary })
  })
}

/** Paths: /raw bytes, /refuse 403, /plain 200 with a page instead of a tunnel, else WebSocket. */
export async function http1Tunneller(): Promise<TunnelService> {
  const server = createServer((_request, response) => response.end('a page'))
  const webSockets = new WebSocketServer({ noServer: true, handleProtocols: protocols => [...protocols][0] ?? false })
  const service = await counted(server, 'http1')
  server.on('upgrade', (request, socket, head) => {
    const path = request.url!
    socket.on('error', () => {})
    service.heads.push(request.headers as Headers)
    if (path.startsWith('/refuse')) socket.end('HTTP/1.1 403 Forbidden\r\nx-why: no\r\ncontent-length: 8\r\n\r\nnot here')
    else if (path.startsWith('/plain')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na page')
    else if (path.startsWith('/raw')) {
      const accept = digest(request.headers['sec-websocket-key']!)
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      )
      if (head.length > 0) socket.unshift(head)
      service.accept(socket)
    } else webSockets.handleUpgrade(request, socket, head, each => serve(each, service))
  })
  return service
}

export async function h2cTunneller(): Promise<TunnelService> {
  const server = createHttp2Server({ settings: { enableConnectProtocol: true }, maxSessionMemory: 1000 })
  const service = await counted(server, 'h2c')
  let streams = 0
  service.open = () => streams
  server.on('session', session => session.on('error', () => {}))
  server.on('stream', (stream, headers) => {
    const path = headers[':path']!
    streams++
    stream.on('close', () => streams--)
    stream.on('error', () => {})
    service.heads.push(headers as Headers)
    const protocol = headers['sec-websocket-protocol']?.toString().split(',')[0]?.trim()
    const agreed = protocol === undefined ? {} : { 'sec-websocket-protocol': protocol }
    if (headers[':protocol'] !== 'websocket' || path.startsWith('/refuse')) {
      stream.respond({ ':status': 403, 'x-why': 'no' })
      stream.end('not here')
      return
    }
    stream.respond({ ':status': 200, ...agreed })
    if (path.startsWith('/raw')) service.accept(stream)
    else serve(overStream(stream, 'server', protocol ?? ''), service)
  })
  return service
}

async function counted(server: Server, protocol: 'http1' | 'h2c'): Promise<TunnelService> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    protocol,
    heads: [],
    accept: stream => stream.pipe(stream),
    closes: [],
    open: () => sockets.size,
    close: endLater(async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    }),
  }
}
