// One request and its answer: admitted, sent to an endpoint, the answer brought back, and the truth told where that fails.
//
//   admit ─► asking ─► sent ─► answered ─► over
//              ▲        │         │
//              └────────┘         └─ failed: trailers or reset
//
// asking: an endpoint is waited for, or a connection to it (attempts.ts); a failure that may be repeated leads back here.
// sent: the request's head is on its way to a service.
// answered: the head of an answer has gone to the client, a service's or ours; there will be no other.
// over: the one state in which nothing is sent any more; every path ends in it, and every path there writes one line of the access log.
import type { AccessEntry } from '../core/access-line.js'
import { parseGrpcTimeout } from '../core/grpc.js'
import { type Fields, fieldValue, responseFields, trailerFields } from '../core/headers.js'
import { type Admission, admit, isGrpcCall } from './admission.js'
import { answerJson, grpcTrailers, httpStatus, type Refusal, refuseGrpc, refuseHttp } from './answers.js'
import { type AttemptOwner, Attempts } from './attempts.js'
import { type ClockOwner, Clocks } from './clocks.js'
import { compressing } from './compress.js'
import { translated } from './grpc-web.js'
import { checkHealth, type HealthAnswer, proxyHealth } from './health.js'
import { CODE } from './http2/frames.js'
import { Ledger } from './ledger.js'
import { grpcFault, refusalOf, tooLate, tooQuiet } from './reasons.js'
import { RequestBody } from './request-body.js'
import type { Seat } from './roll.js'
import type { Choice, Route } from './routes.js'
import type { ClientEvents, ClientStream, Failure, UpstreamEvents, UpstreamHead, UpstreamStream } from './stream.js'
import type { Traffic } from './traffic.js'
import { acceptsTrailers, upstreamHead } from './upstream-head.js'
import { agreeUpgrade, upgradeFault } from './websocket.js'

/** Serves one request from its head to its last byte. */
export function serve(client: ClientStream, traffic: Traffic): void {
  new Exchange(translated(client, traffic), traffic).begin()
}

class Exchange implements ClientEvents, UpstreamEvents, AttemptOwner, ClockOwner {
  private client: ClientStream
  private readonly traffic: Traffic
  private readonly clocks: Clocks
  private readonly body: RequestBody
  private readonly ledger: Ledger
  private readonly seat: Seat
  private readonly entry: AccessEntry
  readonly grpc: boolean
  private readonly acceptsTrailers: boolean
  private phase: 'asking' | 'sent' | 'answered' | 'over' = 'asking'
  private attempts: Attempts | null = null
  private target = ''
  /** The head of the attempt. */
  private asked: UpstreamHead | null = null
  private stopCheck: (() => void) | null = null
  /** Bytes go both ways unread until both have ended. */
  private isTunnel = false
  private isAnswerSent = false

  constructor(client: ClientStream, traffic: Traffic) {
    const { head } = client
    this.client = client
    this.traffic = traffic
    this.grpc = isGrpcCall(head)
    // Over HTTP/2 trailers cannot be mistaken for anything; over HTTP/1 they go to those that ask for them.
    this.acceptsTrailers = head.protocol === 'h2c' || acceptsTrailers(head)
    this.clocks = new Clocks(this, this.grpc ? parseGrpcTimeout(fieldValue(head.fields, 'grpc-timeout')) : null)
    this.body = new RequestBody(client, this.grpc ? 'grpc' : 'http')
    this.ledger = new Ledger(head, this.grpc ? 'grpc' : 'http', traffic)
    this.entry = this.ledger.entry
    client.events = this
    this.seat = traffic.roll.enter(this)
  }

  begin(): void {
    const admission = admit(this.client.head, this.entry.client, this.traffic)
    if (admission.kind === 'forward') this.forward(admission.route, admission.target)
    else this.answerHere(admission)
  }

  get passedMs(): number {
    return this.clocks.passedMs
  }

