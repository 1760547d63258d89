// grpc.health.v1 of one instance: Check asks once, Watch is told of each change.
import type { Client, connectivityState as State } from '@grpc/grpc-js'
import { type ProbeResult, type ServingStatus, servingStatus } from '../core/readiness.js'

type Address = { host: string; port: number }

/** A status takes two bytes; a service that sends more than this speaks of something else. */
const MAX_MESSAGE_BYTES = 1024

/** grpc.health.v1.Health/Check.  A server that does not implement it is up: its port speaks gRPC (rule 28 of the data plane).  Never rejects. */
export async function checkHealth(address: Address, service: string, timeoutMs: number): Promise<ProbeResult> {
  const { client, status } = await connectTo(address)
  return new Promise<ProbeResult>(resolve => {
    const deadline = Date.now() + timeoutMs
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', encodeRequest, servingStatus, service, { deadline }, (error, found) => {
      if (error === null) resolve(found ?? 'UNKNOWN')
      else if (error.code === status.UNIMPLEMENTED) resolve('pass')
      // What Watch calls SERVICE_UNKNOWN (health.proto).
      else if (error.code === status.NOT_FOUND) resolve('SERVICE_UNKNOWN')
      else resolve({ fail: `grpc health: ${error.details}` })
    })
  }).finally(() => client.close())
}

/** grpc.health.v1.Health/Watch, until it is lost or `givenUp`.  told: called with each status, the present one first.
 *  Resolves with 'unsupported' where the service has no Watch; never rejects. */
export async function watchHealth(
  address: Address,
  service: string,
  told: (status: ServingStatus) => void,
  givenUp: AbortSignal,
): Promise<'lost' | 'unsupported'> {
  const { client, status, connectivityState } = await connectTo(address)
  const call = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', encodeRequest, servingStatus, service)
  const cancel = (): void => call.cancel()
  const ended = new Promise<number>(resolve => call.once('status', ({ code }) => resolve(code)))
  // An error is told as a status too.
  call.on('error', () => {})
  call.on('data', (found: ServingStatus) => {
    if (!givenUp.aborted) told(found)
  })
  givenUp.addEventListener('abort', cancel)
  if (givenUp.aborted) cancel()
  onceDisconnecting(client, connectivityState, cancel)
  const code = await ended
  givenUp.removeEventListener('abort', cancel)
  client.close()
  return code === status.UNIMPLEMENTED ? 'unsupported' : 'lost'
}

/** A server that says GOAWAY waits for its open calls, and a Watch never ends: held open, it would hold up the service's own graceful stop.
 *  grpc-js tells of it by the channel's state, which leaves READY then. */
function onceDisconnecting(client: Client, states: typeof State, then: () => void): void {
  const channel = client.getChannel()
  const before = channel.getConnectivityState(false)
  if (before === states.SHUTDOWN) return
  channel.watchConnectivityState(before, Number.POSITIVE_INFINITY, () => {
    if (before === states.READY) then()
    else onceDisconnecting(client, states, then)
  })
}

/** A channel of its own for each call: a shared one would sit in its reconnect backoff while the service is long back.
 *  grpc-js is loaded by the first gRPC probe only: it costs memory that other daemons keep. */
async function connectTo({ host, port }: Address) {
  const { Client, credentials, status, connectivityState } = await import('@grpc/grpc-js')
  const client = new Client(`${host.includes(':') ? `[${host}]` : host}:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    // The instance is asked, not what http_proxy of the daemon's environment makes of it.
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  })
  return { client, status, connectivityState }
}

/** HealthCheckRequest { string service = 1; } in protobuf bytes. */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service)
  if (name.length === 0) return name
  const head = [0x0a]
  let length = name.length
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...head, length]), name])
}
