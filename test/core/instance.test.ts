// The machine: every (state, input) pair as a table, the rules one by one, and a long random walk that holds what must always be true.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Effect,
  type Input,
  type Instance,
  KILL_REPEAT_MS,
  newInstance,
  RESTART_FLOOR_MS,
  STATES,
  type State,
  step,
} from '../../src/core/instance.js'
import type { Policy } from '../../src/core/spec.js'
import { defaultPolicy } from './fixture-policy.js'

const NOW = 100_000
const RANDOM = 0.5

/** One instance in each state as it truly occurs, started 5 s ago where it runs. */
const at: Record<State, Instance> = {
  STOPPED: newInstance(),
  STARTING: { ...newInstance(), state: 'STARTING', wanted: 'up' },
  RUNNING: { ...newInstance(), state: 'RUNNING', wanted: 'up', pid: 7, startedMs: NOW - 5_000 },
  BACKOFF: { ...newInstance(), state: 'BACKOFF', wanted: 'up', deadlineMs: NOW, startFailures: 1, crashes: 1, reason: 'r' },
  STOPPING: { ...newInstance(), state: 'STOPPING', wanted: 'down', pid: 7, deadlineMs: NOW, startedMs: NOW - 5_000 },
  EXITED: { ...newInstance(), state: 'EXITED', reason: 'exit status 0' },
  FATAL: { ...newInstance(), state: 'FATAL', wanted: 'up', deadlineMs: NOW, startFailures: 4, crashes: 4, reason: 'r' },
}

const inputs: Record<Input['kind'], Input> = {
  start: { kind: 'start' },
  stop: { kind: 'stop' },
  started: { kind: 'started', pid: 8 },
  failed: { kind: 'failed', reason: 'chdir /x: No such file or directory' },
  exited: { kind: 'exited', code: 1, signal: null },
  deadline: { kind: 'deadline' },
  adopted: { kind: 'adopted', pid: 9, startedMs: NOW - 4_000 },
}

const term = 'signal TERM process, signal CONT process'
const kill = 'signal KILL process'
const table: Record<State, Record<Input['kind'], [State, 'up' | 'down', string]>> = {
  STOPPED: {
    start: ['STARTING', 'up', 'run'],
    stop: ['STOPPED', 'down', ''],
    started: ['STOPPING', 'down', kill],
    failed: ['STOPPED', 'down', ''],
    exited: ['STOPPED', 'down', ''],
    deadline: ['STOPPED', 'down', ''],
    adopted: ['RUNNING', 'up', ''],
  },
  EXITED: {
    start: ['STARTING', 'up', 'run'],
    stop: ['STOPPED', 'down', ''],
    started: ['STOPPING', 'down', kill],
    failed: ['EXITED', 'down', ''],
    exited: ['EXITED', 'down', ''],
    deadline: ['EXITED', 'down', ''],
    adopted: ['RUNNING', 'up', ''],
  },
  STARTING: {
    start: ['STARTING', 'up', ''],
    stop: ['STOPPING', 'down', term],
    started: ['STARTING', 'up', ''],
    failed: ['BACKOFF', 'up', ''],
    exited: ['BACKOFF', 'up', ''],
    deadline: ['STARTING', 'up', ''],
    adopted: ['RUNNING', 'up', ''],
  },
  RUNNING: {
    start: ['RUNNING', 'up', ''],
    stop: ['STOPPING', 'down', term],
    started: ['RUNNING', 'up', ''],
    failed: ['RUNNING', 'up', ''],
    exited: ['STARTING', 'up', 'run'],
    deadline: ['RUNNING', 'up', ''],
    adopted: ['RUNNING', 'up', ''],
  },
  BACKOFF: {
    start: ['STARTING', 'up', 'run'],
    stop: ['STOPPED', 'down', ''],
    started: ['STOPPING', 'up', kill],
    failed: ['BACKOFF', 'up', ''],
    exited: ['BACKOFF', 'up', ''],
    deadline: ['STARTING', 'up', 'run'],
    adopted: ['RUNNING', 'up', ''],
  },
  FATAL: {
    start: ['STARTING', 'up', 'run'],
    stop: ['STOPPED', 'down', ''],
    started: ['STOPPING', 'up', kill],
    failed: ['FATAL', 'up', ''],
    exited: ['FATAL', 'up', ''],
    deadline: ['STARTING', 'up', 'run'],
    adopted: ['RUNNING', 'up', ''],
  },
  STOPPING: {
    start: ['STOPPING', 'up', ''],
    stop: ['STOPPING', 'down', ''],
    started: ['STOPPING', 'down', ''],
    failed: ['STOPPED', 'down', ''],
    exited: ['STOPPED', 'down', ''],
    deadline: ['STOPPING', 'down', kill],
    adopted: ['STOPPING', 'down', ''],
  },
}

