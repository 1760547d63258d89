// Tasks waiting for workers: a bounded queue in which a task belongs to a worker for a while only, so that a worker that dies loses nothing.

export const MAX_WAITING = 1_000
/** Results are kept for the newest tasks only. */
const MAX_FINISHED = 1_000
/** A worker that has not answered within this time has died: the task goes to another. */
const LEASE_MS = 5_000

/** An empty queue.  now: the clock, in ms. */
export function taskQueue(now = Date.now) {
  const waiting = []
  const leased = new Map()
  const finished = new Map()
  const idle = new Set()
  let last = 0

  /** Returns the new task's id, or null where the queue is full. */
  function add(job) {
    if (waiting.length === MAX_WAITING) return null
    last += 1
    hand({ id: last, job, tries: 0 })
    return last
  }

  /** The next task for a worker, or null after waitMs.  gone: ends the waiting (the worker went away). */
  function take(worker, waitMs, gone) {
    const task = waiting.shift()
    if (task) return Promise.resolve(lease(task, worker))
    return new Promise(resolve => {
      const waiter = { worker, give }
      const timer = setTimeout(give, waitMs, null)
      gone.addEventListener('abort', () => give(null))
      idle.add(waiter)
      function give(given) {
        clearTimeout(timer)
        idle.delete(waiter)
        resolve(given)
      }
    })
  }

  /** Takes a worker's result; false where the task is not that worker's (any more). */
  function finish(id, worker, result) {
    const task = leased.get(id)
    if (task?.worker !== worker) return false
    leased.delete(id)
    finished.set(id, { id, state: 'done', worker, tries: task.tries, result })
    if (finished.size > MAX_FINISHED) finished.delete(finished.keys().next().value)
    return true
  }

  /** What is known of a task; null: nothing. */
  function look(id) {
    const done = finished.get(id)
    if (done) return done
    const task = leased.get(id)
    if (task) return { id, state: 'taken', worker: task.worker, tries: task.tries }
    return waiting.some(each => each.id === id) ? { id, state: 'waiting' } : null
  }

  function hand(task) {
    const [waiter] = idle
    if (waiter) waiter.give(lease(task, waiter.worker))
    else waiting.push(task)
  }

  function lease(task, worker) {
    const tries = task.tries + 1
    leased.set(task.id, { ...task, tries, worker, untilMs: now() + LEASE_MS })
    return { id: task.id, job: task.job }
  }

  /** Gives the tasks of workers that died to others. */
  function takeBackOverdue() {
    for (const task of leased.values()) {
      if (task.untilMs > now()) continue
      leased.delete(task.id)
      hand(task)
    }
  }

  /** Nobody waits any longer. */
  function close() {
    for (const waiter of [...idle]) waiter.give(null)
  }

  const counts = () => ({ waiting: waiting.length, taken: leased.size, finished: finished.size, idle: idle.size })
  return { add, take, finish, look, takeBackOverdue, close, counts }
}
