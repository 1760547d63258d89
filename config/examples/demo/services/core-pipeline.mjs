// core-pipeline: a gRPC service that analyses texts and keeps and finds them in the vector store.
import { once } from 'node:events'
import { credentials, makeClientConstructor, status } from '@grpc/grpc-js'
import { bidiStream, clientStream, grpcError, loadProto, serveGrpc, serverStream, unary } from './grpc-server.mjs'
import { log, options } from './service.mjs'
import { analyse, countTerms, embed, STAGES, topTerms } from './text-pipeline.mjs'

const MAX_TEXT_CHARS = 20_000
const MAX_INGEST_DOCUMENTS = 1_000
const STORE_TIMEOUT_MS = 5_000
const ANSWERS = 3

const { port, store: storeAddress } = options(['port', 'store'])
const StoreClient = makeClientConstructor(loadProto('framaist_milvus.proto')['framaist_milvus.v1.VectorStore'], 'VectorStore')
const store = new StoreClient(storeAddress, credentials.createInsecure())

await serveGrpc({
  proto: 'core_pipeline.proto',
  service: 'core_pipeline.v1.Pipeline',
  methods: { Analyse: unary(analyseOne), Ingest: clientStream(ingest), Trace: serverStream(trace), Ask: bidiStream(ask) },
  port,
})

function analyseOne(document) {
  const { tokens, vector } = analyse(checkedText(document))
  return { id: document.id, tokens: tokens.length, terms: topTerms(countTerms(tokens)), vector }
}

/** A document goes on to the store as soon as it is analysed; only the count of its terms is kept. */
async function ingest(documents) {
  const { insert, inserted } = openInsert()
  const seen = { documents: 0, tokens: 0, terms: new Map() }
  try {
    for await (const document of documents) {
      if (seen.documents === MAX_INGEST_DOCUMENTS)
        throw grpcError(status.RESOURCE_EXHAUSTED, `at most ${MAX_INGEST_DOCUMENTS} documents per call`)
      const { tokens, vector } = analyse(checkedText(document))
      seen.documents += 1
      seen.tokens += tokens.length
      countTerms(tokens, seen.terms)
      if (!insert.write({ id: document.id, values: vector })) await Promise.race([once(insert, 'drain'), inserted])
    }
    insert.end()
    await inserted
  } finally {
    insert.cancel()
  }
  log(`ingested ${seen.documents} documents, ${seen.tokens} tokens`)
  return { documents: seen.documents, tokens: seen.tokens, terms: topTerms(seen.terms) }
}

/** Each stage runs when the one before has been sent. */
async function* trace(document) {
  let value = checkedText(document)
  for (const [stage, run] of [...STAGES, ['embed', embed]]) {
    const startedNs = process.hrtime.bigint()
    value = run(value)
    const tookUs = Number((process.hrtime.bigint() - startedNs) / 1000n)
    yield { stage, tokens: stage !== 'embed' && Array.isArray(value) ? value.length : 0, sample: sample(value), took_us: tookUs }
  }
}

async function* ask(questions) {
  for await (const question of questions) {
    yield { question_id: question.id, matches: await nearest(analyse(checkedText(question)).vector) }
  }
}

function openInsert() {
  let insert
  const inserted = new Promise((resolve, reject) => {
    insert = store.Insert(deadline(), (error, summary) => (error ? reject(storeError(error)) : resolve(summary)))
  })
  inserted.catch(() => 'told to the caller where it is awaited; a call refused before that has its own error')
  return { insert, inserted }
}

function nearest(values) {
  return new Promise((resolve, reject) =>
    store.Search({ values, limit: ANSWERS }, deadline(), (error, result) => (error ? reject(storeError(error)) : resolve(result.hits))),
  )
}

function storeError(error) {
  return grpcError(error.code, `vector store ${storeAddress}: ${error.details}`)
}

function deadline() {
  return { deadline: Date.now() + STORE_TIMEOUT_MS }
}

function checkedText({ text }) {
  if (text === '') throw grpcError(status.INVALID_ARGUMENT, 'text is empty')
  if (text.length > MAX_TEXT_CHARS)
    throw grpcError(status.INVALID_ARGUMENT, `text has ${text.length} characters, at most ${MAX_TEXT_CHARS} are taken`)
  return text
}

/** The beginning of what a stage made, for people to read. */
function sample(value) {
  const shown =
    typeof value === 'string'
      ? value
      : value
          .slice(0, 8)
          .map(item => (typeof item === 'number' ? item.toFixed(2) : item))
          .join(' ')
  return shown.slice(0, 60)
}
