// guard-shim: when the program has ended, its whole tree has, and nobody else was touched.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type Build, builds, fixture, inOwnMounts, isRoot, lives, marked, nowhere, type Rig, rig, runSpec, sh, until } from './rig.js'

/** A process of the same user, outside every tree, that would die of any signal. */
async function bystander(t: TestContext): Promise<ChildProcess> {
  const child = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' })
  await once(child, 'spawn')
  t.after(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  return child
}

async function tree(r: Rig, round: number): Promise<{ pids: Record<string, number>; mark: string }> {
  const file = join(r.work, `tree.${round}`)
  const mark = `GUARD_TEST_TREE=${process.pid}.${r.shim.hello.shim}.${round}`
  const environment = { PATH: '/usr/bin:/bin', GUARD_TEST_TREE: mark.split('=')[1] as string }
  await r.shim.run(runSpec([fixture('tree-maker'), file], { environment }), r.log())
  await until(() => existsSync(file), 'the tree')
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  return { pids: Object.fromEntries(lines.map(line => [line.split(' ')[0], Number(line.split(' ')[1])])), mark }
}

async function torture(t: TestContext, build: Build, rounds: number): Promise<void> {
  const r = await rig(t, build)
  const stranger = await bystander(t)
  const began = performance.now()
  for (let round = 0; round < rounds; round++) {
    const { pids, mark } = await tree(r, round)
    assert.equal(Object.keys(pids).length, 6)
    assert.equal(marked(mark).length, 6, 'the tree stands before the stop')
    await r.shim.signal(round % 2 === 0 ? 'TERM' : 'KILL', round % 4 < 2 ? 'process' : 'group')
    const exit = await r.exited()
    assert.deepEqual(marked(mark), [], `round ${round}: survivors after ${exit.signal}`)
    for (const [name, pid] of Object.entries(pids)) assert.ok(!lives(pid), `${name} lives`)
  }
  t.diagnostic(`${rounds} stops of a tree of six, ${((performance.now() - began) / rounds).toFixed(1)} ms each with its making`)
  assert.equal(stranger.exitCode ?? stranger.signalCode, null, 'the bystander was hit')
}

for (const build of builds) {
  describe(`guard-shim (${build.name})`, () => {
    test('a stop takes TERM-ignoring, setsid, double-forked and stopped children and holders of stdout with it', t =>
      torture(t, build, build.name === 'asan' ? 20 : 200))

    test('a program that ends by itself leaves nobody behind either', async t => {
      const r = await rig(t, build)
      const mark = `GUARD_TEST_END=${process.pid}.${r.shim.hello.shim}`
      const environment = { PATH: '/usr/bin:/bin', GUARD_TEST_END: mark.split('=')[1] as string }
      for (const script of [
        'sleep 1000 & exit 0',
        'setsid sleep 1000 & setsid sh -c "setsid sleep 1000 & sleep 1000" & exit 0',
        '(trap "" TERM; sleep 1000) & kill -STOP $! ; exit 0',
        '(sleep 1000 &) ; exit 0',
      ]) {
        await r.shim.run(sh(script, { environment }), r.log())
        await r.exited()
        assert.deepEqual(marked(mark), [], script)
      }
    })

    test('processes that fork and die faster than anyone can list them are caught all the same', async t => {
      const r = await rig(t, build)
      for (const how of ['group', 'session']) {
        const mark = `GUARD_TEST_RUNAWAY=${process.pid}.${r.shim.hello.shim}.${how}`
        const environment = { GUARD_TEST_RUNAWAY: mark.split('=')[1] as string }
        await r.shim.run(runSpec([fixture('runaway'), '3', how], { environment }), r.log())
        await until(() => r.logged().toString().includes('running'), 'the runaways')
        await r.shim.clear()
        const from = performance.now()
        await r.shim.signal('KILL', 'tree')
        await r.exited()
        assert.deepEqual(marked(mark), [])
        assert.ok(performance.now() - from < 10_000, 'they end by themselves only after 20 s')
        t.diagnostic(`${how}: gone after ${(performance.now() - from).toFixed(1)} ms`)
      }
    })

    test('an orphan lives on while the program runs, and is reaped when it ends', async t => {
      const r = await rig(t, build)
      await r.shim.run(
        sh('(setsid sleep 0.05 &); setsid sh -c "echo $$ orphan; exec sleep 1000" & sleep 0.01; while :; do sleep 1; done'),
        r.log(),
      )
      await until(() => /\d+ orphan/.test(r.logged().toString()), 'the orphan')
      const children = () => readFileSync(`/proc/${r.shim.hello.shim}/task/${r.shim.hello.shim}/children`, 'utf8').trim().split(' ')
      await until(() => children().length === 1, 'the end and the reaping of the short-lived orphan')
      assert.deepEqual(r.seen, [], 'nobody hears of orphans')
      await r.shim.signal('KILL', 'tree')
      await r.exited()
      assert.deepEqual(children(), [''])
    })

    test('a signal to the tree reaches sessions of their own and orphans, and KILL to a stopped program ends it', async t => {
      const r = await rig(t, build)
      const stranger = await bystander(t)
      const child = `trap "echo \\$0 got it; exit 0" USR1; echo \\$0 up; while :; do sleep 0.01; done`
      const ready = (text: string) => () => r.logged().toString().includes(text)
      await r.shim.run(
        sh(
          // Its own trap stands before there is anybody who could say that all is up.
          `trap : USR1; setsid sh -c '${child.replaceAll('\\$', '$')}' one & (setsid sh -c '${child.replaceAll('\\$', '$')}' two &) ; while :; do sleep 0.01; done`,
        ),
        r.log(),
      )
      await until(ready('one up'), 'one')
      await until(ready('two up'), 'two')
      await r.shim.signal('USR1', 'tree')
      await until(ready('one got it'), 'the signal to a session of its own')
      await until(ready('two got it'), 'the signal to an orphan')
      await r.shim.signal('STOP', 'tree')
      await r.shim.signal('KILL', 'process')
      assert.equal((await r.exited()).signal, 'KILL')
      assert.equal(stranger.exitCode ?? stranger.signalCode, null, 'the bystander was hit')
    })

    test('exited comes only when a descendant’s last words are in the log', async t => {
      const r = await rig(t, build)
      // It ends when the descendant has begun to talk.
      const talk = `setsid sh -c 'i=0; while :; do i=$((i+1)); echo line $i; done'`
      await r.shim.run(sh(`${talk} & until test -s ${join(r.work, 'log')}; do sleep 0.01; done; exit 0`), r.log())
      await r.exited()
      const size = r.logged().length
      assert.ok(size > 0)
      const again = await r.shim.state()
      assert.equal(again.pid, 0)
      assert.equal(r.logged().length, size, 'something was written after the end')
    })

    const fallback = { skip: !isRoot && 'needs root to hide a directory of /proc' }
    test('without the kernel’s list of children, a scan of /proc finds them', fallback, async t => {
      const r = await rig(t, build, { binary: inOwnMounts(t, build) })
      const { shim } = r.shim.hello
      const empty = join(r.work, 'empty')
      mkdirSync(empty)
      const inside = (...argv: string[]) => execFileSync('/usr/bin/nsenter', ['-t', `${shim}`, '-m', ...argv])
      inside('/bin/mount', '--bind', empty, `/proc/${shim}/task`)
      for (let round = 0; round < 5; round++) {
        const { mark } = await tree(r, round)
        await r.shim.signal('TERM', 'process')
        await r.exited()
        assert.deepEqual(marked(mark), [])
      }
      inside('/bin/umount', `/proc/${shim}/task`)
    })

    test('when the shim is killed, the program dies with it', async t => {
      const r = await rig(t, build)
      const { pid } = await r.shim.run(sh('while :; do sleep 1; done'), nowhere)
      process.kill(r.shim.hello.shim, 'SIGKILL')
      await until(() => !lives(pid), 'the end of the program')
      await until(() => r.seen.length > 0, 'the news')
      assert.deepEqual(r.seen, [{ kind: 'closed', reason: 'closed by the shim' }])
      await assert.rejects(r.shim.state(), { code: 'SHIM_FAILED' })
    })
  })
}
