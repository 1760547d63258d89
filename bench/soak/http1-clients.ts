// The soak's HTTP/1 traffic: kept and short connections, uploads, slow readers, clients that hang up.
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { type Client, expectBytes, FINISH_MS, type Kind, pause } from './client.js'
import { Lost } from './ledger.js'

const UPLOAD_BYTES = 50_000
const SLOW_BYTES = 4 << 20
const SLOW_PIECE_BYTES = 131_072
const SLOW_PAUSE_MS = 40
const HANG_UP_MS = 10

export const HTTP1_KINDS: Kind[] = [
  { name: 'h1 kept', share: 25, open: port => kept(port, agent => download(port, agent, '/w/x?bytes=500', 500)) },
  { name: 'h1 kept to h2', share: 5, open: port => kept(port, agent => download(port, agent, '/h/x?bytes=500', 500)) },
  { name: 'h1 short', share: 8, open: port => ({ ask: () => download(port, false, '/w/x?bytes=500', 500), close: () => {} }) },
  { name: 'h1 upload', share: 4, open: port => kept(port, agent => upload(port, agent, '/w/echo')) },
  { name: 'h1 upload to h2', share: 2, open: port => kept(port, agent => upload(port, agent, '/h/echo')) },
  { name: 'h1 slow reader', share: 0.4, open: port => ({ ask: () => readSlowly(port), close: () => {} }) },
  { name: 'h1 hang-up', share: 3, open: port => ({ ask: () => hangUp(port), close: () => {} }) },
]

function kept(port: number, ask: (agent: Agent, port: number) => Promise<void>): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  return { ask: () => ask(agent, port), close: () => void setTimeout(() => agent.destroy(), FINISH_MS) }
}

async function download(port: number, agent: Agent | false, path: string, bytes: number): Promise<void> {
  const answer = await begun({ port, agent, path })
  let found = 0
  await ended(answer, chunk => {
    found += chunk.length
  })
  expectBytes(found, bytes)
}

async function upload(port: number, agent: Agent, path: string): Promise<void> {
  const answer = await begun({ port, agent, path, body: Buffer.alloc(UPLOAD_BYTES, 'u') })
  let found = 0
  await ended(answer, chunk => {
    found += chunk.length
  })
  expectBytes(found, UPLOAD_BYTES)
}

async function readSlowly(port: number): Promise<void> {
  const answer = await begun({ port, agent: false, path: `/w/x?bytes=${SLOW_BYTES}` })
  let found = 0
  let sinceRest = 0
  await ended(answer, chunk => {
    found += chunk.length
    sinceRest += chunk.length
    if (sinceRest < SLOW_PIECE_BYTES) return
    sinceRest = 0
    answer.pause()
    setTimeout(() => answer.resume(), SLOW_PAUSE_MS)
  })
  expectBytes(found, SLOW_BYTES)
}

/** Sends a request and a half, waits a little, and resets the connection. */
async function hangUp(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', resolve)
  })
  socket.on('error', () => socket.destroy())
  socket.write('GET /w/slow?ms=300 HTTP/1.1\r\nHost: soak\r\n\r\nPOST /w/echo HTTP/1.1\r\nHost: soak\r\nContent-Length: 100\r\n\r\nhalf')
  await pause(HANG_UP_MS)
  socket.resetAndDestroy()
}

interface Wanted {
  port: number
  agent: Agent | false
  path: string
  body?: Buffer
}

/** Resolves with the head of a 200; another one is a failure that says the proxy's code. */
async function begun({ port, agent, path, body }: Wanted): Promise<IncomingMessage> {
  const request = httpRequest({ host: '127.0.0.1', port, agent, path, method: body === undefined ? 'GET' : 'POST' })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('error', error => reject(new Error(`no answer: ${error.message}`)))
    request.on('response', resolve)
    request.end(body)
  })
  if (answer.statusCode === 200) return answer
  let text = ''
  await ended(answer, chunk => {
    text += chunk.toString('latin1')
  })
  throw refused(answer.statusCode ?? 0, text)
}

/** The failure that an answer of the proxy's own means. */
export function refused(status: number, text: string): Error {
  const code = /"code":"([A-Z_]+)","message":"([^"]*)"/.exec(text)
  const message = `${status} ${code?.slice(1).join(' ') ?? text}`
  return code?.[1] === 'UPSTREAM_BROKEN' ? new Lost(message) : new Error(message)
}

function ended(answer: IncomingMessage, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    answer.on('data', take)
    answer.on('error', error => reject(new Lost(`cut: ${error.message}`)))
    answer.on('end', resolve)
  })
}
