// framaist-milvus: a gRPC vector store in memory, with search and a live stream of changes.
import { status } from '@grpc/grpc-js'
import { bidiStream, clientStream, grpcError, serveGrpc, serverStream, unary } from './grpc-server.mjs'
import { log, options } from './service.mjs'
import { MAX_VECTORS, vectors } from './vectors.mjs'

const DEFAULT_LIMIT = 3
const MAX_LIMIT = 100
const MAX_WATCHERS = 100
const MAX_UNREAD_CHANGES = 1_000

const { port } = options(['port'])
const stored = vectors()
const watchers = new Set()

await serveGrpc({
  proto: 'framaist_milvus.proto',
  service: 'framaist_milvus.v1.VectorStore',
  methods: { Search: unary(search), Insert: clientStream(insert), Watch: serverStream(watch), SearchMany: bidiStream(searchMany) },
  port,
  onStop: () => watchers.forEach(end),
})

function search({ values, limit }) {
  refuse(stored.problem(values))
  return { hits: stored.nearest(values, Math.min(limit || DEFAULT_LIMIT, MAX_LIMIT)) }
}

async function insert(vectorsIn) {
  const summary = { inserted: 0, replaced: 0 }
  for await (const { id, values } of vectorsIn) {
    refuse(id === '' ? 'id is empty' : stored.problem(values))
    if (stored.size() === MAX_VECTORS && !stored.has(id))
      throw grpcError(status.RESOURCE_EXHAUSTED, `${MAX_VECTORS} vectors are stored already`)
    const replaced = stored.put(id, values)
    summary[replaced ? 'replaced' : 'inserted'] += 1
    tellWatchers({ id, replaced, total: stored.size() })
  }
  log(`insert: ${summary.inserted} new, ${summary.replaced} replaced, ${stored.size()} in all`)
  return { ...summary, total: stored.size() }
}

/** Changes from now on; those the client has not read yet wait in `unread`. */
async function* watch({ id_prefix: idPrefix }, cancelled) {
  if (watchers.size === MAX_WATCHERS) throw grpcError(status.RESOURCE_EXHAUSTED, `${MAX_WATCHERS} calls are watching already`)
  const watcher = { idPrefix, unread: [], overflowed: false, ended: false, wake: () => {} }
  watchers.add(watcher)
  cancelled.addEventListener('abort', () => end(watcher))
  try {
    while (true) {
      while (watcher.unread.length > 0) yield watcher.unread.shift()
      if (watcher.overflowed) throw grpcError(status.RESOURCE_EXHAUSTED, `${MAX_UNREAD_CHANGES} changes were not read in time`)
      if (watcher.ended) return
      await new Promise(resolve => {
        watcher.wake = resolve
      })
    }
  } finally {
    watchers.delete(watcher)
  }
}

function tellWatchers(change) {
  for (const watcher of watchers) {
    if (!change.id.startsWith(watcher.idPrefix)) continue
    if (watcher.unread.length === MAX_UNREAD_CHANGES) watcher.overflowed = true
    else watcher.unread.push(change)
    watcher.wake()
  }
}

function end(watcher) {
  watcher.ended = true
  watcher.wake()
}

async function* searchMany(requests) {
  for await (const request of requests) yield search(request)
}

function refuse(problem) {
  if (problem) throw grpcError(status.INVALID_ARGUMENT, problem)
}
