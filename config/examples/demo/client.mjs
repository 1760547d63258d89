// A gRPC client in Node: all four kinds of call through the proxy, under the prefix.  `node client.mjs [HOST:PORT]`; exit code 0 = every answer was right.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { credentials, makeClientConstructor, status } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const TIMEOUT_MS = 20_000
const DOCUMENTS = [
  { id: 'restart', text: 'A supervisor restarts a crashed program after a short delay.' },
  { id: 'route', text: 'The proxy routes every request by the prefix of its path.' },
  { id: 'memory', text: 'A model that is idle gives its GPU memory back.' },
]

const target = process.argv[2] ?? '127.0.0.1:6006'
const pipeline = client('core_pipeline.proto', 'core_pipeline.v1.Pipeline', '/core-pipeline')
const store = client('framaist_milvus.proto', 'framaist_milvus.v1.VectorStore', '/framaist-milvus')
try {
  await run()
} catch (error) {
  console.error(`failed: ${error.message}`)
  process.exitCode = 1
} finally {
  pipeline.close()
  store.close()
}

async function run() {
  const analysis = await unary(pipeline, 'Analyse', DOCUMENTS[0])
  show('unary            Analyse', { tokens: analysis.tokens, terms: analysis.terms.map(({ term }) => term) })
  assert.equal(analysis.vector.length, 64)

  const watch = store.Watch({ id_prefix: '' }, deadline())
  watch.on('error', () => 'cancelled below; an error before that shows in the stream itself')
  await once(watch, 'metadata')

  const summary = await ingest(DOCUMENTS)
  show('client streaming Ingest', { documents: summary.documents, tokens: summary.tokens })
  assert.equal(summary.documents, DOCUMENTS.length)

  const changes = await first(watch, DOCUMENTS.length)
  watch.cancel()
  show('server streaming Watch', changes)
  assert.deepEqual(
    changes.map(({ id }) => id),
    DOCUMENTS.map(({ id }) => id),
  )

  const stages = await all(pipeline.Trace(DOCUMENTS[1], deadline()))
  show('server streaming Trace', stages)
  assert.deepEqual(
    stages.map(({ stage }) => stage),
    ['normalise', 'tokenise', 'filter', 'stem', 'embed'],
  )

  await converse()

  const { hits } = await unary(store, 'Search', { values: analysis.vector, limit: 1 })
  show('unary            Search', hits)
  assert.equal(hits[0].id, 'restart')

  const refused = await unary(client('core_pipeline.proto', 'core_pipeline.v1.Pipeline', '/no-such-prefix'), 'Analyse', DOCUMENTS[0]).catch(
    error => error,
  )
  show('unknown prefix', { code: refused.code, details: refused.details })
  assert.equal(refused.code, status.UNIMPLEMENTED)
}

/** One question, its answer, then the next: both directions are open at the same time. */
async function converse() {
  const ask = pipeline.Ask(deadline())
  const answers = ask[Symbol.asyncIterator]()
  for (const [text, expected] of [
    ['which memory does an idle model give back?', 'memory'],
    ['what does the proxy do by prefix?', 'route'],
  ]) {
    ask.write({ id: text, text })
    const { value } = await answers.next()
    show('bidi streaming   Ask', { question: value.question_id, best: value.matches[0] })
    assert.equal(value.matches[0].id, expected)
  }
  ask.end()
  assert.equal((await answers.next()).done, true)
}

/** A client whose calls go to `/prefix/package.Service/Method`: grpc-js takes the path from the service definition. */
function client(proto, service, prefix) {
  const file = fileURLToPath(new URL(`services/${proto}`, import.meta.url))
  const definition = loadSync(file, { defaults: true, keepCase: true, longs: Number })[service]
  const prefixed = Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, { ...method, path: prefix + method.path }]))
  const Client = makeClientConstructor(prefixed, service)
  return new Client(target, credentials.createInsecure())
}

function unary(service, method, request) {
  return new Promise((resolve, reject) =>
    service[method](request, deadline(), (error, response) => (error ? reject(error) : resolve(response))),
  )
}

function ingest(documents) {
  return new Promise((resolve, reject) => {
    const call = pipeline.Ingest(deadline(), (error, summary) => (error ? reject(error) : resolve(summary)))
    for (const document of documents) call.write(document)
    call.end()
  })
}

async function all(stream) {
  const messages = []
  for await (const message of stream) messages.push(message)
  return messages
}

async function first(stream, count) {
  const messages = []
  const messagesIn = stream[Symbol.asyncIterator]()
  while (messages.length < count) {
    const { value, done } = await messagesIn.next()
    if (done) break
    messages.push(value)
  }
  return messages
}

function deadline() {
  return { deadline: Date.now() + TIMEOUT_MS }
}

function show(what, value) {
  console.log(`${what.padEnd(24)} ${JSON.stringify(value)}`)
}
