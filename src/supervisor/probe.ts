// One health check of one instance: HTTP, TCP, gRPC or a command.
import { request } from 'node:http'
import { connect } from 'node:net'
import { execa } from 'execa'
import type { ProbeResult, ServingStatus } from '../core/readiness.js'
import type { InstanceSpec, ProbeSpec } from '../core/spec.js'
import { checkHealth, watchHealth } from './grpc-health.js'

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
      return checkHealth(address, target.service, timeoutMs)
    default:
      return target satisfies never
  }
}

/** Listens to what an instance says of itself between the looks, until `givenUp`; of the four kinds gRPC can.
 *  told: called with each status, the present one first.  Resolves when it is over; never rejects. */
export async function watchOnce(
  { target }: ProbeSpec,
  spec: InstanceSpec,
  told: (status: ServingStatus) => void,
  givenUp: AbortSignal,
): Promise<'lost' | 'unsupported'> {
  if (target.kind !== 'grpc' || spec.address === null) return 'unsupported'
  return watchHealth(spec.address, target.service, told, givenUp)
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
