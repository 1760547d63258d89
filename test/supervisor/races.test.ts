// The supervisor where several things happen at once: starts into stops, lost and late shims, changes of the specification.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProbeSpec } from '../../src/core/spec.js'
import { Supervisor } from '../../src/supervisor/supervisor.js'
import { fakeWorld, settle, spec, supervise } from './fakes.js'

const probe: ProbeSpec = { target: { kind: 'tcp' }, intervalMs: 10_000, timeoutMs: 1_000, failures: 3 }

test('events of a shim wait until its instance has taken it over', async () => {
  const { kernel } = await supervise([spec('web')], world => {
    world.shims.found.set('web', { pid: 42, startedMs: 1 })
  })
  assert.deepEqual(kernel.begun, ['web'])
})

test('what is removed while it stops is not started again by anybody', async () => {
  const { supervisor, kernel, clock } = await supervise([
    spec('web'),
    spec('app', { dependsOn: [{ program: 'web', condition: 'started' }] }),
  ])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  kernel.ignoresTerm.add('web')
  const removed = supervisor.remove(['web'])
  await clock.advance(1_000)
  void supervisor.start(['web'], 'yes')
  void supervisor.start(['app'], 'no')
  await clock.advance(60_000)
  await removed
  assert.deepEqual(
    kernel.spawned.filter(id => id === 'web'),
    ['web'],
  )
  assert.equal(kernel.live.has('web'), false)
  assert.throws(() => supervisor.get('web'), { code: 'BAD_NAME' })
})

test('a restart with new specifications never runs an old one again, though somebody starts it in between', async () => {
  const specs = [spec('a', { priority: 1 }), spec('b', { priority: 2 })]
  const { supervisor, kernel, clock } = await supervise(specs)
  void supervisor.start(['a', 'b'], 'no')
  await clock.advance(2_000)
  kernel.ignoresTerm.add('b')
  kernel.ignoresTerm.add('a')
  const fresh = specs.map(each => ({ ...each, run: { ...each.run, argv: ['new'] } }))
  void supervisor.restart(['a', 'b'], 'no', new Map(fresh.map(each => [each.id, each])))
  // b is being stopped, a waits for it.
  await clock.advance(1_000)
  void supervisor.start(['b'], 'no')
  kernel.exit('b', { code: 0, signal: null })
  await clock.advance(60_000)
  assert.deepEqual([kernel.ranAs.get('a')?.run.argv, kernel.ranAs.get('b')?.run.argv], [['new'], ['new']])
  assert.equal(supervisor.get('a').spec, fresh[0])
})

test('the stop before a restart with a new specification goes by the old one', async () => {
  const old = spec('web')
  const { supervisor, kernel, clock } = await supervise([old])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  const program = kernel.live.get('web')
  const fresh = { ...old, policy: { ...old.policy, stopSignal: 'INT' as const } }
  kernel.ignoresTerm.add('web')
  void supervisor.restart(['web'], 'no', new Map([['web', fresh]]))
  await clock.advance(0)
  assert.equal(program?.signals[0], 'TERM process')
})

test('a shim that does not answer the request to go keeps no other from going', async () => {
  const { supervisor, kernel, clock, world } = await supervise([spec('a'), spec('b')])
  void supervisor.start(['a', 'b'], 'no')
  await clock.advance(2_000)
  kernel.silent.add('a')
  await supervisor.close()
  assert.deepEqual(kernel.closed.sort(), ['a', 'b'])
  assert.ok(world.events.some(event => event.kind === 'daemon' && event.message === 'a: the end of its shim: no reply to bye'))
})

test('a shim that another daemon has taken is not asked back', async () => {
  const { supervisor, kernel, clock, state } = await supervise([spec('web')])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  const opens = kernel.opens
  kernel.takeShim('web')
  await clock.advance(30_000)
  assert.equal(kernel.opens, opens)
  assert.equal(kernel.live.size, 1)
  assert.match(supervisor.get('web').reason, /another daemon has taken web over/)
  assert.notEqual(state('web'), 'RUNNING')
})

