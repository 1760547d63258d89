// One request and its answer: find an endpoint, send it there, bring the answer back, and tell the truth when that fails.
//
//   admit ─► waiting ─► attempt ─► opened ─► head ─► answered ─► over
//              ▲           │          │                 │
//              └─ unsent ──┴─ refused ┘ (once)          └─ failed: trailers or reset
//
// waiting: no endpoint is ready, or all ready ones refused the connection; a table, a short pause or the end of `hold` wakes it.
// over: the one state in which nothing is sent any more; every path ends in it, and every path there writes one line of the access log.
import { randomUUID } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'
import { type AccessEntry, newEntry } from '../core/access-line.js'
import { grpcFromHttp, isGrpcContentType, parseGrpcTimeout } from '../core/grpc.js'
import { type Fields, fieldValue, responseFields, trailerFields } from '../core/headers.js'
import { mayRepeat } from '../core/retry.js'
import type { TableEndpoint, TableRoute } from '../core/route-table.js'
import { admit } from './admission.js'
import { type Answered, answerJson, grpcTrailers, type Refusal, refusalOf, refuseGrpc, refuseHttp } from './answers.js'
import { Clocks } from './clocks.js'
import { checkHealth, proxyHealth } from './health.js'
import type { ClientCall, Failure, UpstreamCall } from './message.js'
import { RequestBody } from './request-body.js'
import type { Traffic } from './traffic.js'
import { splice } from './tunnel.js'
import { acceptsTrailers, upstreamHead } from './upstream-head.js'

// Between two rounds over endpoints that are ready by the table but refuse connections: their process has just died.
const ROUND_PAUSE_MS = 50
const ROUND_PAUSE_MAX_MS = 1000

/** Serves one request from its head to its last byte. */
export function serve(call: ClientCall, traffic: Traffic): void {
  new Exchange(call, traffic).begin()
}

class Exchange {
  private readonly call: ClientCall
  private readonly traffic: Traffic
  private readonly clocks: Clocks
  private readonly grpc: boolean
  private readonly acceptsTrailers: boolean
  private readonly body: RequestBody
  private readonly entry: AccessEntry
  private route: TableRoute | null = null
  private target = ''
  private phase: 'waiting' | 'sent' | 'answered' | 'over' = 'waiting'
  private tried: string[] = []
  private rounds = 0
  private repeats = 0
  private lastFailure: Failure | null = null
  private giveUp: (() => void) | null = null
  private upstream: UpstreamCall | null = null

  constructor(call: ClientCall, traffic: Traffic) {
    const { head } = call
    this.call = call
    this.traffic = traffic
    const type = fieldValue(head.fields, 'content-type')
    // Only a call that came over HTTP/2 can read gRPC's form of an error (rule 1).
    this.grpc = head.protocol === 'h2c' && head.method === 'POST' && isGrpcContentType(type)
    // Over HTTP/2 trailers cannot be mistaken for anything; over HTTP/1 they go to those that ask for them.
    this.acceptsTrailers = head.protocol === 'h2c' || acceptsTrailers(head)
    this.clocks = new Clocks(this.grpc ? parseGrpcTimeout(fieldValue(head.fields, 'grpc-timeout')) : null)
    this.body = new RequestBody(
      call.body,
      () => trailerFields(call.requestTrailers()),
      () => this.clocks.touch(),
    )
    this.entry = newEntry(head, { atMs: Date.now(), requestId: fieldValue(head.fields, 'x-request-id') ?? randomUUID() })
  }

  begin(): void {
    this.call.onGone(() => this.clientLeft())
    const admission = admit(this.call.head, this.traffic.routes)
    switch (admission.kind) {
      case 'refuse':
        this.refuse(admission.refusal)
        break
      case 'options':
        this.call.sendHead(200, ['content-length', '0'], 'now')
        this.answered({ status: 200, grpcStatus: null })
        break
      case 'health':
        this.answered(answerJson(this.call, proxyHealth(this.traffic)))
        break
      case 'check':
        this.entry.upstream = admission.route.upstream
        this.giveUp = checkHealth(admission.route, this.traffic, answer => this.answered(answerJson(this.call, answer)))
        return
      case 'forward':
        this.forward(admission.route, admission.target)
        break
    }
  }

