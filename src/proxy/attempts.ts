// The attempts of one request: which endpoint is asked, what waits for one, and whether another may be asked after a failure.
import { type Fields, fieldValue } from '../core/headers.js'
import type { Part } from '../core/outlier.js'
import { isIdempotent, mayRepeat } from '../core/retry.js'
import type { Refusal } from './answers.js'
import { refusalOf } from './reasons.js'
import type { Asker, Choice, Route } from './routes.js'
import { specimens } from './specimens.js'
import type { Failure, RequestHead, UpstreamStream } from './stream.js'
import type { Traffic } from './traffic.js'

// Between two rounds over endpoints that are ready by the table but refuse connections: their process has just died.
const ROUND_PAUSE_MS = 50
const ROUND_PAUSE_MAX_MS = 1000
// An endpoint that says goodbye again and again before it takes a request is not asked for ever.
const MAX_RETURNS = 10
// A service may ask for a pause before the next try, but not for a longer one than people wait.
const MAX_PUSHBACK_MS = 30_000

/** The exchange, as its attempts see it. */
export interface AttemptOwner {
  /** Begins an attempt there. */
  open(route: Route, choice: Choice): UpstreamStream
  /** The attempt's head is on its way. */
  opened(): void
  /** There will be no attempt. */
  refuse(refusal: Refusal): void
  readonly passedMs: number
  /** Is it a gRPC call? */
  readonly grpc: boolean
}

export class Attempts implements Asker {
  upstream: UpstreamStream | null = null
  route: Route
  /** Times the request was repeated after something had left. */
  repeats = 0
  private readonly owner: AttemptOwner
  private readonly traffic: Traffic
  private readonly head: RequestHead
  readonly fields: Fields
  readonly client: string
  /** Endpoint ids. */
  private tried: string[] = []
  private rounds = 0
  private returns = 0
  private lastFailure: Failure | null = null
  private choice: Choice | null = null
  private part: Part = 'usual'
  /** When the attempt began; 0: nobody asks how long it takes. */
  private beganMs = 0
  private stopWaiting: (() => void) | null = null

  /** atMs: when the request began, on the clock of performance.now(). */
  constructor(owner: AttemptOwner, request: { route: Route; head: RequestHead; client: string; traffic: Traffic; atMs: number }) {
    const { route, head, client, traffic, atMs } = request
    this.owner = owner
    this.route = route
    this.head = head
    this.fields = head.fields
    this.client = client
    this.traffic = traffic
    // Of every route: what was refused, or lost with a kept connection, is repeated without any rule, and paid for out of the same budget.
    route.memory.budget.began(atMs)
  }

  /** Tries the next endpoint, or waits for one. */
  next(): void {
    const route = this.traffic.routes.again(this.route)
    if (route === undefined) {
      this.owner.refuse({ code: 'ROUTE_UNKNOWN', message: `the route ${this.route.rules.id} was taken out` })
      return
    }
    this.route = route
    const choice = route.pick(this, this.tried) ?? this.comeBack(route)
    if (choice !== null) this.attempt(route, choice)
    else this.wait(route)
  }

  /** The service has begun to answer.  Returns after how many ms the route asks again instead of passing this answer on; null: it does not. */
  answered(status: number, answer: { fields: Fields; end: 'now' | 'later' }, isReplayable: boolean): number | null {
    this.judge('good')
    if (this.beganMs !== 0) this.timed(status, answer)
    const { retries } = this.route.rules
    if (retries.count === 0 || this.repeats >= retries.count || !isReplayable) return null
    // Of a gRPC call its owner has said with the statuses that it may be made twice.
    if (!this.owner.grpc && !isIdempotent(this.head.method)) return null
    const grpcStatus = answer.end === 'now' ? fieldValue(answer.fields, 'grpc-status') : undefined
    if (!retries.statuses.includes(status) && (grpcStatus === undefined || !retries.grpcStatuses.includes(Number(grpcStatus)))) return null
    const pauseMs = pushbackMs(answer.fields)
    return pauseMs !== null && this.route.memory.budget.take(performance.now()) ? pauseMs : null
  }

  /** Asks again after an answer that is not passed on. */
  repeat(pauseMs: number): void {
    this.drop()
    this.repeats++
    this.lastFailure = null
    const isNew = this.route.isLeft(this.tried)
    if (!isNew) this.tried = []
    if (pauseMs > 0) this.rest(pauseMs)
    else if (isNew) this.next()
    // The one that has just said no gets a moment.
    else this.rest(ROUND_PAUSE_MS)
  }

  /** An attempt failed before anything of an answer had gone to the client.  Returns whether the request goes on. */
  goOn(failure: Failure, isReplayable: boolean): boolean {
    const { again } = failure
    if (failure.code === 'UPSTREAM_UNREACHABLE' || again === 'no') this.judge('bad')
    this.upstream = null
    this.drop()
    this.lastFailure = failure
    if (!mayRepeat({ again, method: this.head.method, replayable: isReplayable, repeats: this.repeats })) return false
    if (again !== 'unsent') {
      if (!this.route.memory.budget.take(performance.now())) return false
      this.repeats++
    }
    // A kept connection says nothing about its endpoint: the same one may be asked again.
    if (again === 'idempotent') this.tried.pop()
    this.next()
    return true
  }

