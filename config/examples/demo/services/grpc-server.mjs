// A gRPC server with health and reflection, and plain async functions as its methods: one shape for each of the four kinds of call.
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation } from 'grpc-health-check'
import { HOST, log, stopWith } from './service.mjs'

/** The definitions of a .proto file beside this one, in the form grpc-js and the reflection service take. */
export function loadProto(file) {
  return loadSync(fileURLToPath(new URL(file, import.meta.url)), { defaults: true, keepCase: true, longs: Number })
}

/** Serves one gRPC service until SIGTERM, together with grpc.health.v1 and server reflection.
 *  service: its full name in the proto file.  methods: made by unary() and the like.  port: 0 takes a free one.  onStop: called as the stop begins. */
export async function serveGrpc({ proto, service, methods, port, onStop = () => {} }) {
  const server = new Server()
  const definitions = loadProto(proto)
  const health = new HealthImplementation({ '': 'SERVING', [service]: 'SERVING' })
  server.addService(definitions[service], methods)
  health.addToServer(server)
  new ReflectionService(definitions).addToServer(server)
  const bound = await new Promise((resolve, reject) =>
    server.bindAsync(`${HOST}:${port}`, ServerCredentials.createInsecure(), (error, taken) => (error ? reject(error) : resolve(taken))),
  )
  stopWith(async () => {
    health.setStatus('', 'NOT_SERVING')
    health.setStatus(service, 'NOT_SERVING')
    onStop()
    await new Promise(resolve => server.tryShutdown(resolve))
  })
  log(`${service} listening on ${HOST}:${bound}`)
}

/** request → response */
export function unary(answer) {
  return async (call, reply) => {
    try {
      reply(null, await answer(call.request))
    } catch (error) {
      reply(toStatus(error))
    }
  }
}

/** requests (async iterable) → response */
export function clientStream(answer) {
  return (call, reply) => unary(() => answer(messages(call)))(call, reply)
}

/** request, AbortSignal of the call → responses (async iterable) */
export function serverStream(answers) {
  return call => send(call, signal => answers(call.request, signal))
}

/** requests (async iterable), AbortSignal of the call → responses (async iterable) */
export function bidiStream(answers) {
  return call => send(call, signal => answers(messages(call), signal))
}

/** A gRPC error: thrown by a method, it becomes the status of the call. */
export function grpcError(code, details) {
  return Object.assign(new Error(details), { code, details })
}

/** What the client sends.  A plain `for await` over the call would destroy it at its end, and the answers with it. */
function messages(call) {
  return call.iterator({ destroyOnReturn: false })
}

/** Writes what the method yields, no faster than the client reads; a cancelled call ends the method.
 *  The headers go first: a client that has them knows that the method runs. */
async function send(call, answers) {
  const gone = new AbortController()
  call.once('cancelled', () => gone.abort())
  call.sendMetadata(new Metadata())
  try {
    for await (const answer of answers(gone.signal)) {
      if (gone.signal.aborted) return
      if (!call.write(answer)) await once(call, 'drain', { signal: gone.signal })
    }
    call.end()
  } catch (error) {
    if (!gone.signal.aborted) call.emit('error', toStatus(error))
  }
}

function toStatus(error) {
  if (typeof error.code === 'number') return error
  log(`internal error: ${error.stack}`)
  return grpcError(status.INTERNAL, error.message)
}
