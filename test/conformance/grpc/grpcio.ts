// Python's grpcio as one more client of the suite: a single process that makes calls as it is told.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { missing } from '../external.js'
import { endLater } from '../start-proxy.js'

// Debian's python3-grpcio belongs to Debian's python3, wherever another one stands first in the path.
export const PYTHON = '/usr/bin/python3'
const SCRIPT = fileURLToPath(new URL('../../../../test/conformance/grpc/grpcio_driver.py', import.meta.url))

/** For `it(..., { skip })`. */
export const noGrpcio = missing([PYTHON, '-c', 'import grpc'], 'python3-grpcio')

export interface GrpcioAsk {
  op: 'unary' | 'stream' | 'early' | 'cancel' | 'cancels'
  port: number
  path: string
  message?: Buffer
  timeoutMs?: number
  metadata?: [string, string][]
  /** cancels: how many. */
  count?: number
  /** cancel: how long after its start. */
  afterMs?: number
}

export interface GrpcioAnswer {
  code: number
  details: string
  replies: Buffer[]
  initial: [string, string][]
  trailing: [string, string][]
  ms: number
}

export class Grpcio {
  private readonly child: ChildProcess
  private readonly waiting: { resolve(line: string): void; reject(error: Error): void }[] = []
  private last: Promise<unknown> = Promise.resolve()
  readonly close: () => Promise<void>

  constructor() {
    this.child = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
    const exited = once(this.child, 'exit')
    createInterface({ input: this.child.stdout! }).on('line', line => this.waiting.shift()?.resolve(line))
    this.child.on('exit', code => {
      for (const { reject } of this.waiting) reject(new Error(`grpcio_driver.py exited with ${code}`))
    })
    this.close = endLater(async () => {
      this.child.stdin!.end()
      const timer = setTimeout(() => this.child.kill('SIGKILL'), 3000)
      await exited
      clearTimeout(timer)
    })
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  /** Makes a call when those before it are over. */
  call(ask: GrpcioAsk): Promise<GrpcioAnswer> {
    const next = this.last.then(() => this.send(ask))
    this.last = next.catch(() => {
      // The caller hears of it; the next call is its own.
    })
    return next
  }

  private async send(ask: GrpcioAsk): Promise<GrpcioAnswer> {
    const line = await new Promise<string>((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      const { op, path, metadata, count } = ask
      const timeout = ask.timeoutMs === undefined ? null : ask.timeoutMs / 1000
      const message = (ask.message ?? Buffer.from('x')).toString('base64')
      const after = (ask.afterMs ?? 0) / 1000
      const target = `127.0.0.1:${ask.port}`
      this.child.stdin!.write(`${JSON.stringify({ op, target, path, metadata, count, timeout, message, after })}\n`)
    })
    const answer = JSON.parse(line)
    return { ...answer, replies: answer.replies.map((reply: string) => Buffer.from(reply, 'base64')) }
  }
}
