// The attempts of one request: which endpoint is asked, what waits for one, and whether another may be asked after a failure.
import { mayRepeat } from '../core/retry.js'
import { type Refusal, refusalOf } from './answers.js'
import type { Choice, Route } from './routes.js'
import type { Failure, RequestHead, UpstreamStream } from './stream.js'
import type { Traffic } from './traffic.js'

// Between two rounds over endpoints that are ready by the table but refuse connections: their process has just died.
const ROUND_PAUSE_MS = 50
const ROUND_PAUSE_MAX_MS = 1000

/** The exchange, as its attempts see it. */
export interface AttemptOwner {
  /** Begins an attempt there. */
  open(route: Route, choice: Choice): UpstreamStream
  /** The attempt's head is on its way. */
  opened(): void
  /** There will be no attempt. */
  refuse(refusal: Refusal): void
  readonly passedMs: number
}

export class Attempts {
  /** Attempts so far. */
  count = 0
  /** Times the request was repeated after something had left. */
  repeats = 0
  upstream: UpstreamStream | null = null
  route: Route
  private readonly owner: AttemptOwner
  private readonly traffic: Traffic
  private readonly head: RequestHead
  /** Endpoint ids. */
  private tried: string[] = []
  private rounds = 0
  private lastFailure: Failure | null = null
  private choice: Choice | null = null
  private stopWaiting: (() => void) | null = null

  constructor(owner: AttemptOwner, request: { route: Route; head: RequestHead; traffic: Traffic }) {
    this.owner = owner
    this.route = request.route
    this.head = request.head
    this.traffic = request.traffic
  }

  /** Tries the next endpoint, or waits for one. */
  next(): void {
    const route = this.traffic.routes.again(this.route)
    if (route === undefined) {
      this.owner.refuse({ code: 'ROUTE_UNKNOWN', message: `the route ${this.route.rules.id} was taken out` })
      return
    }
    this.route = route
    const choice = route.pick(this.head, this.tried)
    if (choice !== null) this.attempt(route, choice)
    else this.wait(route)
  }

  /** An attempt failed before anything of an answer had gone to the client.  Returns whether the request goes on. */
  goOn(failure: Failure, isReplayable: boolean): boolean {
    this.upstream = null
    this.drop()
    this.lastFailure = failure
    const { method } = this.head
    if (!mayRepeat({ again: failure.again, method, replayable: isReplayable, repeats: this.repeats })) return false
    if (failure.again !== 'unsent') this.repeats++
    // A kept connection says nothing about its endpoint: the same one may be asked again.
    if (failure.again === 'idempotent') this.tried.pop()
    this.next()
    return true
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
    if (choice !== null) choice.endpoint.active--
    upstream?.cancel()
    stopWaiting?.()
  }

  private attempt(route: Route, choice: Choice): void {
    this.tried.push(choice.id)
    this.choice = choice
    this.count++
    choice.endpoint.active++
    this.upstream = this.owner.open(route, choice)
    if (this.upstream.isOpen) this.owner.opened()
  }

  private wait(route: Route): void {
    const { rules } = route
    const leftMs = rules.holdMs - this.owner.passedMs
    if (leftMs <= 0 || !rules.expected) {
      this.owner.refuse(this.noneReady(route))
      return
    }
    const pauseMs = this.tried.length === 0 ? leftMs : Math.min(ROUND_PAUSE_MS * 2 ** this.rounds, ROUND_PAUSE_MAX_MS, leftMs)
    this.stopWaiting = this.traffic.hold.wait(rules.upstream, pauseMs, () => {
      this.stopWaiting = null
      this.rounds++
      this.tried = []
      this.next()
    })
    if (this.stopWaiting === null)
      this.owner.refuse({ code: 'REQUEST_QUEUE_FULL', message: `${rules.upstream}: its waiting room is full`, retryAfterS: 1 })
  }

  private noneReady({ rules }: Route): Refusal {
    if (this.lastFailure !== null) return { ...refusalOf(this.lastFailure, rules.upstream), retryAfterS: 1 }
    return { code: 'UPSTREAM_NONE_READY', message: `${rules.upstream}: 0 of ${rules.endpoints.length} endpoints ready`, retryAfterS: 1 }
  }
}
