// One HTTP/2 stream of a client as a ClientCall.
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Duplex, Readable, Writable } from 'node:stream'
import type { Fields } from '../../core/headers.js'
import { fieldsFromRaw, headerObject } from '../fields.js'
import type { ClientCall, RequestHead } from '../message.js'

export class Http2Call implements ClientCall {
  readonly head: RequestHead
  private readonly stream: ServerHttp2Stream
  private trailersIn: Fields = []
  private trailersOut: Fields | null = null
  private requestEnded: boolean

  constructor(head: RequestHead, stream: ServerHttp2Stream) {
    this.head = head
    this.stream = stream
    this.requestEnded = head.bodyless
    // Its cause is told by 'close'; without a listener an error would end the worker.
    stream.on('error', () => {})
    stream.on('end', () => {
      this.requestEnded = true
    })
    stream.on('trailers', (_trailers: object, _flags: number, raw: string[]) => {
      this.trailersIn = fieldsFromRaw(raw)
    })
    stream.on('wantTrailers', () => this.sendTrailers())
  }

  get body(): Readable {
    return this.stream
  }

  get answerBody(): Writable {
    return this.stream
  }

  requestTrailers(): Fields {
    return this.trailersIn
  }

  sendInformational(status: number, fields: Fields): void {
    if (this.stream.destroyed || this.stream.headersSent || (status !== 100 && status !== 103)) return
    this.stream.additionalHeaders({ ...headerObject(fields), ':status': status })
  }

  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    if (this.stream.destroyed || this.stream.closed) return
    const headers = headerObject(fields)
    headers[':status'] = status
    this.stream.respond(headers, { endStream: end === 'now', waitForTrailers: end === 'later', sendDate: false } as object)
    if (end === 'now') this.stopRequest()
  }

  sendEnd(trailers: Fields): void {
    this.trailersOut = trailers
    this.stream.end()
  }

  /** `waitForTrailers` keeps node:http2 from ending the stream cleanly before the reset: no trailers, no END_STREAM. */
  sendReset(): void {
    if (!this.stream.destroyed) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  switchProtocols(): Duplex {
    throw new Error('HTTP/2 has no Upgrade')
  }

  onGone(listener: () => void): void {
    this.stream.on('close', listener)
    this.stream.on('aborted', listener)
  }

  private sendTrailers(): void {
    if (this.trailersOut === null || this.stream.destroyed || this.stream.closed) return
    this.stream.sendTrailers(headerObject(this.trailersOut))
    this.stopRequest()
  }

  /** The answer is complete; a client that still sends is told that nobody reads it, without an error (rule 10). */
  private stopRequest(): void {
    if (this.requestEnded) return
    setImmediate(() => {
      if (!this.stream.destroyed && !this.requestEnded) this.stream.close(constants.NGHTTP2_NO_ERROR)
    })
  }
}
