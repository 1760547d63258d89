// task-worker: takes tasks from the predictor's queue, finds the largest batch that fits, and hands the result back.
import { setTimeout as sleep } from 'node:timers/promises'
import { largestBatch, probability } from './memory-model.mjs'
import { log, options, stopWith } from './service.mjs'

const RETRY_MS = 1_000

const { queue, name } = options(['queue', 'name'])
const stopping = new AbortController()
let reachable = true

const work = run()
stopWith(async () => {
  stopping.abort()
  await work
})

/** The task in hand is finished before a stop; the waiting for one is not. */
async function run() {
  log(`${name} takes tasks from ${queue}`)
  while (!stopping.signal.aborted) {
    const task = await nextTask()
    if (task) await finish(task)
  }
}

async function nextTask() {
  try {
    const response = await fetch(`${queue}/tasks/next?worker=${encodeURIComponent(name)}`, { signal: stopping.signal })
    if (response.status !== 200 && response.status !== 204) throw new Error(`it answered ${response.status}`)
    if (!reachable) log(`${name} gets tasks from ${queue} again`)
    reachable = true
    return response.status === 200 ? await response.json() : null
  } catch (error) {
    if (stopping.signal.aborted) return null
    if (reachable) log(`${name} gets no tasks from ${queue} (${error.cause?.code ?? error.message}), trying again`)
    reachable = false
    await sleep(RETRY_MS, undefined, { signal: stopping.signal }).catch(() => 'the stop has begun')
    return null
  }
}

/** A result that does not arrive is no loss: the queue gives the task out again. */
async function finish({ id, job }) {
  const batch = largestBatch(job)
  const result = { largest_batch: batch, probability: batch === 0 ? 0 : Number(probability({ ...job, batch }).toFixed(4)) }
  log(`${name} task ${id}: ${job.parameters_b}B parameters in ${job.gpu_gb} GB: largest batch ${batch}`)
  try {
    const body = JSON.stringify({ worker: name, result })
    const response = await fetch(`${queue}/tasks/${id}`, { method: 'POST', body, signal: AbortSignal.timeout(RETRY_MS) })
    if (!response.ok) log(`${name} task ${id}: refused with ${response.status}`)
    await response.arrayBuffer()
  } catch (error) {
    log(`${name} task ${id}: result not delivered (${error.cause?.code ?? error.message})`)
  }
}
