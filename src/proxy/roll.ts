// The requests that are not over: entered and left a hundred thousand times a second, looked at once, when the worker's time is over.
import type { Refusal } from './answers.js'

/** A request, as the worker's end sees it. */
export interface Running {
  refuse(refusal: Refusal): void
}

export interface Seat {
  request: Running | null
  previous: Seat | null
  next: Seat | null
}

/** A linked list, not a Set: an old Set's table keeps the dead alive through scavenges (measured for the streams of a connection: 25 % of the CPU). */
export class Roll {
  private readonly first: Seat = { request: null, previous: null, next: null }

  enter(request: Running): Seat {
    const { next } = this.first
    const seat: Seat = { request, previous: this.first, next }
    this.first.next = seat
    if (next !== null) next.previous = seat
    return seat
  }

  leave(seat: Seat): void {
    const { previous, next } = seat
    previous!.next = next
    if (next !== null) next.previous = previous
    // A dead seat that has grown old must not hold on to young ones.
    seat.request = null
    seat.previous = null
    seat.next = null
  }

  refuseAll(refusal: Refusal): void {
    // Some leave as they are refused, some when their last bytes have left.
    const requests: Running[] = []
    for (let seat = this.first.next; seat !== null; seat = seat.next) requests.push(seat.request!)
    for (const request of requests) request.refuse(refusal)
  }
}
