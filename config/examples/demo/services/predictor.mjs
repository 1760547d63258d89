// predictor: an HTTP service that says whether an inference job fits into a GPU's memory, queues tasks for workers, and echoes on a WebSocket.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import { FEATURES, MODEL, probability, problem } from './memory-model.mjs'
import { HOST, log, options, stopWith } from './service.mjs'
import { taskQueue } from './task-queue.mjs'

const MAX_BODY_BYTES = 100_000
const MAX_WAIT_MS = 20_000
/** A worker that died holding a task is noticed at this pace. */
const OVERDUE_EVERY_MS = 1_000

const { port } = options(['port'])
const startedAtMs = Date.now()
const queue = taskQueue()
let predictions = 0

/** Method and path, `:id` for a number → handler. */
const ROUTES = {
  'GET /health': () => [200, { status: 'ok' }],
  'GET /info': info,
  'POST /predict': async request => predict(await readJson(request)),
  'POST /tasks': async request => addTask(await readJson(request)),
  'GET /tasks/next': takeTask,
  'GET /tasks/:id': (_request, { id }) => found(queue.look(id)),
  'POST /tasks/:id': async (request, { id }) => finishTask(id, await readJson(request)),
}

const server = createServer(serve)
const sockets = new WebSocketServer({ server, path: '/ws', maxPayload: MAX_BODY_BYTES })
sockets.on('connection', socket => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  socket.on('error', error => log(`ws: ${error.message}`))
})
const overdue = setInterval(queue.takeBackOverdue, OVERDUE_EVERY_MS)
server.listen(Number(port), HOST, () => log(`predictor listening on ${HOST}:${server.address().port}`))
server.on('error', error => {
  log(`cannot listen: ${error.message}`)
  process.exit(1)
})
stopWith(stop)

/** 1001 tells a WebSocket client that the service goes away; waiting workers get their empty answer. */
async function stop() {
  const closed = new Promise(resolve => server.close(resolve))
  clearInterval(overdue)
  queue.close()
  for (const socket of sockets.clients) socket.close(1001, 'the service stops')
  await closed
}

async function serve(request, response) {
  try {
    const { pathname, searchParams } = new URL(`http://predictor${request.url}`)
    const id = /\/(\d{1,9})$/.exec(pathname)?.[1]
    const route = ROUTES[`${request.method} ${id ? pathname.replace(/\d+$/, ':id') : pathname}`]
    const [status, body] = route ? await route(request, { id: Number(id), searchParams, response }) : [404, { error: 'not found' }]
    answer(response, status, body)
  } catch (error) {
    if (!error.status) log(`internal error: ${error.stack}`)
    answer(response, error.status ?? 500, { error: error.message })
  }
}

/** A connection that is still open during the stop closes with this answer. */
function answer(response, status, body) {
  const text = body === null ? '' : `${JSON.stringify(body)}\n`
  if (!server.listening) response.setHeader('connection', 'close')
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text)
}

function info() {
  const model = { kind: 'logistic regression', features: FEATURES.map(([name]) => name), accuracy: MODEL.accuracy }
  return [200, { pid: process.pid, uptime_s: Math.round((Date.now() - startedAtMs) / 1000), predictions, model, tasks: queue.counts() }]
}

function predict(job) {
  const bad = problem(job)
  if (bad) return [422, { error: bad }]
  predictions += 1
  const fits = probability(job)
  return [200, { fits: fits >= 0.5, probability: Number(fits.toFixed(4)) }]
}

function addTask(job) {
  const bad = problem({ ...job, batch: 1 })
  if (bad) return [422, { error: bad }]
  const id = queue.add(job)
  return id === null ? [503, { error: 'the queue is full' }] : [202, { id }]
}

/** Long poll: 204 when nothing came in time. */
async function takeTask(_request, { searchParams, response }) {
  const worker = searchParams.get('worker')
  if (!worker) return [422, { error: 'worker is missing' }]
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const task = await queue.take(worker, MAX_WAIT_MS, gone.signal)
  return task ? [200, task] : [204, null]
}

function finishTask(id, body) {
  const taken = queue.finish(id, body?.worker, body?.result)
  return taken ? [200, queue.look(id)] : [409, { error: `task ${id} is not held by ${body?.worker}` }]
}

function found(task) {
  return task ? [200, task] : [404, { error: 'no such task' }]
}

/** A body past the limit is read to its end, but not kept: a request destroyed half way would take the answer with it. */
async function readJson(request) {
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  if (bytes > MAX_BODY_BYTES)
    throw Object.assign(new Error(`the body has ${bytes} bytes, at most ${MAX_BODY_BYTES} are taken`), { status: 413 })
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    throw Object.assign(new Error('the body is not JSON'), { status: 400 })
  }
}
