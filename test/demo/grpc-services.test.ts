// The two gRPC services of the demo, called directly: the four kinds of call, refusals, health, reflection, graceful stop.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { protoPath as healthProto } from 'grpc-health-check'
import { collect, type GrpcClient, grpcClient, type Message, type Service, sendAll, startService, unary } from './service-process.js'

const PIPELINE = 'core_pipeline.v1.Pipeline'
const STORE = 'framaist_milvus.v1.VectorStore'
const REFLECTION_PROTO = createRequire(import.meta.url).resolve('@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto')

let milvus: Service
let core: Service
let pipeline: GrpcClient
let store: GrpcClient

before(async () => {
  milvus = await startService('framaist-milvus.mjs', ['--port', '0'])
  core = await startService('core-pipeline.mjs', ['--port', '0', '--store', `127.0.0.1:${milvus.port}`])
  pipeline = grpcClient('core_pipeline.proto', PIPELINE, core.port)
  store = grpcClient('framaist_milvus.proto', STORE, milvus.port)
})

after(async () => {
  pipeline.close()
  store.close()
  await Promise.all([core.stop(), milvus.stop()])
})

test('Analyse counts stemmed terms without stop words and gives a vector of length 1', async () => {
  const analysis = await unary(pipeline, 'Analyse', { id: 'a', text: 'The GPU waits. The GPUs wait, and the model is waiting for a GPU.' })
  assert.deepEqual(
    analysis.terms.map(({ term, count }: { term: string; count: number }) => [term, count]),
    [
      ['gpu', 3],
      ['wait', 3],
      ['model', 1],
    ],
  )
  assert.equal(analysis.tokens, 7)
  assert.equal(analysis.vector.length, 64)
  assert.ok(Math.abs(Math.hypot(...analysis.vector) - 1) < 1e-6)
})

test('Trace streams one report per stage, in order', async () => {
  const reports = await collect(pipeline.Trace({ id: 't', text: 'Running RUNNERS run' }))
  assert.deepEqual(
    reports.map(({ stage, tokens }) => [stage, tokens]),
    [
      ['normalise', 0],
      ['tokenise', 3],
      ['filter', 3],
      ['stem', 3],
      ['embed', 0],
    ],
  )
  assert.equal(reports[3].sample, 'runn runner run')
})

test('what Ingest takes, Watch tells and Ask finds, each question answered before the next is sent', async () => {
  const watch = store.Watch({ id_prefix: 'ask-' })
  watch.on('error', () => 'the cancel below')
  await once(watch, 'metadata')
  const documents = [
    { id: 'ask-cats', text: 'cats sleep on warm keyboards' },
    { id: 'other', text: 'nobody asks for this one' },
    { id: 'ask-ports', text: 'port 6006 reaches the outside' },
  ]
  const summary = await sendAll(pipeline, 'Ingest', documents)
  assert.equal(summary.documents, 3)

  const seen = watch[Symbol.asyncIterator]()
  assert.equal((await seen.next()).value.id, 'ask-cats')
  assert.deepEqual((await seen.next()).value, { id: 'ask-ports', replaced: false, total: 3 })
  watch.cancel()

  const ask = pipeline.Ask()
  const answers = ask[Symbol.asyncIterator]()
  for (const [text, best] of [
    ['which port is outside?', 'ask-ports'],
    ['where do cats sleep?', 'ask-cats'],
  ]) {
    ask.write({ id: text, text })
    const { value } = await answers.next()
    assert.equal(value.question_id, text)
    assert.equal(value.matches[0].id, best)
  }
  ask.end()
  assert.equal((await answers.next()).done, true)
})

test('1,000 vectors go in while 1,000 searches are answered in order', async () => {
  const values = (seed: number) => Array.from({ length: 64 }, (_, at) => Math.sin(seed * 64 + at))
  const summary = await sendAll(
    store,
    'Insert',
    Array.from({ length: 1_000 }, (_, n) => ({ id: `v${n}`, values: values(n) })),
  )
  assert.equal(summary.inserted, 1_000)
  const search = store.SearchMany()
  for (let n = 0; n < 1_000; n += 1) search.write({ values: values(n), limit: 1 })
  search.end()
  const results = await collect(search)
  assert.deepEqual(
    results.map(({ hits }) => hits[0].id),
    Array.from({ length: 1_000 }, (_, n) => `v${n}`),
  )
})

