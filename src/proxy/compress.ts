// Answers compressed on their way to the client: a client stream that looks plain to the exchange.  What it holds is bounded by the credit of both sides.
import { type BrotliCompress, constants, createBrotliCompress, createGzip, type Gzip } from 'node:zlib'
import { acceptedCoding, type Coding, compressedFields, isCompressible } from '../core/content-coding.js'
import type { Fields } from '../core/headers.js'
import type { CompressionSpec } from '../core/spec.js'
import { CODE } from './http2/frames.js'
import type { NeverIndexed } from './http2/hpack/never-indexed.js'
import { type ClientEvents, type ClientStream, type RequestHead, WINDOW_BYTES } from './stream.js'

// Between speed and size as web servers set them for answers made on the fly.
const GZIP = { level: 5 }
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }

/** The client's stream as it is, or one that compresses, as its client likes it. */
export function compressing(client: ClientStream, spec: CompressionSpec): ClientStream {
  const coding = acceptedCoding(client.head.fields)
  return coding === null ? client : new CompressingStream(client, coding, spec)
}

class CompressingStream implements ClientStream, ClientEvents {
  readonly head: RequestHead
  events: ClientEvents | null
  private readonly inner: ClientStream
  private readonly coding: Coding
  private readonly spec: CompressionSpec
  private zip: Gzip | BrotliCompress | null = null
  private trailers: Fields = []
  private sentBytes = 0
  private drainedBytes = 0

  constructor(inner: ClientStream, coding: Coding, spec: CompressionSpec) {
    this.head = inner.head
    this.inner = inner
    this.coding = coding
    this.spec = spec
    this.events = inner.events
    inner.events = this
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    this.events?.requestData(chunk, start, end)
  }

  requestEnd(trailers: Fields): void {
    this.events?.requestEnd(trailers)
  }

  requestFault(code: 'REQUEST_TOO_SLOW' | 'REQUEST_MALFORMED', message: string): void {
    this.events?.requestFault(code, message)
  }

  answerDrained(bytes: number): void {
    if (this.zip === null) {
      this.events?.answerDrained(bytes)
      return
    }
    this.drainedBytes += bytes
    if (this.sentBytes - this.drainedBytes < WINDOW_BYTES) this.zip.resume()
  }

  answerSent(): void {
    this.events?.answerSent()
  }

  clientGone(why: 'reset' | 'closed' | 'malformed' | 'stalled'): void {
    this.zip?.destroy()
    this.events?.clientGone(why)
  }

  keepNeverIndexed(names: NeverIndexed): void {
    this.inner.keepNeverIndexed(names)
  }

  sendInformational(status: number, fields: Fields): void {
    this.inner.sendInformational(status, fields)
  }

  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    if (end === 'now' || !isCompressible(status, fields, this.spec)) {
      this.inner.sendHead(status, fields, end)
      return
    }
    this.inner.sendHead(status, compressedFields(fields, this.coding), 'later')
    const zip = this.coding === 'br' ? createBrotliCompress(BROTLI) : createGzip(GZIP)
    this.zip = zip
    zip.on('data', (chunk: Buffer) => {
      this.sentBytes += chunk.length
      this.inner.sendData(chunk, 0, chunk.length)
      if (this.sentBytes - this.drainedBytes >= WINDOW_BYTES) zip.pause()
    })
    zip.on('end', () => this.inner.sendEnd(this.trailers))
    // Only a lack of memory ends here: the client must not take what it has for complete.
    zip.on('error', () => {
      this.events?.clientGone('closed')
      this.inner.sendReset(CODE.INTERNAL_ERROR)
    })
  }

  sendData(chunk: Buffer, start: number, end: number): void {
    const { zip } = this
    if (zip === null) {
      this.inner.sendData(chunk, start, end)
      return
    }
    zip.write(Buffer.from(chunk.subarray(start, end)), () => {
      this.events?.answerDrained(end - start)
      // Nothing more has come meanwhile: a reader that waits for this piece gets it.
      if (zip.writableLength === 0 && !zip.writableEnded) zip.flush()
    })
  }

  sendEnd(trailers: Fields): void {
    this.trailers = trailers
    if (this.zip === null) this.inner.sendEnd(trailers)
    else this.zip.end()
  }

  sendReset(code: number): void {
    this.zip?.destroy()
    this.inner.sendReset(code)
  }

  grant(bytes: number): void {
    this.inner.grant(bytes)
  }
}