for (const state of STATES) {
  for (const kind of Object.keys(inputs) as Input['kind'][]) {
    const [next, wanted, effects] = table[state][kind]
    test(`${state} answers ${kind} with ${next}${effects && `: ${effects}`}`, () => {
      const [after, done] = step(at[state], inputs[kind], defaultPolicy, NOW, RANDOM)
      assert.equal(after.state, next)
      assert.equal(after.wanted, wanted)
      assert.equal(done.map(effectText).join(', '), effects)
      holds(after)
    })
  }
}

function effectText(effect: Effect): string {
  return effect.kind === 'run' ? 'run' : `signal ${effect.signal} ${effect.scope}`
}

/** What the drawing in instance.ts says is true in each state. */
function holds(instance: Instance): void {
  const timed = { STOPPED: false, EXITED: false, RUNNING: false, STARTING: instance.pid !== 0, BACKOFF: true, STOPPING: true }
  if (instance.state !== 'FATAL') assert.equal(instance.deadlineMs !== null, timed[instance.state], `deadline in ${instance.state}`)
  if (['STOPPED', 'EXITED', 'BACKOFF', 'FATAL'].includes(instance.state)) assert.equal(instance.pid, 0, `pid in ${instance.state}`)
  if (instance.state === 'RUNNING') assert.notEqual(instance.pid, 0)
}

/** A small world around `step`: a program that lives `livesMs` each time, a clock that jumps from event to event. */
function live(policy: Policy, livesMs: (start: number) => number, untilMs: number, code = 1) {
  let now = 0
  let instance = newInstance()
  const starts: number[] = []
  let diesMs = Number.POSITIVE_INFINITY
  const put = (input: Input) => {
    const [next, effects] = step(instance, input, policy, now, RANDOM)
    instance = next
    if (effects.some(effect => effect.kind === 'run')) {
      starts.push(now)
      diesMs = now + livesMs(starts.length)
      put({ kind: 'started', pid: starts.length })
    }
  }
  put({ kind: 'start' })
  for (;;) {
    const next = Math.min(diesMs, instance.deadlineMs ?? Number.POSITIVE_INFINITY)
    if (next > untilMs) return { instance, starts, nowMs: now }
    now = next
    if (next === diesMs) {
      diesMs = Number.POSITIVE_INFINITY
      put({ kind: 'exited', code, signal: null })
    } else put({ kind: 'deadline' })
  }
}

test('a program that dies within startsecs backs off, then goes FATAL after startretries', () => {
  const { instance, starts } = live({ ...defaultPolicy, fatalRetryMs: 0 }, () => 10, 60_000)
  assert.equal(instance.state, 'FATAL')
  assert.deepEqual(starts, [0, 1_010, 2_620, 5_190])
  assert.equal(instance.reason, 'Exited too quickly (exit status 1)')
  assert.equal(instance.deadlineMs, null)
})

test('a crash loop that begins after 20 healthy seconds makes at most 12 starts in its first minute and ends FATAL', () => {
  const { instance, starts } = live({ ...defaultPolicy, fatalRetryMs: 0 }, start => (start === 1 ? 20_000 : 1_300), 3_600_000)
  const inFirstMinute = starts.filter(ms => ms >= 20_000 && ms < 80_000)
  assert.ok(inFirstMinute.length <= 12 && inFirstMinute.length >= 5, `${inFirstMinute.length} starts`)
  assert.equal(starts[1], 20_000, 'the first restart is at once')
  assert.equal(instance.state, 'FATAL')
  assert.equal(instance.reason, 'Crashed (exit status 1)')
  assert.equal(starts.length, defaultPolicy.crashRetries + 1)
})

test('a program that crashes after every healthy backoff_reset is always restarted at once', () => {
  const { starts } = live(defaultPolicy, () => 60_000, 600_000)
  assert.deepEqual(
    starts,
    [...Array(11).keys()].map(n => n * 60_000),
  )
})

test('FATAL is retried after fatal_retry, one try at a time', () => {
  const { starts } = live(defaultPolicy, () => 10, 910_000)
  assert.deepEqual(starts.slice(0, 6), [0, 1_010, 2_620, 5_190, 305_200, 605_210])
})