  /** The service was too slow, or broke off: its health hears of it.  Not of silence after the answer's head, or while the client has not said all:
   *  that may be what both want. */
  blame(): void {
    this.judge('bad')
  }

  /** The answer is complete; what has not been sent of the request has no reader. */
  complete(isRequestComplete: boolean): void {
    if (isRequestComplete) this.upstream = null
    this.drop()
  }

  /** Lets go of the attempt or the wait. */
  drop(): void {
    const { upstream, stopWaiting, choice } = this
    this.upstream = null
    this.stopWaiting = null
    this.choice = null
    if (choice !== null) {
      choice.endpoint.active--
      choice.health.abandoned(this.part)
    }
    upstream?.cancel()
    stopWaiting?.()
  }

  private attempt(route: Route, choice: Choice): void {
    this.tried.push(choice.id)
    this.choice = choice
    choice.endpoint.active++
    if (route.rules.endpoints.length > 1) {
      const nowMs = performance.now()
      this.part = choice.health.begun(nowMs)
      this.beganMs = route.rules.balance.kind === 'least_requests' ? nowMs : 0
    } else {
      this.part = 'usual'
      this.beganMs = 0
    }
    this.upstream = this.owner.open(route, choice)
    specimens.requests.set(this.head.protocol, this)
    specimens.streams.set(route.rules.protocol, this.upstream)
    if (this.upstream.isOpen) this.owner.opened()
  }

  /** An error says nothing about how fast its endpoint is: one that fails at once would draw everything to itself. */
  private timed(status: number, { fields, end }: { fields: Fields; end: 'now' | 'later' }): void {
    const isError = status >= 400 || (end === 'now' && (fieldValue(fields, 'grpc-status') ?? '0') !== '0')
    const nowMs = performance.now()
    if (!isError) this.choice?.answerTime.observed(nowMs - this.beganMs, nowMs)
  }

  /** No other endpoint is left, but one said that it did not begin, and lives: it may be asked once more (rules 18 and 19). */
  private comeBack(route: Route): Choice | null {
    const failure = this.lastFailure
    if (failure === null || this.returns >= MAX_RETURNS) return null
    const lives = failure.again === 'refused' || (failure.again === 'unsent' && failure.code === 'UPSTREAM_BROKEN')
    if (!lives) return null
    this.returns++
    this.tried = []
    return route.pick(this, this.tried)
  }

  /** With one endpoint there is no choice that its health could change. */
  private judge(verdict: 'good' | 'bad'): void {
    const { choice } = this
    if (choice === null || this.route.rules.endpoints.length < 2) return
    if (verdict === 'good') choice.health.succeeded(performance.now(), this.part)
    else choice.health.failed(performance.now(), this.part)
    // A trial has one verdict; how a long stream ends later is another matter.
    this.part = 'usual'
  }

  private wait(route: Route): void {
    const { rules } = route
    const leftMs = rules.holdMs - this.owner.passedMs
    if (leftMs <= 0 || !rules.expected) {
      this.owner.refuse(this.noneReady(route))
      return
    }
    this.pause(this.tried.length === 0 ? leftMs : Math.min(ROUND_PAUSE_MS * 2 ** this.rounds, ROUND_PAUSE_MAX_MS, leftMs))
  }

  private pause(ms: number): void {
    const { upstream } = this.route.rules
    this.stopWaiting = this.traffic.hold.wait(upstream, ms, () => {
      this.stopWaiting = null
      this.rounds++
      this.tried = []
      this.next()
    })
    if (this.stopWaiting === null)
      this.owner.refuse({ code: 'REQUEST_QUEUE_FULL', message: `${upstream}: its waiting room is full`, retryAfterS: 1 })
  }

  /** Nothing that happens meanwhile ends it but the end of the request: it is what the service asked for. */
  private rest(ms: number): void {
    const timer = setTimeout(() => {
      this.stopWaiting = null
      this.next()
    }, ms)
    this.stopWaiting = () => clearTimeout(timer)
  }

  private noneReady({ rules }: Route): Refusal {
    if (this.lastFailure !== null) return { ...refusalOf(this.lastFailure, rules.upstream), retryAfterS: 1 }
    return { code: 'UPSTREAM_NONE_READY', message: `${rules.upstream}: 0 of ${rules.endpoints.length} endpoints ready`, retryAfterS: 1 }
  }
}

/** How long the service wants the next try to wait, in ms; null: it wants none (gRPC A6). */
function pushbackMs(fields: Fields): number | null {
  const text = fieldValue(fields, 'grpc-retry-pushback-ms')
  if (text === undefined) return 0
  return /^[0-9]{1,9}$/.test(text) && Number(text) <= MAX_PUSHBACK_MS ? Number(text) : null
}
