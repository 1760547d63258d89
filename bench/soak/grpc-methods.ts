// The gRPC service of the soak, for its server and its clients: raw bytes for messages, no .proto needed.
import type { ServiceDefinition } from '@grpc/grpc-js'

const raw = (value: Buffer): Buffer => value

/** prefix: where the proxy has the service; '/' for the service itself. */
export function grpcMethods(prefix: string) {
  const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
    path: `${prefix}soak.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  })
  return {
    unary: method('Unary', false, false),
    collect: method('Collect', true, false),
    expand: method('Expand', false, true),
    chat: method('Chat', true, true),
  } satisfies ServiceDefinition
}
