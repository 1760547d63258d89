// An HTTP/2 stream in the shape of http.ClientRequest: http2-proxy has no HTTP/2 towards the origin of its own.
import { EventEmitter } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'

/** Sessions to the origin: calls go round them, as Node's client would spread them. */
const SESSIONS = 4

export function sessions(port: number): () => ClientHttp2Session {
  const all: (ClientHttp2Session | null)[] = Array.from({ length: SESSIONS }, () => null)
  let turn = 0
  return () => {
    turn = (turn + 1) % SESSIONS
    const found = all[turn] ?? null
    if (found !== null && !found.closed && !found.destroyed) return found
    const fresh = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 4 << 20 } })
    fresh.on('error', () => fresh.destroy())
    fresh.on('connect', () => fresh.setLocalWindowSize(16 << 20))
    all[turn] = fresh
    return fresh
  }
}

export class Http2StreamRequest extends EventEmitter {
  readonly socket = { connecting: false }
  readonly method: string
  private readonly stream: ClientHttp2Stream
  private answered = false

  constructor(stream: ClientHttp2Stream, method: string) {
    super()
    this.method = method
    this.stream = stream
    stream.on('error', error => this.emit('error', error))
    stream.on('drain', () => this.emit('drain'))
    stream.on('end', () => {
      this.answered = true
    })
    const answer = stream as ClientHttp2Stream & { headers?: object; statusCode?: number; trailers?: object }
    stream.on('response', headers => {
      answer.headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':')))
      answer.statusCode = Number(headers[':status'])
      this.emit('response', answer)
    })
    stream.on('trailers', trailers => {
      answer.trailers = trailers
    })
  }

  write(bytes: Buffer): boolean {
    return this.stream.write(bytes)
  }

  end(): void {
    this.stream.end()
  }

  /** http2-proxy calls it after every exchange; one that has ended must not be reset. */
  abort(): void {
    if (!this.answered) this.stream.close(constants.NGHTTP2_CANCEL)
  }
}