test('a lost shim is opened once, whoever needs it', async () => {
  const { supervisor, kernel, clock } = await supervise([spec('web')])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  const opens = kernel.opens
  let open = (): void => {}
  kernel.opening = new Promise(resolve => {
    open = resolve
  })
  kernel.loseShim('web')
  const cleared = supervisor.get('web').clearLogs()
  await settle()
  open()
  await cleared
  await clock.advance(2_000)
  assert.equal(kernel.opens, opens + 1)
  assert.equal(kernel.live.size, 1)
})

test('a run whose answer never came is taken over when the shim is reached again', async () => {
  const { supervisor, kernel, clock, state } = await supervise([spec('web')])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  kernel.loseShim('web')
  kernel.found.set('web', { pid: 77, startedMs: 1_000 })
  await clock.advance(2_000)
  assert.equal(state('web'), 'RUNNING')
  assert.equal(supervisor.get('web').status().pid, 77)
  assert.deepEqual(kernel.spawned, ['web'])
})

test('a stop while its shim is being opened starts nothing', async () => {
  const { supervisor, kernel, clock, state } = await supervise([spec('web')])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  let open = (): void => {}
  kernel.opening = new Promise(resolve => {
    open = resolve
  })
  kernel.loseShim('web')
  await settle()
  const stopped = supervisor.stop(['web'])
  await settle()
  open()
  await stopped
  assert.equal(state('web'), 'STOPPED')
  assert.deepEqual(kernel.spawned, ['web'])
})

test('before its shim is opened an instance counts as wanted, so that requests are held', async () => {
  const world = fakeWorld()
  const supervisor = new Supervisor(world, () => {})
  supervisor.know([spec('a'), spec('off', { autostart: false })], [])
  assert.deepEqual(
    supervisor.status().map(status => status.wanted),
    ['up', 'up'],
  )
  await supervisor.open(['a', 'off'])
  assert.deepEqual(
    supervisor.status().map(status => status.wanted),
    ['down', 'down'],
  )
})

test('status keeps the order of the configuration when instances come and go', async () => {
  const { supervisor } = await supervise([spec('b'), spec('d')])
  await supervisor.remove(['d'])
  supervisor.know([spec('a'), spec('b'), spec('c')], [])
  assert.deepEqual(
    supervisor.status().map(status => status.id),
    ['a', 'b', 'c'],
  )
})

test('a changed probe does not make a ready instance unready until it fails', async () => {
  const specs = [spec('web', { address: { host: '127.0.0.1', port: 1 }, probe })]
  const { supervisor, clock, world } = await supervise(specs)
  void supervisor.start(['web'], 'no')
  await clock.advance(1_000)
  world.probes.set('web', { fail: 'refused' })
  await supervisor.apply({ ...specs[0]!, probe: { ...probe, failures: 2 } })
  assert.equal(supervisor.get('web').ready, true)
  await clock.advance(9_999)
  assert.equal(supervisor.get('web').ready, true, 'one failure is forgiven')
  await clock.advance(1)
  assert.equal(supervisor.get('web').ready, false)
})

test('a stop whose instance is started again meanwhile ends, and so does one that waits behind it', async () => {
  const { supervisor, kernel, clock, state } = await supervise([spec('a', { priority: 1 }), spec('b', { priority: 2 })])
  void supervisor.start(['a', 'b'], 'no')
  await clock.advance(2_000)
  kernel.ignoresTerm.add('b')
  const stopped = supervisor.stop(['a', 'b'])
  await clock.advance(1_000)
  void supervisor.start(['b'], 'no')
  await clock.advance(60_000)
  assert.deepEqual(await stopped, [
    { id: 'a', error: null },
    { id: 'b', error: null },
  ])
  assert.deepEqual([state('a'), state('b')], ['STOPPED', 'RUNNING'])
})
