// A real gRPC client for the bench: grpc-js, unary calls in a closed loop over several channels; run as a process, prints one JSON line.
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { quantile } from '../supervise/numbers.js'

const CHANNELS = 8
const UNDER_WAY = 64
const REQUEST = Buffer.from('fifteen letters')

interface Told {
  port: number
  prefix: string
  seconds: number
  authorization: string
}

const { port, prefix, seconds, authorization } = JSON.parse(process.argv[2] ?? '') as Told
const metadata = new Metadata()
metadata.set('authorization', authorization)
const clients = Array.from(
  { length: CHANNELS },
  () => new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
)
const timesMs: number[] = []
let errors = 0

const raw = (value: Buffer): Buffer => value
const startedMs = performance.now()

function call(client: Client, done: () => void): void {
  const beforeMs = performance.now()
  client.makeUnaryRequest(`${prefix}test.Echo/Unary`, raw, raw, REQUEST, metadata, (error: ServiceError | null, reply?: Buffer) => {
    timesMs.push(performance.now() - beforeMs)
    if (error !== null || reply?.toString() !== 'ten bytes!') errors += 1
    if (performance.now() - startedMs < seconds * 1000) call(client, done)
    else done()
  })
}

await Promise.all(Array.from({ length: UNDER_WAY }, (_, at) => new Promise<void>(done => call(clients[at % CHANNELS] as Client, done))))
const took = (performance.now() - startedMs) / 1000
process.stdout.write(
  `${JSON.stringify({ requests: timesMs.length, errors, seconds: took, p50Ms: quantile(timesMs, 0.5), p99Ms: quantile(timesMs, 0.99) })}\n`,
)
for (const client of clients) client.close()
