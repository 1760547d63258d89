// HTTP/2 connections to one endpoint: few of them, each carrying many streams; the least busy one gets the next.
import { type ClientHttp2Session, connect as http2Connect } from 'node:http2'
import { connect as netConnect, type Socket } from 'node:net'
import type { EndpointAddress } from '../../core/spec.js'

const MAX_LINKS = 4
// Beyond this many streams on every link another link is opened: one TCP connection is one line of waiting.
const BUSY_STREAMS = 64
const WINDOW_BYTES = 1 << 20
const LINK_WINDOW_BYTES = 4 << 20
const IDLE_MS = 300_000

/** One connection.  `lastStreamId`: of the peer's GOAWAY; streams above it were never begun. */
export interface Link {
  session: ClientHttp2Session
  socket: Socket
  state: 'connecting' | 'open' | 'closing'
  streams: number
  lastStreamId: number | null
  waiting: Set<LinkWaiter>
}

export interface LinkWaiter {
  open(link: Link): void
  failed(error: Error): void
}

export class Http2Pool {
  private readonly address: EndpointAddress
  private readonly links = new Set<Link>()

  constructor(address: EndpointAddress) {
    this.address = address
  }

  /** Finds or makes a connection; calls the waiter once, perhaps at once.  Returns what takes the waiter back. */
  acquire(connectTimeoutMs: number, waiter: LinkWaiter): () => void {
    const best = this.leastBusy('open')
    const mayGrow = this.links.size < MAX_LINKS
    // A busy link still takes streams while the next one connects: waiting for that could cost a short call its deadline.
    if (best !== null && best.streams >= BUSY_STREAMS && mayGrow && this.leastBusy('connecting') === null) this.connect(connectTimeoutMs)
    if (best !== null && (best.streams < streamLimit(best) || !mayGrow)) {
      waiter.open(best)
      return () => {}
    }
    const link = this.leastBusy('connecting') ?? this.connect(connectTimeoutMs)
    link.waiting.add(waiter)
    return () => link.waiting.delete(waiter)
  }

  /** No new streams; those that run may end. */
  retire(): void {
    for (const link of this.links) this.close(link)
  }

  private leastBusy(state: 'open' | 'connecting'): Link | null {
    let best: Link | null = null
    for (const link of this.links) {
      if (link.state === state && (best === null || link.streams + link.waiting.size < best.streams + best.waiting.size)) best = link
    }
    return best
  }

  private connect(timeoutMs: number): Link {
    const { address } = this
    const socket = 'socket' in address ? netConnect(address.socket) : netConnect({ host: address.host, port: address.port, noDelay: true })
    const session = http2Connect('http://upstream', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES, maxHeaderListSize: 1 << 16 },
      maxSessionMemory: 64,
      maxHeaderListPairs: 1000,
      maxReservedRemoteStreams: 0,
    })
    const link: Link = { session, socket, state: 'connecting', streams: 0, lastStreamId: null, waiting: new Set() }
    this.links.add(link)
    this.watch(link, timeoutMs)
    return link
  }

  private watch(link: Link, timeoutMs: number): void {
    const { session } = link
    let reason = new Error('the service closed the connection before it spoke HTTP/2')
    const timer = setTimeout(() => session.destroy(new Error(`no HTTP/2 connection within ${timeoutMs} ms`)), timeoutMs)
    session.on('error', error => {
      reason = error
    })
    session.on('goaway', (_code, lastStreamId) => {
      link.lastStreamId = lastStreamId
      this.leave(link)
    })
    // Only the peer's SETTINGS prove that it speaks HTTP/2; until then nothing of a request has left.
    session.once('remoteSettings', () => {
      clearTimeout(timer)
      if (link.state !== 'connecting' || session.destroyed) return
      link.state = 'open'
      session.setLocalWindowSize(LINK_WINDOW_BYTES)
      session.setTimeout(IDLE_MS, () => {
        if (link.streams === 0) this.close(link)
      })
      for (const waiter of take(link.waiting)) waiter.open(link)
    })
    session.on('close', () => {
      clearTimeout(timer)
      this.leave(link)
      for (const waiter of take(link.waiting)) waiter.failed(reason)
    })
  }

  private leave(link: Link): void {
    link.state = 'closing'
    this.links.delete(link)
  }

  private close(link: Link): void {
    this.leave(link)
    if (link.waiting.size > 0) link.session.destroy(new Error('the endpoint was taken out of the route table'))
    else link.session.close()
  }
}

/** How many streams the peer allows at a time; node:http2 itself queues what goes beyond it. */
function streamLimit(link: Link): number {
  return link.session.remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY
}

function take(waiting: Set<LinkWaiter>): LinkWaiter[] {
  const all = [...waiting]
  waiting.clear()
  return all
}
