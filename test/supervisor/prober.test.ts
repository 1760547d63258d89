// The prober with a faked clock and a faked service: what looks and tellings make of readiness, and when a Watch is open.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ProbeResult } from '../../src/core/readiness.js'
import type { ProbeSpec } from '../../src/core/spec.js'
import { Prober } from '../../src/supervisor/prober.js'
import { fakeWorld, settle, spec } from './fakes.js'

const probe: ProbeSpec = { target: { kind: 'grpc', service: '' }, intervalMs: 10_000, timeoutMs: 1_000, failures: 3 }
const model = spec('model', { probe, address: { host: '127.0.0.1', port: 1 } })

/** A prober whose first look has found this. */
async function probing(t: TestContext, first: ProbeResult) {
  const world = fakeWorld()
  const changes: boolean[] = []
  let timers = 0
  const { clock } = world
  const counted: typeof clock = {
    ...clock,
    at(ms, call) {
      timers++
      let isOver = false
      const over = (): void => {
        if (!isOver) timers--
        isOver = true
      }
      const cancel = clock.at(ms, () => {
        over()
        call()
      })
      return () => {
        over()
        cancel()
      }
    },
  }
  const prober: Prober = new Prober({ ...world, clock: counted }, () => changes.push(prober.ready))
  world.probes.set('model', first)
  prober.start(model)
  await settle()
  t.after(() => {
    prober.stop()
    assert.equal(timers, 0)
    assert.equal(world.watches.size, 0)
  })
  return { prober, changes, ...world, watch: () => world.watches.get('model'), timers: () => timers }
}

test('a told NOT_SERVING is believed at once, however many failures are forgiven, and a told SERVING too', async t => {
  const { prober, watch, changes, clock } = await probing(t, 'SERVING')
  await clock.advance(100)
  watch()?.tell('SERVING')
  assert.deepEqual(changes, [true])
  watch()?.tell('NOT_SERVING')
  assert.deepEqual(changes, [true, false])
  assert.equal(prober.reason, 'grpc health: NOT_SERVING')
  await clock.advance(50)
  watch()?.tell('SERVING')
  assert.deepEqual(changes, [true, false, true])
  assert.equal(prober.reason, '')
})

test('a model that loads is ready as soon as it says so', async t => {
  const { changes, watch, clock } = await probing(t, 'NOT_SERVING')
  await clock.advance(60_000)
  assert.deepEqual(changes, [])
  watch()?.tell('SERVING')
  assert.deepEqual(changes, [true])
})

for (const [result, opened] of [
  ['SERVING', 1],
  ['NOT_SERVING', 1],
  ['SERVICE_UNKNOWN', 1],
  ['pass', 0],
  [{ fail: 'grpc health: no connection' }, 0],
] as [ProbeResult, number][]) {
  test(`a look that finds ${JSON.stringify(result)} opens ${opened} Watch, and no timer but that of the next look`, async t => {
    const { clock, watched, timers } = await probing(t, result)
    await clock.advance(60_000)
    assert.equal(watched.length, opened)
    assert.equal(timers(), 1)
  })
}

test('a lost Watch is no verdict, and is opened again by the next look that finds the service', async t => {
  const { prober, watch, changes, watched, clock, probes } = await probing(t, 'SERVING')
  watch()?.end('lost')
  await clock.advance(9_999)
  assert.deepEqual([prober.ready, changes, watched.length], [true, [true], 1])
  probes.set('model', { fail: 'refused' })
  await clock.advance(1)
  assert.deepEqual([prober.ready, watched.length], [true, 1])
  probes.set('model', 'SERVING')
  await clock.advance(10_000)
  assert.equal(watched.length, 2)
  watch()?.tell('NOT_SERVING')
  assert.deepEqual(changes, [true, false])
})

test('without Watch the looks at the interval decide, and only a new run asks for it again', async t => {
  const { prober, watch, watched, clock, probes, changes } = await probing(t, 'SERVING')
  watch()?.end('unsupported')
  await clock.advance(60_000)
  assert.equal(watched.length, 1)
  probes.set('model', 'NOT_SERVING')
  await clock.advance(9_999)
  assert.deepEqual(changes, [true])
  await clock.advance(1)
  assert.deepEqual(changes, [true, false])
  prober.start(model)
  await settle()
  assert.equal(watched.length, 2)
})

test('the looks go on beside an open Watch: a service that hangs is unready after its failures', async t => {
  const { changes, clock, probes } = await probing(t, 'SERVING')
  probes.set('model', { fail: 'Deadline exceeded' })
  await clock.advance(29_999)
  assert.deepEqual(changes, [true])
  await clock.advance(1)
  assert.deepEqual(changes, [true, false])
})

test('a status that was told during a look is newer than the one the look brings', async t => {
  const world = fakeWorld()
  const looks: ((result: ProbeResult) => void)[] = []
  world.probe = () => new Promise(resolve => looks.push(resolve))
  const prober = new Prober(world, () => {})
  t.after(() => prober.stop())
  prober.start(model)
  looks[0]?.('SERVING')
  await world.clock.advance(10_000)
  world.watches.get('model')?.tell('NOT_SERVING')
  looks[1]?.('SERVING')
  await settle()
  assert.equal(prober.ready, false)
  await world.clock.advance(10_000)
  looks[2]?.('SERVING')
  await settle()
  assert.equal(prober.ready, true)
})

test('an instance that changes its mind all the time is heard every 50 ms, with its newest word', async t => {
  const { prober, watch, changes, clock } = await probing(t, 'SERVING')
  for (let round = 0; round < 500; round++) {
    watch()?.tell(round % 2 === 0 ? 'NOT_SERVING' : 'SERVING')
    await clock.advance(1)
  }
  assert.ok(changes.length >= 5 && changes.length <= 11, String(changes.length))
  watch()?.tell('NOT_SERVING')
  await clock.advance(50)
  assert.equal(prober.ready, false)
})

test('after a stop the Watch is closed, and nothing it says counts', async t => {
  const { prober, watch, watches, changes, timers, clock } = await probing(t, 'SERVING')
  const before = watch()
  before?.tell('NOT_SERVING')
  before?.tell('SERVING')
  assert.equal(timers(), 2)
  prober.stop()
  assert.equal(watches.size, 0)
  await clock.advance(60_000)
  assert.deepEqual([prober.ready, changes, timers()], [false, [true, false], 0])
})
