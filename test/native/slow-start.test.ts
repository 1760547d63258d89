// guard-shim: a start that hangs in the kernel (here: on a group file that is a fifo) holds up nobody and can be ended.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { launchShims } from '../../src/supervisor/shim.js'
import { anotherDaemon, type Build, builds, inOwnMounts, isRoot, lives, nowhere, type Rig, rig, sh, until } from './rig.js'

interface Hanging {
  r: Rig
  /** The reply to `run` that has not come. */
  run: Promise<{ pid: number }>
  pid: number
  letGo(): void
}

async function hanging(t: TestContext, build: Build): Promise<Hanging> {
  const fifo = '{ test -p "$1/groups" || mkfifo "$1/groups"; } && mount --bind "$1/groups" /etc/group || exit 1'
  const r = await rig(t, build, { binary: inOwnMounts(t, build, fifo) })
  const run = r.shim.run(sh('echo started; while :; do sleep 1; done', { user: 'nobody' }), r.log())
  run.catch(() => undefined) // where a test leaves it unanswered
  assert.deepEqual((await r.shim.state()).pid, 0, 'not started yet')
  const pid = Number(execFileSync('/usr/bin/pgrep', ['-P', `${r.shim.hello.shim}`]))
  return { r, run, pid, letGo: () => writeFileSync(join(r.work, 'groups'), '') }
}

for (const build of builds) {
  describe(`guard-shim (${build.name})`, { skip: !isRoot && 'needs root to hide the group file' }, () => {
    test('a signal sent before exec is not lost', async t => {
      const { r, run, letGo } = await hanging(t, build)
      await r.shim.signal('TERM', 'group')
      letGo()
      const { pid } = await run
      const exit = await r.exited()
      assert.deepEqual([exit.pid, exit.signal, r.logged().length], [pid, 'TERM', 0])
    })

    test('KILL ends a start that hangs, and the exit is told like any other', async t => {
      const { r, run, pid } = await hanging(t, build)
      await assert.rejects(r.shim.run(sh('exit 0'), nowhere), { code: 'ALREADY_STARTED' })
      await r.shim.signal('KILL', 'tree')
      assert.equal((await run).pid, pid)
      assert.equal((await r.exited()).signal, 'KILL')
    })

    test('bye ends a start that hangs', async t => {
      const { r, pid } = await hanging(t, build)
      await r.shim.bye()
      assert.ok(!lives(pid))
    })

    test('a shim that is killed meanwhile takes the child with it and leaves its place free', async t => {
      const { r, run, pid } = await hanging(t, build)
      process.kill(r.shim.hello.shim, 'SIGKILL')
      await assert.rejects(run, { code: 'SHIM_FAILED' })
      await until(() => !lives(pid), 'the end of the child')
      await launchShims([r.dir])
      assert.equal((await anotherDaemon(t, r.dir)).shim.hello.pid, 0)
    })

    // A closed descriptor that the hanging child still held stayed in the epoll set, and its hang-up woke the shim without pause: 66 % CPU.
    test('a daemon that goes meanwhile does not make the shim spin', async t => {
      const { r, letGo } = await hanging(t, build)
      const ticks = () => {
        const fields = (readFileSync(`/proc/${r.shim.hello.shim}/stat`, 'utf8').split(') ')[1] as string).split(' ')
        return Number(fields[11]) + Number(fields[12])
      }
      r.shim.close()
      const before = ticks()
      await new Promise(resolve => setTimeout(resolve, 500))
      assert.ok(ticks() - before <= 5, `${ticks() - before} of 50 ticks`)
      letGo()
    })

    test('a daemon that connects meanwhile gets its hello when it is known what runs', async t => {
      const { r, run, pid, letGo } = await hanging(t, build)
      const second = anotherDaemon(t, r.dir)
      await assert.rejects(run, { code: 'SHIM_FAILED' }, 'the old connection ends although the hanging child holds a copy of it')
      letGo()
      assert.equal((await second).shim.hello.pid, pid)
      await until(() => r.logged().toString() === 'started\n', 'the program')
    })
  })
}
