// The HTTP service of the demo and its workers, called directly: predictions, tasks, WebSocket, graceful stop.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { WebSocket } from 'ws'
import { type Message, type Service, startService } from './service-process.js'

const SERVICES = new URL('../../../config/examples/demo/services/', import.meta.url)
const JOB = { parameters_b: 7, batch: 1, context_k: 4, gpu_gb: 24 }

let predictor: Service
let url: string

before(async () => {
  predictor = await startService('predictor.mjs', ['--port', '0'])
  url = `http://127.0.0.1:${predictor.port}`
})

after(() => predictor.stop())

async function post(path: string, body: unknown): Promise<[number, Message]> {
  const response = await fetch(url + path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) })
  return [response.status, await response.json()]
}

async function get(path: string): Promise<[number, Message]> {
  const response = await fetch(url + path)
  return [response.status, await response.json()]
}

test('the stored weights are what the training finds', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [new URL('memory-model-train.mjs', SERVICES).pathname])
  const stored = JSON.parse(await readFile(new URL('memory-model.json', SERVICES), 'utf8'))
  assert.deepEqual(JSON.parse(stdout), stored)
  assert.ok(stored.accuracy > 0.9)
})

test('/predict answers by the model: more memory helps, more parameters, batch and context do not', async () => {
  const [status, base] = await post('/predict', JOB)
  assert.equal(status, 200)
  assert.equal(base.fits, true)
  for (const [change, more] of [
    [{ gpu_gb: 80 }, true],
    [{ parameters_b: 70 }, false],
    [{ batch: 64 }, false],
    [{ context_k: 64 }, false],
  ] as const) {
    const [, changed] = await post('/predict', { ...JOB, ...change })
    assert.equal(changed.probability > base.probability, more, JSON.stringify(change))
  }
})

const REFUSED: [string, string, unknown, number, RegExp][] = [
  ['a missing number', '/predict', { ...JOB, batch: undefined }, 422, /batch must be a number from 1 to 1024/],
  ['a number out of range', '/predict', { ...JOB, gpu_gb: 0 }, 422, /gpu_gb must be a number from 1/],
  ['null', '/predict', 'null', 422, /a job is an object/],
  ['a body that is no JSON', '/predict', '{"batch"', 400, /not JSON/],
  ['a body of 3 MB', '/predict', 'x'.repeat(3_000_000), 413, /3000000 bytes, at most 100000/],
  ['a task without its numbers', '/tasks', {}, 422, /parameters_b must be/],
  ['an unknown path', '/nothing', {}, 404, /not found/],
  ['a result nobody asked for', '/tasks/99', { worker: 'w', result: {} }, 409, /task 99 is not held by w/],
]
for (const [what, path, body, status, message] of REFUSED) {
  test(`${what} is refused with ${status} and its reason`, async () => {
    const [got, answer] = await post(path, body)
    assert.equal(got, status)
    assert.match(answer.error, message)
  })
}

test('/health and /info say that and what it is', async () => {
  assert.deepEqual(await get('/health'), [200, { status: 'ok' }])
  const [, info] = await get('/info')
  assert.equal(info.pid, predictor.process.pid)
  assert.deepEqual(info.model.features, ['parameters_b', 'batch', 'context_k', 'gpu_gb'])
})

test('the WebSocket echoes text as text and bytes as bytes', async () => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  await once(socket, 'open')
  for (const sent of ['grüße', Buffer.from([0, 255, 254])]) {
    socket.send(sent)
    const [data, isBinary] = await once(socket, 'message')
    assert.equal(isBinary, typeof sent !== 'string')
    assert.deepEqual(data, Buffer.from(sent as string))
  }
  socket.close()
  await once(socket, 'close')
})

test('two workers share the tasks, and a worker that dies with a task in hand loses nothing', { timeout: 120_000 }, async () => {
  const [, { id: lost }] = await post('/tasks', JOB)
  const dying = new AbortController()
  const taken = (await (await fetch(`${url}/tasks/next?worker=dying`, { signal: dying.signal })).json()) as { id: number }
  assert.equal(taken.id, lost)
  assert.equal((await get(`/tasks/${lost}`))[1].state, 'taken')

  const workers = await Promise.all(
    ['w_00', 'w_01'].map(name => startService('task-worker.mjs', ['--queue', url, '--name', name], /takes tasks from/)),
  )
  // Both wait for a task: who is late must not leave all of them to the other.
  while ((await get('/info'))[1].tasks.idle !== 2) await new Promise(resolve => setTimeout(resolve, 10))
  const ids: number[] = []
  for (let n = 0; n < 40; n += 1) ids.push((await post('/tasks', JOB))[1].id)
  const results = await Promise.all(ids.map(done))
  assert.deepEqual(new Set(results.map(({ worker }) => worker)), new Set(['w_00', 'w_01']))
  assert.deepEqual(new Set(results.map(({ result }) => result.largest_batch)).size, 1)

  const again = await done(lost)
  assert.equal(again.tries, 2)
  for (const worker of workers) {
    const { code, tookMs } = await worker.stop()
    assert.equal(code, 0)
    assert.ok(tookMs < 10_000, `a waiting worker stopped after ${tookMs} ms`)
  }
})

async function done(id: number): Promise<Message> {
  const deadline = Date.now() + 30_000
  while (Date.now() < deadline) {
    const [, task] = await get(`/tasks/${id}`)
    if (task.state === 'done') return task
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`task ${id} was not done in 30 s`)
}

test('SIGTERM answers waiting workers, says 1001 to WebSockets and exits 0; a second one changes nothing', async () => {
  const service = await startService('predictor.mjs', ['--port', '0'])
  const socket = new WebSocket(`ws://127.0.0.1:${service.port}/ws`)
  await once(socket, 'open')
  const waiting = fetch(`http://127.0.0.1:${service.port}/tasks/next?worker=w`)
  while (((await (await fetch(`http://127.0.0.1:${service.port}/info`)).json()) as Message).tasks.idle !== 1)
    await new Promise(resolve => setTimeout(resolve, 10))
  const closed = once(socket, 'close')
  const stopped = service.stop()
  service.process.kill('SIGTERM')
  assert.equal((await closed)[0], 1001)
  assert.equal((await waiting).status, 204)
  const { code, tookMs } = await stopped
  assert.equal(code, 0)
  assert.ok(tookMs < 10_000, `stopped after ${tookMs} ms`)
})
