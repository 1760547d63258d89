// The two health answers of port 6006: the proxy's own, and a gRPC service's, asked by grpc.health.v1 and told as JSON.
import { type Fields, fieldValue } from '../core/headers.js'
import { servingStatus } from '../core/readiness.js'
import { NOTHING_MARKED } from './http2/hpack/never-indexed.js'
import type { Asker, Route } from './routes.js'
import type { Failure, RequestHead, UpstreamEvents, UpstreamHead, UpstreamStream } from './stream.js'
import type { Traffic } from './traffic.js'

const CHECK_TIMEOUT_MS = 3000
const MAX_REPLY_BYTES = 4096
const UNIMPLEMENTED = '12'

export interface HealthAnswer {
  status: number
  value: unknown
}

/** `GET /health`: 200 while this worker takes requests, 503 while it drains. */
export function proxyHealth(traffic: Traffic): HealthAnswer {
  const draining = traffic.isDraining()
  const value = {
    status: draining ? 'draining' : 'ok',
    version: traffic.version,
    table: traffic.routes.version,
    upstreams: traffic.routes.readiness(),
  }
  return { status: draining ? 503 : 200, value }
}

/** `GET /<prefix>/health` of an h2c route: asks a ready endpoint, the next one where the first cannot be reached.
 *  head: the client's.  Calls back once unless given up.  Returns what gives it up. */
export function checkHealth(route: Route, head: RequestHead, done: (answer: HealthAnswer) => void): () => void {
  const check = new HealthCheck(route, head, done)
  check.next(`0 of ${route.rules.endpoints.length} endpoints ready`)
  return () => check.stop()
}

class HealthCheck implements UpstreamEvents {
  private readonly route: Route
  private readonly asker: Asker
  private readonly done: (answer: HealthAnswer) => void
  private readonly timer: NodeJS.Timeout
  private readonly tried: string[] = []
  private stream: UpstreamStream | null = null
  private answer = { http: 0, fields: [] as Fields, reply: Buffer.alloc(0) }

  constructor(route: Route, head: Asker, done: (answer: HealthAnswer) => void) {
    this.route = route
    this.asker = head
    this.done = done
    // Only a check that hangs is cancelled: a reset behind every finished one would trip the service's flood guard.
    this.timer = setTimeout(() => this.tell(503, { status: 'TIMEOUT', error: `no answer within ${CHECK_TIMEOUT_MS} ms` }), CHECK_TIMEOUT_MS)
  }

  /** error: what to tell where there is no other endpoint. */
  next(error: string): void {
    const { rules } = this.route
    const choice = this.route.pick(this.asker, this.tried)
    if (choice === null) {
      this.tell(503, { status: 'NOT_READY', ready: 0, total: rules.endpoints.length, error })
      return
    }
    this.tried.push(choice.id)
    this.stream = choice.endpoint.pool('h2c').open(CHECK, this, rules.connectTimeoutMs)
    if (this.stream.isOpen) this.opened()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.stream?.cancel()
    this.stream = null
  }

  opened(): void {
    this.stream!.sendData(EMPTY_MESSAGE, 0, EMPTY_MESSAGE.length)
    this.stream!.sendEnd([])
  }

  informational(): void {}

  requestDrained(): void {}

  answerHead(http: number, fields: Fields, end: 'now' | 'later'): void {
    this.answer = { http, fields, reply: Buffer.alloc(0) }
    if (end === 'now') this.report([])
  }

  answerData(chunk: Buffer, start: number, end: number): void {
    this.stream?.grant(end - start)
    if (this.answer.reply.length + end - start <= MAX_REPLY_BYTES)
      this.answer.reply = Buffer.concat([this.answer.reply, chunk.subarray(start, end)])
  }

  answerEnd(trailers: Fields): void {
    this.report(trailers)
  }

  failed(failure: Failure): void {
    this.stream = null
    if (failure.again === 'unsent') this.next(failure.message)
    else this.tellOf({ status: 503, value: { status: 'FAILED', error: failure.message } })
  }

  private report(trailers: Fields): void {
    this.stream = null
    this.tellOf(judge({ ...this.answer, fields: [...this.answer.fields, ...trailers] }))
  }

  private tellOf({ status, value }: { status: number; value: object }): void {
    this.tell(status, { endpoint: this.tried.at(-1), ...value })
  }

  private tell(status: number, value: object): void {
    this.stop()
    this.done({ status, value: { upstream: this.route.rules.upstream, ...value } })
  }
}

// A HealthCheckRequest that names no service: an uncompressed message of no bytes.
const EMPTY_MESSAGE = Buffer.alloc(5)

const CHECK: UpstreamHead = {
  method: 'POST',
  target: '/grpc.health.v1.Health/Check',
  scheme: 'http',
  authority: 'health.local',
  fields: ['content-type', 'application/grpc', 'te', 'trailers', 'grpc-timeout', `${CHECK_TIMEOUT_MS}m`],
  bodyless: false,
  upgrade: null,
  neverIndexed: NOTHING_MARKED,
}

/** A service without the health service answers UNIMPLEMENTED: it is up, and that is all there is to know (rule 28). */
function judge(got: { http: number; fields: Fields; reply: Buffer }): { status: number; value: object } {
  const grpcStatus = fieldValue(got.fields, 'grpc-status')
  if (grpcStatus === '0') {
    // Behind the five bytes of gRPC's prefix.
    const status = servingStatus(got.reply.subarray(5))
    return { status: status === 'SERVING' ? 200 : 503, value: { status } }
  }
  if (grpcStatus === UNIMPLEMENTED) {
    return { status: 200, value: { status: 'UNKNOWN', note: 'the service answers; it does not implement grpc.health.v1' } }
  }
  const grpc_status = grpcStatus === undefined ? null : Number(grpcStatus)
  return { status: 503, value: { status: 'FAILED', http_status: got.http, grpc_status } }
}
