// The supervisor with a faked clock and kernel: order, dependencies, probes, adoption, and the requests of people.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProbeSpec } from '../../src/core/spec.js'
import { Supervisor } from '../../src/supervisor/supervisor.js'
import { exitRecord, fakeWorld, settle, spec, supervise } from './fakes.js'

const probe: ProbeSpec = { target: { kind: 'tcp' }, intervalMs: 10_000, timeoutMs: 1_000, failures: 3 }

test('start waits for startsecs and then says ok', async () => {
  const { supervisor, clock, state } = await supervise([spec('web')])
  let done = false
  const started = supervisor.start(['web'], 'yes').then(outcomes => {
    done = true
    return outcomes
  })
  await clock.advance(999)
  assert.equal(done, false)
  await clock.advance(1)
  assert.deepEqual(await started, [{ id: 'web', error: null }])
  assert.equal(state('web'), 'RUNNING')
})

test('a crashed program is started anew at once, and only once', async () => {
  const { supervisor, clock, kernel } = await supervise([spec('web')])
  void supervisor.start(['web'], 'no')
  await clock.advance(5_000)
  kernel.exit('web', { code: null, signal: 'KILL' })
  await settle()
  assert.deepEqual(kernel.spawned, ['web', 'web'])
  assert.equal(supervisor.get('web').status().restarts, 1)
})

test('a program that cannot be run gives SPAWN_ERROR with the stage, then backs off', async () => {
  const { supervisor, state } = await supervise([spec('web')], world =>
    world.shims.refuses.set('web', new Error('chdir /nope: No such file or directory')),
  )
  const [outcome] = await supervisor.start(['web'], 'yes')
  assert.equal(outcome?.error?.code, 'SPAWN_ERROR')
  assert.equal(outcome?.error?.message, 'web: chdir /nope: No such file or directory')
  assert.equal(state('web'), 'BACKOFF')
})

test('a program that dies within startsecs gives ABNORMAL_TERMINATION', async () => {
  const { supervisor, kernel } = await supervise([spec('web')])
  const started = supervisor.start(['web'], 'yes')
  await settle()
  kernel.exit('web', { code: 3, signal: null })
  const [outcome] = await started
  assert.equal(outcome?.error?.code, 'ABNORMAL_TERMINATION')
  assert.equal(outcome?.error?.message, 'web: Exited too quickly (exit status 3)')
  assert.deepEqual(supervisor.get('web').status().lastLines, ['last words'])
})

test('start of a running program is ALREADY_STARTED, stop of a stopped one NOT_RUNNING, an unknown name BAD_NAME', async () => {
  const { supervisor, clock } = await supervise([spec('web')])
  assert.equal((await supervisor.stop(['web']))[0]?.error?.code, 'NOT_RUNNING')
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  assert.equal((await supervisor.start(['web'], 'yes'))[0]?.error?.code, 'ALREADY_STARTED')
  await assert.rejects(supervisor.start(['web', 'nope'], 'yes'), { code: 'BAD_NAME' })
  await assert.rejects(supervisor.stop(['nope']), { code: 'BAD_NAME' })
})

test('programs start in the order of their priorities, those of one priority together', async () => {
  const { supervisor, kernel, clock } = await supervise([
    spec('c', { priority: 30 }),
    spec('a', { priority: 10 }),
    spec('b', { priority: 20 }),
    spec('a2', { priority: 10 }),
  ])
  void supervisor.start(['c', 'a', 'b', 'a2'], 'yes')
  await clock.advance(2_000)
  assert.deepEqual(kernel.spawned, ['a', 'a2', 'b', 'c'])
})

test('a stop of everything goes the other way round and waits for each tier', async () => {
  const { supervisor, kernel, clock, state } = await supervise([spec('a', { priority: 1 }), spec('b', { priority: 2 })])
  kernel.ignoresTerm.add('b')
  void supervisor.start(['a', 'b'], 'yes')
  await clock.advance(2_000)
  const stopped = supervisor.stop(['a', 'b'])
  await clock.advance(9_999)
  assert.equal(state('a'), 'RUNNING')
  assert.deepEqual(kernel.live.get('b')?.signals, ['TERM process', 'CONT process'])
  await clock.advance(1)
  assert.deepEqual(await stopped, [
    { id: 'a', error: null },
    { id: 'b', error: null },
  ])
  assert.deepEqual(kernel.ended, ['b', 'a'])
})

