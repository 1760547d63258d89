// The two health answers of port 6006: the proxy's own, and a gRPC service's, asked by grpc.health.v1 and told as JSON.
import type { Readable } from 'node:stream'
import { type Fields, fieldValue } from '../core/headers.js'
import type { TableEndpoint, TableRoute } from '../core/route-table.js'
import type { UpstreamCall, UpstreamHead } from './message.js'
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
 *  Calls back once unless given up.  Returns what gives it up. */
export function checkHealth(route: TableRoute, traffic: Traffic, done: (answer: HealthAnswer) => void): () => void {
  const tried: string[] = []
  let giveUp = () => {}
  let over = false
  const answer = (status: number, value: object) => {
    if (over) return
    over = true
    clearTimeout(timer)
    done({ status, value: { upstream: route.upstream, ...value } })
  }
  // Only a check that hangs is cancelled: a reset behind every finished one would trip the service's flood guard.
  const timer = setTimeout(() => {
    giveUp()
    answer(503, { status: 'TIMEOUT', error: `no answer within ${CHECK_TIMEOUT_MS} ms` })
  }, CHECK_TIMEOUT_MS)
  const next = (error: string) => {
    const endpoint = traffic.routes.pick(route, tried)
    if (endpoint === null) return answer(503, { status: 'NOT_READY', ready: 0, total: route.endpoints.length, error })
    tried.push(endpoint.id)
    giveUp = checkEndpoint(
      { route, endpoint, traffic },
      { next, answer: (status, value) => answer(status, { endpoint: endpoint.id, ...value }) },
    )
  }
  next(`0 of ${route.endpoints.length} endpoints ready`)
  return () => {
    over = true
    clearTimeout(timer)
    giveUp()
  }
}

interface CheckEvents {
  next(error: string): void
  answer(status: number, value: object): void
}

function checkEndpoint(at: { route: TableRoute; endpoint: TableEndpoint; traffic: Traffic }, events: CheckEvents): () => void {
  let upstream: UpstreamCall | null = null
  return at.traffic.upstreams.open(at.route, at.endpoint, CHECK, {
    opened: call => {
      upstream = call
      call.body.write(EMPTY_MESSAGE)
      call.end([])
    },
    informational: () => {},
    switched: (_fields, tunnel) => tunnel.destroy(),
    head: (status, fields, body) => {
      if (body === null) return report(events, { http: status, fields, reply: Buffer.alloc(0) })
      collect(body, reply => report(events, { http: status, fields: [...fields, ...(upstream?.answerTrailers() ?? [])], reply }))
    },
    failed: failure => {
      if (failure.again === 'unsent') events.next(failure.message)
      else events.answer(503, { status: 'FAILED', error: failure.message })
    },
  })
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
}

function collect(body: Readable, done: (reply: Buffer) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= MAX_REPLY_BYTES) chunks.push(chunk)
  })
  body.on('end', () => done(Buffer.concat(chunks)))
}

/** A service without the health service answers UNIMPLEMENTED: it is up, and that is all there is to know (rule 28). */
function report(events: CheckEvents, got: { http: number; fields: Fields; reply: Buffer }): void {
  const grpcStatus = fieldValue(got.fields, 'grpc-status')
  if (grpcStatus === '0') {
    const status = servingStatus(got.reply)
    events.answer(status === 'SERVING' ? 200 : 503, { status })
    return
  }
  if (grpcStatus === UNIMPLEMENTED) {
    events.answer(200, { status: 'UNKNOWN', note: 'the service answers; it does not implement grpc.health.v1' })
    return
  }
  events.answer(503, { status: 'FAILED', http_status: got.http, grpc_status: grpcStatus === undefined ? null : Number(grpcStatus) })
}

const SERVING = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']

/** Field 1 (varint) of a HealthCheckResponse; an absent field is 0. */
function servingStatus(reply: Buffer): string {
  const message = reply.subarray(5)
  return SERVING[message[0] === 0x08 ? (message[1] ?? 0) : 0] ?? 'UNKNOWN'
}