test('a program that recovers in its one chance closes the crash window', () => {
  const { instance, starts } = live({ ...defaultPolicy }, start => (start <= 4 ? 10 : 120_000), 1_000_000)
  assert.equal(instance.state, 'RUNNING')
  assert.deepEqual(starts.slice(4, 7), [305_200, 425_200, 545_200])
})

test('autorestart true restarts an expected exit without counting it as a crash, at most once a second', () => {
  const policy: Policy = { ...defaultPolicy, autorestart: 'always', startMs: 0 }
  const { instance, starts } = live(policy, () => 100, 50_000, 0)
  assert.equal(starts.length, 50_000 / RESTART_FLOOR_MS + 1)
  assert.equal(instance.crashes, 0)
})

test('autorestart unexpected leaves an expected exit EXITED, a signal or another code is restarted', () => {
  const ends: [number | null, string | null, Policy['autorestart'], State][] = [
    [0, null, 'unexpected', 'EXITED'],
    [3, null, 'unexpected', 'STARTING'],
    [null, 'KILL', 'unexpected', 'STARTING'],
    [null, 'KILL', 'never', 'EXITED'],
    [1, null, 'never', 'EXITED'],
    [0, null, 'always', 'STARTING'],
    [null, null, 'unexpected', 'STARTING'],
  ]
  for (const [code, signal, autorestart, state] of ends) {
    const [after] = step(at.RUNNING, { kind: 'exited', code, signal }, { ...defaultPolicy, autorestart }, NOW, RANDOM)
    assert.equal(after.state, state, `${code} ${signal} ${autorestart}`)
  }
})

test('SIGKILL follows at stopwaitsecs and is repeated until the tree is gone', () => {
  let [instance] = step(at.RUNNING, { kind: 'stop' }, defaultPolicy, NOW, RANDOM)
  assert.equal(instance.deadlineMs, NOW + 10_000)
  for (const due of [NOW + 10_000, NOW + 10_000 + KILL_REPEAT_MS]) {
    const [next, effects] = step(instance, { kind: 'deadline' }, { ...defaultPolicy, killAsGroup: true }, due, RANDOM)
    assert.deepEqual(effects, [{ kind: 'signal', signal: 'KILL', scope: 'group' }])
    assert.equal(next.deadlineMs, due + KILL_REPEAT_MS)
    instance = next
  }
})

test('a start request while STOPPING starts anew as soon as the tree is gone', () => {
  const [wanted] = step(at.STOPPING, { kind: 'start' }, defaultPolicy, NOW, RANDOM)
  const [after, effects] = step(wanted, inputs.exited, defaultPolicy, NOW, RANDOM)
  assert.equal(after.state, 'STARTING')
  assert.deepEqual(effects, [{ kind: 'run' }])
})

test('STARTING becomes RUNNING at startsecs, not one ms before', () => {
  const [started] = step(at.STARTING, inputs.started, defaultPolicy, NOW, RANDOM)
  assert.equal(step(started, inputs.deadline, defaultPolicy, NOW + 999, RANDOM)[0].state, 'STARTING')
  assert.equal(step(started, inputs.deadline, defaultPolicy, NOW + 1_000, RANDOM)[0].state, 'RUNNING')
})

test('startsecs 0 means RUNNING as soon as it is started', () => {
  const [after] = step(at.STARTING, inputs.started, { ...defaultPolicy, startMs: 0 }, NOW, RANDOM)
  assert.equal(after.state, 'RUNNING')
})

test('an adopted program that is younger than startsecs is STARTING until it is old enough', () => {
  const [after] = step(at.STOPPED, { kind: 'adopted', pid: 9, startedMs: NOW - 400 }, defaultPolicy, NOW, RANDOM)
  assert.equal(after.state, 'STARTING')
  assert.equal(after.deadlineMs, NOW + 600)
})

// ---- the random walk

/** xorshift32: small, seeded, good enough to wander. */
function dice(seed: number): () => number {
  let x = seed || 1
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
}

/** The kernel's side of the walk: at most one live copy, which dies only of its own will or of a signal sent to it. */
interface Kernel {
  live: number
  asked: boolean
  doomed: boolean
  nextPid: number
}

const STEPS = 1_000_000

test(`a random walk of ${STEPS.toLocaleString('en')} steps: never two live copies, never a forgotten pid, a stop ends, FATAL is left`, () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
  try {
    walk(seed)
  } catch (error) {
    throw new Error(`SEED=${seed} repeats this walk`, { cause: error })
  }
})