const REFUSED: [string, () => Promise<unknown>, number, RegExp][] = [
  ['an empty text', () => unary(pipeline, 'Analyse', { id: 'e', text: '' }), status.INVALID_ARGUMENT, /text is empty/],
  [
    'a text of 20,001 characters',
    () => unary(pipeline, 'Analyse', { text: 'x'.repeat(20_001) }),
    status.INVALID_ARGUMENT,
    /20001 characters, at most 20000/,
  ],
  [
    'an empty text in a client stream',
    () => sendAll(pipeline, 'Ingest', [{ id: 'a', text: 'fine' }, { id: 'b' }]),
    status.INVALID_ARGUMENT,
    /text is empty/,
  ],
  ['an empty text in a bidi stream', () => collect(endedWith(pipeline.Ask(), { text: '' })), status.INVALID_ARGUMENT, /text is empty/],
  ['an empty text in a server stream', () => collect(pipeline.Trace({ text: '' })), status.INVALID_ARGUMENT, /text is empty/],
  ['a vector of another length', () => unary(store, 'Search', { values: [1, 2] }), status.INVALID_ARGUMENT, /have 64 values, this one 2/],
  ['a vector without id', () => sendAll(store, 'Insert', [{ id: '', values: [1] }]), status.INVALID_ARGUMENT, /id is empty/],
  [
    'a value that is no number',
    () => sendAll(store, 'Insert', [{ id: 'n', values: [Number.NaN] }]),
    status.INVALID_ARGUMENT,
    /64 values|finite/,
  ],
]
for (const [what, call, code, details] of REFUSED) {
  test(`${what} is refused with its reason`, async () => {
    await assert.rejects(call, (error: { code: number; details: string }) => error.code === code && details.test(error.details))
  })
}

function endedWith(call: Message, message: object): Message {
  call.write(message)
  call.end()
  return call
}

test('both services answer health checks and list themselves by reflection', async () => {
  for (const [service, name] of [
    [core, PIPELINE],
    [milvus, STORE],
  ] as const) {
    const health = grpcClient(healthProto, 'grpc.health.v1.Health', service.port)
    assert.equal((await unary(health, 'Check', { service: '' })).status, 'SERVING')
    assert.equal((await unary(health, 'Check', { service: name })).status, 'SERVING')
    await assert.rejects(unary(health, 'Check', { service: 'nobody' }), { code: status.NOT_FOUND })
    health.close()
    const reflection = grpcClient(REFLECTION_PROTO, 'grpc.reflection.v1.ServerReflection', service.port)
    const [reply] = await collect(endedWith(reflection.ServerReflectionInfo(), { list_services: '' }))
    const names = reply.list_services_response.service.map((each: { name: string }) => each.name)
    assert.ok(names.includes(name), `${name} is in ${names}`)
    reflection.close()
  }
})

test('without the store the pipeline says which address failed', async () => {
  const lonely = await startService('core-pipeline.mjs', ['--port', '0', '--store', '127.0.0.1:1'])
  const client = grpcClient('core_pipeline.proto', PIPELINE, lonely.port)
  await assert.rejects(sendAll(client, 'Ingest', [{ id: 'a', text: 'text' }]), {
    code: status.UNAVAILABLE,
    details: /vector store 127\.0\.0\.1:1: /,
  })
  client.close()
  assert.equal((await lonely.stop()).code, 0)
})

test('SIGTERM ends the watching calls, lets an open call finish, and exits 0', async () => {
  const service = await startService('framaist-milvus.mjs', ['--port', '0'])
  const client = grpcClient('framaist_milvus.proto', STORE, service.port)
  const watch = client.Watch({})
  await once(watch, 'metadata')
  const search = client.SearchMany()
  search.write({ values: [1], limit: 1 })
  const results = search[Symbol.asyncIterator]()
  await results.next()

  const stopped = service.stop()
  assert.deepEqual(await collect(watch), [], 'the watch ends without an error')
  search.write({ values: [2], limit: 1 })
  assert.deepEqual((await results.next()).value, { hits: [] }, 'the open call goes on')
  search.end()
  const { code, tookMs } = await stopped
  assert.equal(code, 0)
  assert.ok(tookMs < 4_000, `stopped after ${tookMs} ms, before calls are cut off`)
  assert.match(service.lines.at(-1) ?? '', /stopped$/)
  client.close()
})

test('a missing option is named, exit code 2', async () => {
  const { execa } = await import('execa')
  const script = new URL('../../../config/examples/demo/services/core-pipeline.mjs', import.meta.url)
  const { exitCode, stderr } = await execa(process.execPath, [script.pathname, '--port', '0'], { reject: false })
  assert.equal(exitCode, 2)
  assert.match(stderr, /core-pipeline\.mjs: --store is missing/)
})
