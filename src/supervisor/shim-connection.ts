// One socket to one shim: requests out, replies matched, events handed on; it ends in exactly one way.
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { AppError } from '../core/error.js'
import type { Field, ShimExit, ShimHello, ShimMessage, ShimReply, Stream } from './shim-frames.js'
import { encodeFrame, parseLine } from './shim-frames.js'

const HELLO_MAX_MS = 5_000
const LINE_MAX_BYTES = 16 * 1024
/** The reason where the other end closed, and nothing here went wrong before. */
export const HUNG_UP = 'closed by the shim'

/** What a shim tells unasked.  Called in the order things happened, never before connectShim has resolved. */
export interface ShimHandlers {
  /** The program has ended, its whole tree is gone, and all its output is in the log files. */
  exited(exit: ShimExit): void
  /** bytes: lost in this stream since the shim began. */
  logLost(loss: { stream: Stream; bytes: number; error: string }): void
  /** Writing works again. */
  logOk(loss: { stream: Stream; bytes: number }): void
  rotated(stream: Stream): void
  /** The connection is gone and nobody here asked for that: the shim died, or another daemon took over. */
  closed(reason: string): void
}

/** The socket, the replies that are awaited, and the bytes of a line that is not complete yet. */
export class Connection {
  readonly #dir: string
  readonly #handlers: ShimHandlers
  readonly #waiting = new Map<number, { resolve: (reply: ShimReply) => void; reject: (error: AppError) => void; timer: NodeJS.Timeout }>()
  #socket: Socket | null = null
  #rest: Buffer = Buffer.alloc(0)
  /** Between the hello and `begin`: what comes waits in #rest, and an end of the socket here. */
  #held = false
  #heldEnd: string | null = null
  #nextId = 1
  #end: 'unexpected' | 'expected' = 'unexpected'
  #onHello: ((hello: ShimHello) => void) | null = null
  #onFailure: ((error: AppError) => void) | null = null

  constructor(dir: string, handlers: ShimHandlers) {
    this.#dir = dir
    this.#handlers = handlers
  }

  /** Through the directory's descriptor, because a socket path ends at 107 bytes and a run directory need not. */
  async open(): Promise<ShimHello> {
    const handle = await open(this.#dir, constants.O_RDONLY | constants.O_DIRECTORY).catch(cause => {
      throw new AppError('SHIM_FAILED', `${this.#dir}: ${cause instanceof Error ? cause.message : cause}`, { cause })
    })
    const timer = setTimeout(() => this.#lose(`no hello within ${HELLO_MAX_MS} ms`), HELLO_MAX_MS)
    try {
      return await new Promise<ShimHello>((resolveHello, reject) => {
        this.#onHello = resolveHello
        this.#onFailure = reject
        const socket = connect({ path: `/proc/self/fd/${handle.fd}/shim.sock` })
        this.#socket = socket
        socket.on('data', chunk => this.#take(chunk))
        socket.on('error', error => this.#ended(error.message.replace(/ \/proc\/self\/fd\/\d+\//, ' ')))
        socket.on('close', () => this.#ended(HUNG_UP))
      })
    } finally {
      clearTimeout(timer)
      await handle.close()
    }
  }

  /** Events are held back from the hello on until the caller knows what they are about: it has this turn to get ready. */
  begin(): void {
    setImmediate(() => {
      const rest = this.#rest
      this.#rest = Buffer.alloc(0)
      this.#held = false
      this.#take(rest)
      this.#socket?.resume()
      if (this.#heldEnd !== null) this.#lose(this.#heldEnd)
    })
  }

  /** A socket that ends while it is paused says so at once, before its last events have been heard. */
  #ended(reason: string): void {
    if (this.#held) this.#heldEnd ??= reason
    else this.#lose(reason)
  }

  /** maxMs: the connection is given up when no reply came by then, since what the shim did is unknown. */
  ask(verb: string, fields: readonly Field[], maxMs: number): Promise<ShimReply> {
    const id = this.#nextId++
    let frame: Buffer
    try {
      frame = encodeFrame(verb, id, fields)
    } catch (cause) {
      return Promise.reject(new AppError('SPAWN_ERROR', `exec: ${cause instanceof Error ? cause.message : cause}`, { cause }))
    }
    const socket = this.#socket
    if (socket === null) return Promise.reject(new AppError('SHIM_FAILED', `${this.#dir}: ${verb}: not connected`))
    return new Promise((resolveReply, reject) => {
      const timer = setTimeout(() => this.#lose(`no reply to ${verb} within ${maxMs} ms`), maxMs)
      this.#waiting.set(id, { resolve: resolveReply, reject, timer })
      socket.write(frame)
    })
  }

  expectEnd(): void {
    this.#end = 'expected'
  }

  close(): void {
    this.expectEnd()
    this.#lose('closed')
  }

  #take(chunk: Buffer): void {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = Buffer.alloc(0)
    for (let end = rest.indexOf(10); end >= 0 && this.#socket !== null; end = rest.indexOf(10)) {
      const line = rest.toString('utf8', 0, end)
      rest = rest.subarray(end + 1)
      const wasHello = this.#onHello !== null
      this.#takeLine(line)
      if (wasHello) {
        this.#socket?.pause()
        this.#held = true
        this.#rest = rest
        return
      }
    }
    if (rest.length > LINE_MAX_BYTES) this.#lose(`a line of more than ${LINE_MAX_BYTES} bytes`)
    else this.#rest = rest
  }

  #takeLine(line: string): void {
    let message: ShimMessage | null
    try {
      message = parseLine(line)
    } catch (error) {
      this.#lose(`senseless line: ${error instanceof Error ? error.message : error}`)
      return
    }
    if (message === null) return
    if (message.kind === 'hello') this.#takeHello(message.hello)
    else if (this.#onHello !== null) this.#lose(`${message.kind} before hello`)
    else if (message.kind === 'reply') this.#takeReply(message)
    else this.#tell(message)
  }

  #takeHello(hello: ShimHello): void {
    this.#onHello?.(hello)
    this.#onHello = null
    this.#onFailure = null
  }

  #takeReply(reply: ShimReply): void {
    const waiting = this.#waiting.get(reply.id)
    if (waiting === undefined) {
      this.#lose(`reply ${reply.id} to nothing that was asked`)
      return
    }
    this.#waiting.delete(reply.id)
    clearTimeout(waiting.timer)
    waiting.resolve(reply)
  }

  #tell(message: Exclude<ShimMessage, { kind: 'reply' | 'hello' }>): void {
    if (message.kind === 'exited') this.#handlers.exited(message.exit)
    else if (message.kind === 'log_lost') this.#handlers.logLost({ stream: message.stream, bytes: message.bytes, error: message.error })
    else if (message.kind === 'log_ok') this.#handlers.logOk({ stream: message.stream, bytes: message.bytes })
    else if (message.kind === 'rotated') this.#handlers.rotated(message.stream)
    else this.#lose(`refused: ${message.error}`)
  }

  /** The one way a connection ends; the second and later calls do nothing. */
  #lose(reason: string): void {
    const socket = this.#socket
    if (socket === null) return
    this.#socket = null
    socket.destroy()
    const error = new AppError('SHIM_FAILED', `${this.#dir}: ${reason}`)
    const onFailure = this.#onFailure
    this.#onHello = null
    this.#onFailure = null
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(error)
    }
    this.#waiting.clear()
    if (onFailure !== null) onFailure(error)
    else if (this.#end === 'unexpected') this.#handlers.closed(reason)
  }
}