  private forward(route: Route, target: string): void {
    const { rules } = route
    this.target = target
    this.ledger.routed(rules)
    if (rules.compression) this.client = compressing(this.client, this.traffic.settings.compression)
    const { client, traffic, clocks } = this
    this.attempts = new Attempts(this, { route, head: client.head, client: this.entry.client, traffic, atMs: clocks.startedAt })
    this.clocks.startDeadline(rules.totalTimeoutMs)
    if (this.clocks.deadlineLeftMs === 0) this.deadlinePassed()
    else this.attempts.next()
  }

  private answerHere(admission: Exclude<Admission, { kind: 'forward' }>): void {
    if (admission.kind === 'refuse') this.refuse(admission.refusal)
    else if (admission.kind === 'health') this.answerHealth(proxyHealth(this.traffic))
    else if (admission.kind === 'answer') {
      this.beginAnswer(admission.status)
      this.client.sendHead(admission.status, admission.fields, 'now')
    } else {
      this.ledger.routed(admission.route.rules)
      this.stopCheck = checkHealth(admission.route, this.client.head, answer => this.answerHealth(answer))
    }
  }

  private answerHealth(answer: HealthAnswer): void {
    this.stopCheck = null
    this.beginAnswer(answer.status)
    answerJson(this.client, answer, this.entry)
  }

  open(route: Route, choice: Choice): UpstreamStream {
    this.phase = 'asking'
    this.ledger.attempt(choice.id, route.rules.protocol)
    this.asked = upstreamHead(this.client.head, {
      rules: route.rules,
      endpoint: choice.endpoint.address,
      target: this.target,
      requestId: this.entry.requestId,
      deadlineLeftMs: this.clocks.deadlineLeftMs,
      forwarded: this.traffic.settings.forwarded,
    })
    return choice.endpoint.pool(route.rules.protocol).open(this.asked, this, route.rules.connectTimeoutMs)
  }

  opened(): void {
    const { upstream, route } = this.attempts!
    this.phase = 'sent'
    this.client.keepNeverIndexed(upstream!.neverIndexed)
    this.clocks.watchSilence(route.rules.timeoutMs)
    this.body.sendTo(upstream!)
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    this.clocks.touch()
    this.ledger.requestData(chunk, start, end)
    if (this.ledger.isTooLarge && this.body.hasReader && !this.isTunnel) this.refuse(this.ledger.tooLarge())
    this.body.data(chunk, start, end)
  }

  requestEnd(trailers: Fields): void {
    this.clocks.touch()
    this.body.end(trailers.length === 0 ? trailers : trailerFields(trailers))
    this.finishIfOver()
  }

  requestFault(code: 'REQUEST_TOO_SLOW' | 'REQUEST_MALFORMED', message: string): void {
    // Of an answer that is complete nothing is to be taken back.
    if (!this.body.hasReader) return
    if (code === 'REQUEST_MALFORMED' || this.phase === 'answered' || this.body.isAwaited('body')) this.refuse({ code, message })
  }

  requestDrained(bytes: number): void {
    this.body.drained(bytes)
    this.finishIfOver()
  }

  informational(status: number, fields: Fields): void {
    this.clocks.touch()
    if (status === 100) this.body.hasContinue = true
    this.client.sendInformational(status, responseFields(fields, { acceptsTrailers: false }))
  }

  answerHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    this.entry.headMs = this.clocks.passedMs
    const pauseMs = this.attempts!.answered(status, { fields, end }, this.body.isReplayable)
    if (pauseMs !== null) {
      this.clocks.stopSilence()
      this.body.detach()
      this.attempts!.repeat(pauseMs)
      return
    }
    this.entry.grpcStatus = fieldValue(fields, 'grpc-status') ?? null
    const fault = this.grpc ? grpcFault(status, fields) : upgradeFault(status, fields, this.asked!, this.client.head)
    if (fault !== null) {
      this.refuse(refusalOf(fault, this.entry.upstream))
      return
    }
    const passed = status === 101 ? agreeUpgrade(fields, this.asked!, this.client.head) : fields
    this.beginAnswer(status)
    this.isTunnel = status === 101
    this.body.answered(this.isTunnel ? 'tunnel' : 'answer')
    const { timeoutMs, idleTimeoutMs } = this.attempts!.route.rules
    this.clocks.watchSilence(this.grpc ? timeoutMs : idleTimeoutMs)
    if (end === 'now') this.answerComplete()
    this.client.sendHead(status, responseFields(passed, { acceptsTrailers: this.acceptsTrailers, grpc: this.grpc }), end)
  }

  answerData(chunk: Buffer, start: number, end: number): void {
    this.clocks.touch()
    this.ledger.answerData(chunk, start, end)
    this.client.sendData(chunk, start, end)
  }

  answerEnd(trailers: Fields): void {
    const passed = trailers.length === 0 ? trailers : trailerFields(trailers)
    this.entry.grpcStatus = fieldValue(passed, 'grpc-status') ?? this.entry.grpcStatus
    if (!this.isTunnel) this.answerComplete()
    this.client.sendEnd(this.acceptsTrailers ? passed : [])
  }

  answerDrained(bytes: number): void {
    this.clocks.touch()
    this.attempts?.upstream?.grant(bytes)
  }

  answerSent(): void {
    this.isAnswerSent = true
    this.finishIfOver()
  }

  failed(failure: Failure): void {
    if (this.phase === 'over') return
    const attempts = this.attempts!
    attempts.upstream = null
    this.clocks.stopSilence()
    this.body.detach()
    if (this.phase === 'answered') attempts.blame()
    else {
      this.phase = 'asking'
      if (attempts.goOn(failure, this.body.isReplayable)) return
    }
    this.refuse(refusalOf(failure, this.entry.upstream))
  }

  clientGone(why: 'reset' | 'closed' | 'malformed' | 'stalled'): void {
    this.ledger.clientGone(why)
    this.finish()
  }

  deadlinePassed(): void {
    this.refuse(tooLate(this.entry.upstream, this.clocks.isClientDeadline ? 'client' : 'route'))
  }

  silent(limitMs: number): void {
    const isSent = this.phase === 'sent'
    if (isSent && this.body.isComplete) this.attempts!.blame()
    const whose = isSent && this.body.isAwaited('silence') ? 'client' : 'service'
    this.refuse(tooQuiet({ upstream: this.entry.upstream, limitMs, whose }))
  }

  /** Ends the request with an error of ours, in the form its state allows. */
  refuse(refusal: Refusal): void {
    if (this.phase === 'over') return
    const { client, entry } = this
    const isBegun = this.phase === 'answered'
    this.clocks.stop()
    this.attempts?.drop()
    this.body.discard()
    this.isTunnel = false
    entry.end = refusal.code
    if (this.grpc) {
      const trailers = grpcTrailers(refusal)
      entry.grpcStatus = fieldValue(trailers, 'grpc-status')!
      if (isBegun) client.sendEnd(trailers)
      else {
        this.beginAnswer(200)
        refuseGrpc(client, trailers)
      }
    } else if (isBegun) {
      client.sendReset(CODE.INTERNAL_ERROR)
      this.finish()
    } else {
      this.beginAnswer(httpStatus(refusal))
      refuseHttp(client, refusal, entry)
    }
  }

  private beginAnswer(status: number): void {
    this.phase = 'answered'
    this.entry.status = status
  }

  /** Nothing more comes from the service: what is left of the request has no reader there. */
  private answerComplete(): void {
    this.clocks.stop()
    this.attempts!.complete(this.body.isComplete)
    this.body.discard()
  }

  /** A tunnel is over when both directions have ended and nothing of them is here any more. */
  private finishIfOver(): void {
    if (!this.isAnswerSent || (this.isTunnel && !this.body.isDelivered)) return
    if (this.isTunnel) this.attempts?.complete(true)
    this.finish()
  }

  private finish(): void {
    if (this.phase === 'over') return
    this.phase = 'over'
    this.traffic.roll.leave(this.seat)
    this.clocks.stop()
    this.attempts?.drop()
    this.stopCheck?.()
    this.traffic.record(this.ledger.close({ durationMs: this.clocks.passedMs, retries: this.attempts?.repeats ?? 0 }))
  }
}
