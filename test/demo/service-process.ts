// Starts one service of the demo as a process on a free port and stops it again; a gRPC client for it.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Client, credentials, makeClientConstructor, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const SERVICES = fileURLToPath(new URL('../../../config/examples/demo/services/', import.meta.url))
const START_MS = 30_000

/** Those that a test has not stopped, because it failed, end with the file. */
const started = new Set<ChildProcess>()
after(() => {
  for (const child of started) child.kill('SIGKILL')
})

// biome-ignore lint/suspicious/noExplicitAny: messages of a .proto file read at run time have no static type
export type Message = any

export type GrpcClient = Client & Record<string, Message>

export interface Service {
  process: ChildProcess
  /** Where it listens; 0 for one that does not. */
  port: number
  /** Everything it has printed so far. */
  lines: string[]
  /** Resolves with the first line, printed already or to come, that matches. */
  line(pattern: RegExp): Promise<string>
  /** SIGTERM; resolves with the exit code and the time it took. */
  stop(): Promise<{ code: number | null; tookMs: number }>
}

/** Resolves when the service has printed `ready` (with a port as its first group, where it listens). */
export async function startService(file: string, args: string[], ready = /listening on 127\.0\.0\.1:(\d+)/): Promise<Service> {
  const child = spawn(process.execPath, [SERVICES + file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.add(child)
  child.once('exit', () => started.delete(child))
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', text => lines.push(text))
  const line = async (pattern: RegExp): Promise<string> => {
    const deadline = AbortSignal.timeout(START_MS)
    while (true) {
      const found = lines.find(text => pattern.test(text))
      if (found !== undefined) return found
      await once(reader, 'line', { signal: deadline })
    }
  }
  const port = Number(ready.exec(await line(ready))?.[1] ?? 0)
  return { process: child, port, lines, line, stop: () => stopProcess(child) }
}

async function stopProcess(child: ChildProcess): Promise<{ code: number | null; tookMs: number }> {
  if (child.exitCode !== null || child.signalCode !== null) return { code: child.exitCode, tookMs: 0 }
  const startedMs = performance.now()
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const [code] = await exited
  return { code, tookMs: performance.now() - startedMs }
}

/** A client of one service of a .proto file; its methods are those of the file. */
export function grpcClient(proto: string, service: string, port: number): GrpcClient {
  const file = proto.startsWith('/') ? proto : SERVICES + proto
  const definition = loadSync(file, { defaults: true, keepCase: true, longs: Number, enums: String })[service]
  assert.ok(definition, `${service} is in ${file}`)
  const ClientOf = makeClientConstructor(definition as unknown as ServiceDefinition, service)
  return new ClientOf(`127.0.0.1:${port}`, credentials.createInsecure()) as GrpcClient
}

/** One unary call; rejects with the gRPC error. */
export function unary(client: GrpcClient, method: string, request: object): Promise<Message> {
  return new Promise((resolve, reject) =>
    client[method](request, { deadline: Date.now() + START_MS }, (error: Error | null, response: unknown) =>
      error ? reject(error) : resolve(response),
    ),
  )
}

/** One client-streaming call with these messages. */
export function sendAll(client: GrpcClient, method: string, messages: object[]): Promise<Message> {
  return new Promise((resolve, reject) => {
    const call = client[method]({ deadline: Date.now() + START_MS }, (error: Error | null, response: unknown) =>
      error ? reject(error) : resolve(response),
    )
    for (const message of messages) call.write(message)
    call.end()
  })
}

/** Everything a stream brings until its end. */
export async function collect(stream: AsyncIterable<Message>): Promise<Message[]> {
  const messages: Message[] = []
  for await (const message of stream) messages.push(message)
  return messages
}
