// One health check of one instance: HTTP, TCP, gRPC or a command.
import { request } from 'node:http'
import { connect } from 'node:net'
import { execa } from 'execa'
import type { InstanceSpec, ProbeSpec } from '../core/spec.js'

export type ProbeResult = 'pass' | { fail: string }
type Address = { host: string; port: number }

/** Resolves within probe.timeoutMs; never rejects.  givenUp: the result is of no use any more, and a command is ended. */
export function probeOnce(probe: ProbeSpec, spec: InstanceSpec, givenUp: AbortSignal): Promise<ProbeResult> {
  const { target, timeoutMs } = probe
  if (target.kind === 'exec') return probeExec(target, spec, { timeoutMs, givenUp })
  // The configuration refuses a network probe on a program without a port.
  const address = spec.address as Address
  switch (target.kind) {
    case 'tcp':
      return probeTcp(address, timeoutMs)
    case 'http':
      return probeHttp(address, target.path, timeoutMs)
    case 'grpc':
      return probeGrpc(address, target.service, timeoutMs)
    default:
      return target satisfies never
  }
}

function probeTcp({ host, port }: Address, timeoutMs: number): Promise<ProbeResult> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: timeoutMs })
    const end = (result: ProbeResult): void => {
      socket.destroy()
      resolve(result)
    }
    socket.once('connect', () => end('pass'))
    socket.once('timeout', () => end({ fail: `no answer on port ${port} within ${timeoutMs} ms` }))
    socket.once('error', error => end({ fail: error.message }))
  })
}

/** Any 2xx or 3xx passes. */
function probeHttp({ host, port }: Address, path: string, timeoutMs: number): Promise<ProbeResult> {
  return new Promise(resolve => {
    const asked = request({ host, port, path, agent: false, signal: AbortSignal.timeout(timeoutMs) }, response => {
      const status = response.statusCode ?? 0
      response.destroy()
      resolve(status >= 200 && status < 400 ? 'pass' : { fail: `GET ${path} answered ${status}` })
    })
    asked.on('error', error => {
      resolve({
        fail:
          error.name === 'AbortError' || error.name === 'TimeoutError' ? `GET ${path}: no answer within ${timeoutMs} ms` : error.message,
      })
    })
    // An answer that is none (101 to a plain GET) ends in neither a response nor an error.
    asked.once('close', () => resolve({ fail: `GET ${path}: closed without an answer` }))
    asked.end()
  })
}

/** grpc.health.v1.Health/Check.  A server that does not implement it is up: its port speaks gRPC (rule 28 of the data plane).
 *  grpc-js is loaded by the first gRPC probe only: it costs memory that other daemons keep. */
async function probeGrpc({ host, port }: Address, service: string, timeoutMs: number): Promise<ProbeResult> {
  const { Client, credentials, status } = await import('@grpc/grpc-js')
  // A channel of its own each time: a shared one would sit in its reconnect backoff while the service is long back.
  const client = new Client(`${host.includes(':') ? `[${host}]` : host}:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  })
  return new Promise<ProbeResult>(resolve => {
    const deadline = Date.now() + timeoutMs
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      encodeCheck,
      bytes => bytes,
      service,
      { deadline },
      (error, reply) => {
        if (error?.code === status.UNIMPLEMENTED) resolve('pass')
        else if (error !== null) resolve({ fail: `grpc health: ${error.details}` })
        else resolve(isServing(reply) ? 'pass' : { fail: 'grpc health: NOT_SERVING' })
      },
    )
  }).finally(() => client.close())
}

/** HealthCheckRequest { string service = 1; } in protobuf bytes. */
function encodeCheck(service: string): Buffer {
  const name = Buffer.from(service)
  if (name.length === 0) return name
  const head = [0x0a]
  let length = name.length
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...head, length]), name])
}

/** HealthCheckResponse { ServingStatus status = 1; } with SERVING = 1. */
function isServing(reply: Buffer | undefined): boolean {
  return reply !== undefined && reply.length >= 2 && reply[0] === 0x08 && reply[1] === 0x01
}

/** The command runs as the program's account, in a group of its own, of which nothing is left afterwards. */
async function probeExec(
  { argv: [file, ...args], account }: Extract<ProbeSpec['target'], { kind: 'exec' }>,
  { run: { environment, directory } }: InstanceSpec,
  { timeoutMs, givenUp }: { timeoutMs: number; givenUp: AbortSignal },
): Promise<ProbeResult> {
  const command = execa(file as string, args, {
    cwd: directory,
    env: environment,
    extendEnv: false,
    stdio: 'ignore',
    detached: true,
    reject: false,
    ...(account === null || account.uid === process.geteuid?.() ? {} : account),
  })
  const end = (): void => endGroup(command.pid)
  const late = AbortSignal.timeout(timeoutMs)
  for (const signal of [late, givenUp]) signal.addEventListener('abort', end)
  const result = await command
  for (const signal of [late, givenUp]) signal.removeEventListener('abort', end)
  end()
  if (result.exitCode === 0) return 'pass'
  if (late.aborted) return { fail: `${file} did not end within ${timeoutMs} ms` }
  return { fail: `${file}: ${result.exitCode === undefined ? (result.signal ?? result.code) : `exit status ${result.exitCode}`}` }
}

function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch {
    // All of it has ended by itself.
  }
}
