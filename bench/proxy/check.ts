// One request end to end through every configuration before it is measured: the answer compared, and what the origin was sent looked at.
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import { AUTHORIZATION, type Protocol, type RunningPeer } from './peer.js'

export interface Checked {
  /** Parts of the visible job that it does not do. */
  lacks: string[]
}

interface Seen {
  path: string
  headers: IncomingHttpHeaders
}

interface Answer {
  status: number
  body: string
  grpcStatus: string | undefined
}

const BODY = 'fifteen letters'
/** Ours measures the messages of a gRPC call. */
const MESSAGE = Buffer.from(`\0\0\0\0\x0f${BODY}`, 'latin1')
const LOG_MS = 4_000
const ANSWER_MS = 5_000

/** Starts an origin on originPort itself.  Throws where the answer is not the origin's. */
export async function check(
  start: () => Promise<RunningPeer>,
  facts: { protocol: Protocol; port: number; originPort: number; accessLog: string | null },
): Promise<Checked> {
  const seen: Seen[] = []
  const stopOrigin = await recordingOrigin(facts.protocol, facts.originPort, seen)
  let peer: RunningPeer | null = null
  try {
    peer = await start()
    const ask = facts.protocol === 'h2c' ? askHttp2 : askHttp1
    const answer = await ask(facts.port, `${peer.prefix}test.Echo/Unary`)
    const expected: Answer = { status: 200, body: BODY, grpcStatus: facts.protocol === 'h2c' ? '0' : undefined }
    if (JSON.stringify(answer) !== JSON.stringify(expected)) throw new Error(`answered ${JSON.stringify(answer)}`)
    const [arrived] = seen
    if (seen.length !== 1 || arrived === undefined) throw new Error(`the origin saw ${seen.length} requests`)
    const lacks = lacksOf(arrived, peer.prefix, facts.protocol)
    if (facts.accessLog !== null && !(await logged(facts.accessLog))) lacks.push('no access log')
    return { lacks }
  } finally {
    await peer?.stop()
    stopOrigin()
  }
}

function lacksOf({ path, headers }: Seen, prefix: string, protocol: Protocol): string[] {
  const parts: [string, boolean][] = [
    ['prefix not stripped', prefix !== '/' && path === '/test.Echo/Unary'],
    ['no X-Forwarded-For', headers['x-forwarded-for'] === '127.0.0.1'],
    ['no X-Forwarded-Proto', headers['x-forwarded-proto'] === 'http'],
    ['no X-Request-Id', (headers['x-request-id'] ?? '') !== ''],
    ['no te: trailers', protocol === 'http1' || headers.te === 'trailers'],
  ]
  return parts.filter(([, done]) => !done).map(([what]) => what)
}

async function recordingOrigin(protocol: Protocol, port: number, seen: Seen[]): Promise<() => void> {
  const note = (incoming: IncomingMessage): unknown => seen.push({ path: incoming.url ?? '', headers: incoming.headers })
  const server =
    protocol === 'http1'
      ? createServer((incoming: IncomingMessage, answer: ServerResponse) => {
          note(incoming)
          answer.end(BODY)
        })
      : createHttp2Server((incoming, answer) => {
          note(incoming as unknown as IncomingMessage)
          incoming.resume().on('end', () => {
            answer.setHeader('content-type', 'application/grpc')
            answer.write(BODY)
            answer.addTrailers({ 'grpc-status': '0' })
            answer.end()
          })
        })
  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', socket => sockets.add(socket))
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
}

function askHttp1(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, agent: false, timeout: ANSWER_MS, headers: { authorization: AUTHORIZATION } },
      answer => {
        let body = ''
        answer.on('data', bytes => {
          body += bytes
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body, grpcStatus: undefined }))
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')))
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function askHttp2(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`)
    session.on('error', reject)
    session.setTimeout(ANSWER_MS, () => session.destroy(new Error('no answer')))
    const head = { 'content-type': 'application/grpc', te: 'trailers', authorization: AUTHORIZATION }
    const stream = session.request({ ':method': 'POST', ':path': path, ...head })
    const answer: Answer = { status: 0, body: '', grpcStatus: undefined }
    stream.on('response', headers => {
      answer.status = Number(headers[':status'])
    })
    stream.on('data', bytes => {
      answer.body += bytes
    })
    stream.on('trailers', trailers => {
      answer.grpcStatus = String(trailers['grpc-status'])
    })
    stream.on('error', reject)
    stream.on('end', () => {
      session.close()
      resolve(answer)
    })
    stream.end(MESSAGE)
  })
}

/** Logs are written in batches: its line may take a while. */
async function logged(file: string): Promise<boolean> {
  for (const until = performance.now() + LOG_MS; performance.now() < until; ) {
    if (textOf(file).includes('test.Echo/Unary')) return true
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return false
}

/** '' while there is no such file. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