test('a program waits for its dependency to be ready, whatever the priorities say, and stops before it', async () => {
  const web = spec('web', { priority: 1, dependsOn: [{ program: 'db', condition: 'ready' }] })
  const { supervisor, world, kernel, clock } = await supervise([web, spec('db', { priority: 5, probe })])
  world.probes.set('db', { fail: 'refused' })
  const started = supervisor.start(['web'], 'yes')
  await clock.advance(3_000)
  assert.deepEqual(kernel.spawned, ['db'], 'the dependency was started with it')
  assert.equal(supervisor.get('web').status().reason, 'waits for db to be ready (RUNNING)')
  assert.equal(supervisor.get('web').status().wanted, 'up')
  world.probes.set('db', 'pass')
  await clock.advance(20_000)
  assert.deepEqual(kernel.spawned, ['db', 'web'])
  assert.deepEqual(await started, [{ id: 'web', error: null }])
  await supervisor.stop(['db', 'web'])
  assert.deepEqual(kernel.ended, ['web', 'db'])
})

test('whoever waits for a dependency that fails is told so, and a stop calls the wait off', async () => {
  const web = spec('web', { dependsOn: [{ program: 'db', condition: 'started' }] })
  const { supervisor, kernel, clock } = await supervise([web, spec('db')], world =>
    world.shims.refuses.set('db', new Error('exec: not found')),
  )
  const [outcome] = await supervisor.start(['web'], 'yes')
  assert.equal(outcome?.error?.message, 'web waits for db to be started (BACKOFF)')
  assert.equal((await supervisor.stop(['web']))[0]?.error, null)
  kernel.refuses.clear()
  await clock.advance(60_000)
  assert.deepEqual(kernel.spawned, ['db'])
})

test('an instance with a probe is ready while the probe passes; one without when it is RUNNING', async () => {
  const { supervisor, world, clock } = await supervise([spec('a', { probe }), spec('b')])
  void supervisor.start(['a', 'b'], 'no')
  await settle()
  assert.equal(supervisor.get('a').ready, true, 'the first pass is enough, even before startsecs')
  assert.equal(supervisor.get('b').ready, false)
  await clock.advance(1_000)
  assert.equal(supervisor.get('b').ready, true)
  world.probes.set('a', { fail: 'refused' })
  await clock.advance(28_999)
  assert.equal(supervisor.get('a').ready, true, 'two failures are forgiven')
  await clock.advance(10_000)
  assert.equal(supervisor.get('a').ready, false)
  assert.equal(supervisor.get('a').status().reason, 'refused')
})

test('a gRPC service that tells NOT_SERVING is out of the routes at once, and its Watch is closed before its stop signal is sent', async () => {
  const world = fakeWorld()
  const routed: boolean[] = []
  const supervisor: Supervisor = new Supervisor(world, () => routed.push(supervisor.get('model').ready))
  const grpc: ProbeSpec = { ...probe, target: { kind: 'grpc', service: '' } }
  supervisor.know([spec('model', { probe: grpc, address: { host: '127.0.0.1', port: 1 } })], [])
  world.probes.set('model', 'SERVING')
  await supervisor.open(['model'])
  void supervisor.start(['model'], 'no')
  await world.clock.advance(2_000)
  assert.equal(routed.at(-1), true)
  world.watches.get('model')?.tell('NOT_SERVING')
  assert.equal(routed.at(-1), false)
  const told = world.events.filter(event => event.kind === 'ready').at(-1)
  assert.deepEqual(told, { kind: 'ready', atMs: told?.atMs, id: 'model', ready: false, reason: 'grpc health: NOT_SERVING' })
  const program = world.shims.live.get('model')
  const signalsWhenClosed: (number | undefined)[] = []
  const closes = world.watches.delete.bind(world.watches)
  world.watches.delete = id => {
    signalsWhenClosed.push(program?.signals.length)
    return closes(id)
  }
  await supervisor.stop(['model'])
  assert.deepEqual(signalsWhenClosed, [0])
  assert.equal(program?.signals.length, 1)
})