  private forward(route: TableRoute, target: string): void {
    this.route = route
    this.target = target
    this.entry.upstream = route.upstream
    this.clocks.onDeadline(() =>
      this.refuse({ code: 'DEADLINE_PASSED', message: `${route.upstream} did not finish within the call's grpc-timeout` }),
    )
    this.next()
  }

  /** Tries the next ready endpoint, or waits for one. */
  private next(): void {
    this.phase = 'waiting'
    const route = this.traffic.routes.again(this.route!)
    if (route === undefined) {
      this.refuse({ code: 'ROUTE_UNKNOWN', message: `the route ${this.route!.prefix} was taken out` })
      return
    }
    this.route = route
    const endpoint = this.traffic.routes.pick(route, this.tried)
    if (endpoint !== null) this.attempt(route, endpoint)
    else this.wait(route)
  }

  private wait(route: TableRoute): void {
    const leftMs = route.holdMs - this.clocks.passedMs
    if (leftMs <= 0 || !route.expected) {
      this.refuse(this.noneReady(route))
      return
    }
    const pauseMs = this.tried.length === 0 ? leftMs : Math.min(ROUND_PAUSE_MS * 2 ** this.rounds, ROUND_PAUSE_MAX_MS, leftMs)
    this.giveUp = this.traffic.hold.wait(route.upstream, pauseMs, () => {
      this.rounds++
      this.tried = []
      this.next()
    })
    if (this.giveUp === null)
      this.refuse({ code: 'REQUEST_QUEUE_FULL', message: `${route.upstream}: its waiting room is full`, retryAfterS: 1 })
  }

  private noneReady(route: TableRoute): Refusal {
    if (this.lastFailure !== null) return { ...refusalOf(this.lastFailure, route.upstream), retryAfterS: 1 }
    const count = route.endpoints.length
    return { code: 'UPSTREAM_NONE_READY', message: `${route.upstream}: 0 of ${count} endpoints ready`, retryAfterS: 1 }
  }

  private attempt(route: TableRoute, endpoint: TableEndpoint): void {
    this.tried.push(endpoint.id)
    this.entry.attempts++
    this.entry.endpoint = endpoint.id
    const serial = this.entry.attempts
    const isCurrent = () => serial === this.entry.attempts && this.phase !== 'over'
    let failedAtOnce = false
    const head = upstreamHead(this.call.head, {
      route,
      target: this.target,
      requestId: this.entry.requestId,
      deadlineLeftMs: this.clocks.deadlineLeftMs,
    })
    const cancel = this.traffic.upstreams.open(route, endpoint, head, {
      opened: call => (isCurrent() ? this.opened(call, route) : call.cancel()),
      informational: (status, fields) => isCurrent() && this.call.sendInformational(status, fields),
      head: (status, fields, body) => isCurrent() && this.head(status, fields, body),
      switched: (fields, tunnel) => (isCurrent() ? this.switched(fields, tunnel) : tunnel.destroy()),
      failed: failure => {
        failedAtOnce = true
        if (isCurrent()) this.failed(failure)
      },
    })
    // An attempt can fail, and a wait or a later attempt begin, before `open` returns.
    if (!failedAtOnce && isCurrent()) this.giveUp = cancel
  }

  private opened(call: UpstreamCall, route: TableRoute): void {
    this.phase = 'sent'
    this.upstream = call
    this.clocks.watchSilence(route.timeoutMs, () =>
      this.refuse({ code: 'UPSTREAM_TIMEOUT', message: `${route.upstream}: nothing for ${route.timeoutMs} ms` }),
    )
    this.body.sendTo(call)
  }

  private failed(failure: Failure): void {
    this.dropAttempt()
    this.lastFailure = failure
    const facts = { again: failure.again, method: this.call.head.method, replayable: this.body.replayable, repeats: this.repeats }
    if (this.phase === 'answered' || !mayRepeat(facts)) {
      this.refuse(refusalOf(failure, this.route!.upstream))
      return
    }
    if (failure.again !== 'unsent') this.repeats++
    // A kept connection says nothing about its endpoint: the same one may be asked again.
    if (failure.again === 'idempotent') this.tried.pop()
    this.next()
  }

