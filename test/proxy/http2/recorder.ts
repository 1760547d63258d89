// Both ends of the contract as a test sees them: what a codec reports is written down, what the test says is done.
import { NOTHING_MARKED } from '../../../src/proxy/http2/hpack/never-indexed.js'
import type { ClientEvents, ClientStream, Failure, UpstreamEvents, UpstreamHead } from '../../../src/proxy/stream.js'

/** Serves a client's stream by hand, or at once with a small answer. */
export class ServedStream implements ClientEvents {
  readonly stream: ClientStream
  readonly seen: string[] = []
  body: Buffer = Buffer.alloc(0)
  trailers: string[] | null = null
  drained = 0
  grants: 'at once' | 'never'

  constructor(stream: ClientStream, grants: 'at once' | 'never' = 'at once') {
    this.stream = stream
    this.grants = grants
    stream.events = this
  }

  get isEnded(): boolean {
    return this.trailers !== null || this.stream.head.bodyless
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    this.body = Buffer.concat([this.body, chunk.subarray(start, end)])
    if (this.grants === 'at once') this.stream.grant(end - start)
  }

  requestEnd(trailers: string[]): void {
    this.seen.push('end')
    this.trailers = trailers
  }

  requestFault(code: string): void {
    this.seen.push(code)
    this.stream.sendHead(code === 'REQUEST_TOO_SLOW' ? 408 : 400, [], 'now')
  }

  answerDrained(bytes: number): void {
    this.drained += bytes
  }

  answerSent(): void {
    this.seen.push('sent')
  }

  clientGone(why: string): void {
    this.seen.push(why)
  }
}

/** Answers every request when it is complete. */
export class Echo extends ServedStream {
  constructor(stream: ClientStream) {
    super(stream)
    if (stream.head.bodyless) this.answer()
  }

  override requestEnd(trailers: string[]): void {
    super.requestEnd(trailers)
    this.answer()
  }

  private answer(): void {
    this.stream.sendHead(200, ['x-echo', '1'], 'later')
    if (this.body.length > 0) this.stream.sendData(this.body, 0, this.body.length)
    else this.stream.sendData(Buffer.from('hello'), 0, 5)
    this.stream.sendEnd([])
  }
}

/** Writes down what a service's side reports. */
export class AttemptRecord implements UpstreamEvents {
  readonly seen: string[] = []
  status = 0
  fields: string[] = []
  body: Buffer = Buffer.alloc(0)
  trailers: string[] = []
  failure: Failure | null = null
  drained = 0
  isDone = false
  private readonly waiters: (() => void)[] = []

  opened(): void {
    this.note('opened')
  }

  informational(status: number): void {
    this.note(String(status))
  }

  answerHead(status: number, fields: string[], end: 'now' | 'later'): void {
    this.status = status
    this.fields = fields
    this.isDone = end === 'now'
    this.note(end === 'now' ? 'head and end' : 'head')
  }

  answerData(chunk: Buffer, start: number, end: number): void {
    this.body = Buffer.concat([this.body, chunk.subarray(start, end)])
    this.note('data')
  }

  answerEnd(trailers: string[]): void {
    this.trailers = trailers
    this.isDone = true
    this.note('end')
  }

  requestDrained(bytes: number): void {
    this.drained += bytes
  }

  failed(failure: Failure): void {
    this.failure = failure
    this.isDone = true
    this.note('failed')
  }

  private note(word: string): void {
    this.seen.push(word)
    for (const waiter of this.waiters.splice(0)) waiter()
  }

  /** Waits until this is true of what was reported. */
  async until(isTrue: (record: AttemptRecord) => boolean, limitMs = 30_000): Promise<void> {
    const endMs = Date.now() + limitMs
    while (!isTrue(this)) {
      if (Date.now() > endMs) throw new Error(`waited ${limitMs} ms; seen: ${this.seen.join(' ')} ${JSON.stringify(this.failure)}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, 50)
        this.waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  done(): Promise<void> {
    return this.until(record => record.isDone)
  }
}

export function upstreamHead(more: Partial<UpstreamHead> = {}): UpstreamHead {
  return {
    method: 'GET',
    target: '/',
    scheme: 'http',
    authority: 'h',
    fields: [],
    bodyless: true,
    upgrade: null,
    neverIndexed: NOTHING_MARKED,
    ...more,
  }
}

/** Waits for a condition that no single event tells. */
export async function until(what: string, isTrue: () => boolean, limitMs = 30_000): Promise<void> {
  const endMs = Date.now() + limitMs
  while (!isTrue()) {
    if (Date.now() > endMs) throw new Error(`waited ${limitMs} ms for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
