// A real gRPC service for the bench: grpc-js, one unary method that answers 10 bytes; run as a process, prints "ready".
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js'

const raw = (value: Buffer): Buffer => value
const REPLY = Buffer.from('ten bytes!')

const server = new Server()
server.addService(
  {
    unary: {
      path: '/test.Echo/Unary',
      requestStream: false,
      responseStream: false,
      requestSerialize: raw,
      requestDeserialize: raw,
      responseSerialize: raw,
      responseDeserialize: raw,
    },
  },
  { unary: (_call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => reply(null, REPLY) },
)
server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), error => {
  if (error !== null) throw error
  process.stdout.write('ready\n')
})