  private head(status: number, fields: Fields, body: Readable | null): void {
    this.body.forget()
    this.entry.grpcStatus = fieldValue(fields, 'grpc-status') ?? null
    if (this.grpc && this.entry.grpcStatus === null && !isGrpcContentType(fieldValue(fields, 'content-type'))) {
      const message = `HTTP ${status} from ${this.route!.upstream}`
      this.refuse({ code: 'UPSTREAM_PROTOCOL', message, grpc: grpcFromHttp(status) })
      return
    }
    try {
      this.call.sendHead(status, responseFields(fields, { acceptsTrailers: this.acceptsTrailers }), body === null ? 'now' : 'later')
    } catch (error) {
      this.refuse({ code: 'UPSTREAM_PROTOCOL', message: `${this.route!.upstream}: its answer cannot be passed on: ${error}` })
      return
    }
    this.phase = 'answered'
    this.entry.status = status
    if (this.grpc) this.clocks.touch()
    else this.clocks.stopSilence()
    if (body === null) this.answered({ status, grpcStatus: this.entry.grpcStatus })
    else this.bringBack(body)
  }

  private bringBack(body: Readable): void {
    const sink = this.call.answerBody
    sink.on('drain', () => body.resume())
    body.on('data', (chunk: Buffer) => {
      if (this.phase === 'over') return
      this.entry.bytesOut += chunk.length
      this.clocks.touch()
      if (!sink.write(chunk)) body.pause()
    })
    body.on('end', () => {
      if (this.phase === 'over' || !this.upstream!.answerComplete()) return
      const trailers = trailerFields(this.upstream!.answerTrailers())
      this.call.sendEnd(this.acceptsTrailers ? trailers : [])
      this.answered({ status: this.entry.status, grpcStatus: fieldValue(trailers, 'grpc-status') ?? this.entry.grpcStatus })
    })
  }

  /** From here on bytes go both ways unread until one side ends. */
  private switched(fields: Fields, service: Duplex): void {
    this.clocks.stopSilence()
    this.phase = 'answered'
    this.entry.status = 101
    const client = this.call.switchProtocols(responseFields(fields, { acceptsTrailers: false }))
    splice(client, service, counts => {
      if (this.phase === 'over') return
      this.body.bytes = counts.toService
      this.entry.bytesOut = counts.toClient
      this.finish({ status: 101, grpcStatus: null })
    })
  }

  private clientLeft(): void {
    if (this.phase === 'over') return
    this.entry.end = 'client_gone'
    this.dropAttempt()
    this.finish({ status: this.entry.status === 0 ? CLIENT_CLOSED : this.entry.status, grpcStatus: this.grpc ? '1' : null })
  }

  /** Ends the request with an error of ours, in the form its state allows. */
  private refuse(refusal: Refusal): void {
    if (this.phase === 'over') return
    this.dropAttempt()
    this.entry.end = refusal.code
    if (this.phase !== 'answered') {
      this.answered(this.grpc ? refuseGrpc(this.call, refusal) : refuseHttp(this.call, refusal))
      return
    }
    if (!this.grpc) {
      this.call.sendReset()
      this.finish({ status: this.entry.status, grpcStatus: null })
      return
    }
    const trailers = grpcTrailers(refusal)
    this.call.sendEnd(trailers)
    this.answered({ status: this.entry.status, grpcStatus: fieldValue(trailers, 'grpc-status')! })
  }

  /** The answer is complete: what is left of the request has no reader. */
  private answered(done: Answered): void {
    if (this.upstream !== null && !this.body.complete) this.upstream.cancel()
    this.upstream = null
    this.giveUp = null
    this.body.discard()
    this.finish(done)
  }

  private dropAttempt(): void {
    this.clocks.stopSilence()
    this.body.detach()
    const giveUp = this.giveUp
    this.giveUp = null
    this.upstream = null
    giveUp?.()
  }

  private finish(done: Answered): void {
    this.phase = 'over'
    this.clocks.stop()
    Object.assign(this.entry, done)
    this.entry.bytesIn = this.body.bytes
    this.entry.durationMs = this.clocks.passedMs
    this.traffic.record(this.entry)
  }
}

// The word nginx made customary for "the client closed the connection"; it is only ever logged.
const CLIENT_CLOSED = 499