function walk(seed: number): void {
  const random = dice(seed)
  const seen = new Map<State, number>()
  let stepsDone = 0
  while (stepsDone < STEPS) {
    const policy = randomPolicy(random)
    const kernel: Kernel = { live: 0, asked: false, doomed: false, nextPid: 1 }
    let now = 0
    let instance = newInstance()
    let stopAskedMs = -1
    for (let move = 0; move < 500; move++, stepsDone++) {
      const input = pick(instance, kernel, random)
      if (input.kind === 'deadline') now = Math.max(now, instance.deadlineMs as number)
      else now += Math.floor(random() * 700)
      if (input.kind === 'stop') stopAskedMs = now
      if (input.kind === 'start') stopAskedMs = -1
      const [next, effects] = step(instance, input, policy, now, random())
      obey(kernel, effects, random)
      holds(next)
      assert.ok(next.pid === 0 || next.pid === kernel.live, `pid ${next.pid} but ${kernel.live} lives`)
      if (kernel.live !== 0) assert.ok(['STARTING', 'RUNNING', 'STOPPING'].includes(next.state), `forgotten in ${next.state}`)
      if (stopAskedMs >= 0) assert.ok(['STOPPING', 'STOPPED'].includes(next.state), `${next.state} after a stop`)
      if (next.state === 'FATAL' && policy.fatalRetryMs > 0) assert.ok((next.deadlineMs as number) <= now + policy.fatalRetryMs)
      instance = next
      seen.set(next.state, (seen.get(next.state) ?? 0) + 1)
    }
    endsOnStop(instance, kernel, policy, now)
  }
  for (const state of STATES) assert.ok((seen.get(state) ?? 0) > STEPS / 1_000, `the walk was in ${state} ${seen.get(state)} times`)
}

function randomPolicy(random: () => number): Policy {
  const of = <T>(...values: T[]): T => values[Math.floor(random() * values.length)] as T
  return {
    ...defaultPolicy,
    autorestart: of('always', 'never', 'unexpected', 'unexpected'),
    startMs: of(0, 1_000, 5_000),
    startRetries: of(0, 3, 5),
    crashRetries: of(0, 3, 10),
    fatalRetryMs: of(0, 10_000),
    stopWaitMs: of(0, 500, 10_000),
    killAsGroup: of(true, false),
  }
}

/** An input that can really happen now. */
function pick(instance: Instance, kernel: Kernel, random: () => number): Input {
  const roll = random()
  if (kernel.asked && roll < 0.6) {
    kernel.asked = false
    if (roll < 0.1) {
      kernel.doomed = false
      return { kind: 'failed', reason: 'exec: No such file or directory' }
    }
    kernel.live = kernel.nextPid++
    return { kind: 'started', pid: kernel.live }
  }
  if (kernel.live !== 0 && (kernel.doomed ? roll < 0.7 : roll < 0.25)) {
    kernel.live = 0
    kernel.doomed = false
    return { kind: 'exited', code: roll < 0.1 ? 0 : 1, signal: null }
  }
  if (instance.deadlineMs !== null && roll < 0.85) return { kind: 'deadline' }
  return roll < 0.96 ? { kind: 'start' } : { kind: 'stop' }
}

function obey(kernel: Kernel, effects: Effect[], random: () => number): void {
  for (const effect of effects) {
    if (effect.kind === 'run') {
      assert.equal(kernel.live, 0, 'a second live copy was asked for')
      assert.equal(kernel.asked, false, 'a second start was asked for before the first was answered')
      kernel.asked = true
      kernel.doomed = false
    } else if (effect.signal === 'KILL' || random() < 0.5) kernel.doomed = true
  }
}

/** However the walk stood, a stop request now leads to STOPPED within a bounded number of moves. */
function endsOnStop(start: Instance, kernel: Kernel, policy: Policy, startMs: number): void {
  let now = startMs
  let [instance] = step(start, { kind: 'stop' }, policy, now, 0)
  for (let move = 0; move < 4 && instance.state !== 'STOPPED'; move++) {
    let input: Input = { kind: 'deadline' }
    if (kernel.asked) {
      kernel.asked = false
      kernel.live = kernel.nextPid++
      input = { kind: 'started', pid: kernel.live }
    } else if (kernel.doomed && kernel.live !== 0) {
      kernel.live = 0
      input = { kind: 'exited', code: null, signal: 'KILL' }
    } else now = instance.deadlineMs as number
    const [next, effects] = step(instance, input, policy, now, 0)
    obey(kernel, effects, () => 1)
    instance = next
  }
  assert.equal(instance.state, 'STOPPED')
}
