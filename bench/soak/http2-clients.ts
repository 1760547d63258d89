// The soak's HTTP/2 traffic: requests and uploads over shared connections, slow readers, cancels.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { type Client, expectBytes, type Kind, LEAVE_MS, pause } from './client.js'
import { refused } from './http1-clients.js'
import { Lost } from './ledger.js'

const UPLOAD_BYTES = 50_000
const SLOW_BYTES = 1 << 20
const SLOW_PIECE_BYTES = 32_768
const SLOW_PAUSE_MS = 40
const CANCEL_MS = 10

export const HTTP2_KINDS: Kind[] = [
  { name: 'h2', share: 8, open: port => shared(port, session => download(session, '/h/x?bytes=500', 500)) },
  { name: 'h2 to h1', share: 6, open: port => shared(port, session => download(session, '/w/x?bytes=500', 500)) },
  { name: 'h2 upload', share: 3, open: port => shared(port, session => upload(session, '/h/echo')) },
  { name: 'h2 upload to h1', share: 2, open: port => shared(port, session => upload(session, '/w/echo')) },
  { name: 'h2 slow reader', share: 0.3, open: port => shared(port, session => readSlowly(session, '/h/x')) },
  { name: 'h2 slow reader of h1', share: 0.3, open: port => shared(port, session => readSlowly(session, '/w/x')) },
  { name: 'h2 cancel', share: 3, open: port => shared(port, session => cancel(session, '/h/slow?ms=300')) },
  { name: 'h2 cancel to h1', share: 2, open: port => shared(port, session => cancel(session, '/w/slow?ms=300')) },
]

function shared(port: number, ask: (session: ClientHttp2Session) => Promise<void>): Client {
  const session = connect(`http://127.0.0.1:${port}`)
  // The streams on it tell their own end.
  session.on('error', () => session.destroy())
  return {
    ask: () => ask(session),
    // What was asked just now has left by then.
    close: () => void setTimeout(() => session.close(), LEAVE_MS),
  }
}

async function download(session: ClientHttp2Session, path: string, bytes: number): Promise<void> {
  const stream = session.request({ ':path': path })
  expectBytes(await ended(stream), bytes)
}

async function upload(session: ClientHttp2Session, path: string): Promise<void> {
  const stream = session.request({ ':path': path, ':method': 'POST' })
  stream.end(Buffer.alloc(UPLOAD_BYTES, 'u'))
  expectBytes(await ended(stream), UPLOAD_BYTES)
}

async function readSlowly(session: ClientHttp2Session, path: string): Promise<void> {
  const stream = session.request({ ':path': `${path}?bytes=${SLOW_BYTES}` })
  let sinceRest = 0
  stream.on('data', (chunk: Buffer) => {
    sinceRest += chunk.length
    if (sinceRest < SLOW_PIECE_BYTES) return
    sinceRest = 0
    stream.pause()
    setTimeout(() => stream.resume(), SLOW_PAUSE_MS)
  })
  expectBytes(await ended(stream), SLOW_BYTES)
}

async function cancel(session: ClientHttp2Session, path: string): Promise<void> {
  const stream = session.request({ ':path': path })
  stream.on('error', () => stream.destroy())
  await pause(CANCEL_MS)
  stream.close(constants.NGHTTP2_CANCEL)
}

/** Resolves with the bytes of a 200's body; another answer is a failure that says the proxy's code. */
function ended(stream: ClientHttp2Stream): Promise<number> {
  let status = 0
  let bytes = 0
  let text = ''
  return new Promise((resolve, reject) => {
    stream.on('response', headers => {
      status = Number(headers[':status'])
    })
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (status !== 200) text += chunk.toString('latin1')
    })
    stream.on('error', error => reject(status === 200 ? new Lost(`cut: ${error.message}`) : new Error(`no answer: ${error.message}`)))
    stream.on('close', () => {
      if (status !== 200) reject(refused(status, text))
      else if (stream.rstCode !== 0) reject(new Lost(`cut: RST ${stream.rstCode}`))
      else resolve(bytes)
    })
  })
}