test('whoever routes traffic learns that an instance is unready before its stop signal is sent', async () => {
  const signalsWhenUnready: number[] = []
  const world = fakeWorld()
  const supervisor: Supervisor = new Supervisor(world, () => {
    const program = world.shims.live.get('b')
    if (supervisor.get('b').state === 'STOPPING' && program !== undefined) signalsWhenUnready.push(program.signals.length)
  })
  supervisor.know([spec('b')], [])
  await supervisor.open(['b'])
  void supervisor.start(['b'], 'no')
  await world.clock.advance(1_000)
  await supervisor.stop(['b'])
  assert.equal(signalsWhenUnready[0], 0)
})

test('what a dead daemon left is adopted with its pid and start; an end nobody saw is judged by autorestart', async () => {
  const startedMs = 1_000_000 - 500_000
  const { supervisor, state, kernel, outdated } = await supervise([spec('web'), spec('gone'), spec('old')], world => {
    world.shims.found.set('web', { pid: 42, startedMs, startedAtMs: 5 })
    world.shims.found.set('gone', { exit: exitRecord(43, { code: 1, signal: null }), startedMs })
    world.shims.found.set('old', { pid: 44, startedMs, outdated: true })
  })
  await settle()
  assert.equal(state('web'), 'RUNNING')
  assert.deepEqual([supervisor.get('web').status().pid, supervisor.get('web').status().uptimeMs], [42, 500_000])
  assert.deepEqual(kernel.spawned, ['gone'])
  assert.equal(kernel.took, 1)
  assert.deepEqual(outdated, ['old'])
  assert.ok(kernel.logs.has('web'), 'the log settings of this daemon hold for what it adopted')
})

test('a lost shim is a death of its program; the next start opens a new one', async () => {
  const { supervisor, kernel, clock, world } = await supervise([spec('web')])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  kernel.loseShim('web')
  await settle()
  assert.deepEqual(kernel.spawned, ['web', 'web'])
  assert.ok(world.events.some(event => event.kind === 'daemon' && event.message.startsWith('the shim of web was lost')))
})

test('after close nothing starts any more and every shim is gone', async () => {
  const { supervisor, kernel, clock } = await supervise([spec('a'), spec('b', { autostart: false })])
  void supervisor.start(['a'], 'no')
  await clock.advance(2_000)
  await supervisor.close()
  assert.deepEqual(kernel.closed.sort(), ['a', 'b'])
  await assert.rejects(supervisor.start(['a'], 'yes'), { code: 'SHUTTING_DOWN' })
})

test('a stop request during a start ends it: 10 rounds, never two live copies', async () => {
  const { supervisor, kernel, clock, state } = await supervise([spec('web')])
  for (let round = 0; round < 10; round++) {
    void supervisor.start(['web'], 'no')
    await supervisor.stop(['web'])
    assert.equal(state('web'), 'STOPPED')
    assert.equal(kernel.live.size, 0)
  }
  await clock.advance(60_000)
  assert.equal(kernel.live.size, 0)
})

test('lost log bytes are counted each time and told once a minute for each stream', async () => {
  const { supervisor, kernel, clock, world } = await supervise([spec('web')])
  void supervisor.start(['web'], 'no')
  await clock.advance(2_000)
  const told = (): unknown[] => world.events.flatMap(event => (event.kind === 'log_lost' ? [[event.stream, event.bytes]] : []))
  for (let second = 1; second <= 61; second++) {
    kernel.live.get('web')?.handlers.logLost('stdout', second, 'disk full')
    if (second === 30) kernel.live.get('web')?.handlers.logLost('stderr', 5, 'disk full')
    await clock.advance(1_000)
  }
  assert.deepEqual(told(), [
    ['stdout', 1],
    ['stderr', 5],
    ['stdout', 61],
  ])
  assert.deepEqual(supervisor.get('web').status().logLost, { bytes: 66, error: 'disk full' })
})
