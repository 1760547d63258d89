// guard-shim: what a program is started with, how a start fails, and what is told of its end.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { RunSpec } from '../../src/core/spec.js'
import { readExitRecord } from '../../src/supervisor/shim.js'
import { builds, isRoot, lives, nowhere, rig, runSpec, sh, until } from './rig.js'

for (const build of builds) {
  describe(`guard-shim (${build.name})`, () => {
    test('a program that exits is told by its code, one that is killed by its signal', async t => {
      const r = await rig(t, build)
      for (const [script, code, signal] of [
        ['exit 0', 0, null],
        ['exit 3', 3, null],
        ['exit 255', 255, null],
        ['kill -TERM $$', null, 'TERM'],
        ['kill -KILL $$', null, 'KILL'],
        ['kill -SEGV $$', null, 'SEGV'],
        ['kill -40 $$', null, '40'],
      ] as const) {
        const { pid } = await r.shim.run(sh(script), nowhere)
        const exit = await r.exited()
        assert.deepEqual([exit.pid, exit.code, exit.signal, exit.coreDumped], [pid, code, signal, false], script)
        assert.ok(exit.endedMs > exit.startedMs && exit.endedMs - exit.startedMs < 5000)
        assert.ok(Math.abs(exit.endedAtMs - Date.now()) < 5000)
      }
    })

    test('CPU time and memory of the program and of what it waited for are counted', async t => {
      const r = await rig(t, build)
      await r.shim.run(sh('i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'), nowhere)
      const exit = await r.exited()
      assert.ok(exit.userMs + exit.systemMs > 5, `${exit.userMs} + ${exit.systemMs}`)
      assert.ok(exit.maxRssKb > 500, `${exit.maxRssKb}`)
    })

    test('every step that fails is named with what it was about and why', async t => {
      const r = await rig(t, build)
      writeFileSync(join(r.work, 'not-executable'), '#!/bin/sh\n')
      writeFileSync(join(r.work, 'bad-interpreter'), '#!/no/such/interpreter\n', { mode: 0o755 })
      writeFileSync(join(r.work, 'file'), '')
      const cases: [Partial<RunSpec>, string][] = [
        [{ directory: '/nope' }, 'chdir /nope: No such file or directory'],
        [{ directory: join(r.work, 'file') }, `chdir ${r.work}/file: Not a directory`],
        [{ argv: ['no-such-program'] }, 'exec no-such-program: No such file or directory'],
        [{ argv: ['./not-executable'], directory: r.work }, 'exec ./not-executable: Permission denied'],
        [{ argv: ['./bad-interpreter'], directory: r.work }, 'exec ./bad-interpreter: No such file or directory'],
        [{ argv: [r.work] }, `exec ${r.work}: Permission denied`],
        [{ argv: [''] }, 'exec : No such file or directory'],
        [{ user: 'no-such-user' }, 'user no-such-user: no such user'],
        [{ user: '4000000' }, 'user 4000000: no such user'],
        [{ limits: { nofile: 2_000_000_000 } }, 'limits nofile=2000000000: Operation not permitted'],
      ]
      for (const [wrong, message] of cases) {
        await assert.rejects(r.shim.run(runSpec(['/bin/true'], wrong), nowhere), { code: 'SPAWN_ERROR', message })
        assert.equal((await r.shim.state()).pid, 0)
      }
      await r.shim.run(sh('exit 0'), nowhere)
      assert.equal((await r.exited()).code, 0)
      assert.equal(r.seen.length, 1, 'a start that failed is no exit')
    })

    test('without root, what only root may do fails under its own name', { skip: !isRoot && 'needs root to become nobody' }, async t => {
      const r = await rig(t, build)
      const script = join(r.work, 'as-nobody.sh')
      const nobody = join(r.work, 'nobody')
      mkdirSync(nobody, { mode: 0o777 })
      chmodSync(nobody, 0o777)
      chmodSync(r.work, 0o755)
      writeFileSync(script, `#!/bin/sh\nexec /usr/bin/setpriv --reuid nobody --regid nogroup --clear-groups ${build.binary} "$@"\n`, {
        mode: 0o755,
      })
      const other = await rig(t, build, { binary: script, dir: nobody })
      for (const [wrong, message] of [
        [{ user: 'root' }, 'groups root: Operation not permitted'],
        [{ nice: -5 }, 'nice -5: Permission denied'],
        [{ oomScoreAdj: -500 }, 'oom -500: Permission denied'],
        [{ directory: '/root' }, 'chdir /root: Permission denied'],
      ] as const) {
        await assert.rejects(other.shim.run(runSpec(['/bin/true'], wrong), nowhere), { code: 'SPAWN_ERROR', message })
      }
      await other.shim.run(sh('exit 4', { user: 'nobody' }), nowhere)
      assert.equal((await other.exited()).code, 4, 'being who one is already needs no right')
    })

    test('a second program is refused while one lives', async t => {
      const r = await rig(t, build)
      await r.shim.run(sh('sleep 100'), nowhere)
      await assert.rejects(r.shim.run(sh('exit 0'), nowhere), { code: 'ALREADY_STARTED' })
      await r.shim.signal('KILL', 'tree')
      assert.equal((await r.exited()).signal, 'KILL')
      await assert.rejects(r.shim.signal('TERM', 'process'), { code: 'NOT_RUNNING' })
    })

    test('the program gets the environment, directory, umask, nice, oom score and limits that were asked for, and nothing else', async t => {
      const r = await rig(t, build)
      const spec = sh('/usr/bin/env | sort; pwd; umask; nice; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn; ulimit -c', {
        environment: { PATH: '/usr/bin:/bin', SPECIAL: 'a=b c\nd', EMPTY: '' },
        directory: r.work,
        umask: 0o027,
        nice: 7,
        oomScoreAdj: 300,
        limits: { nofile: 321, core: 'infinity', nproc: 5000 },
      })
      await r.shim.run(spec, r.log())
      assert.equal((await r.exited()).code, 0)
      const expected = [
        'EMPTY=',
        'PATH=/usr/bin:/bin',
        `PWD=${r.work}`,
        'SPECIAL=a=b c',
        'd',
        r.work,
        '0027',
        '7',
        '300',
        '321',
        '321',
        'unlimited',
        '',
      ]
      assert.deepEqual(r.logged().toString().split('\n').sort(), expected.sort())
    })

    test('the program starts with no signal blocked or ignored, in a session of its own, with three descriptors', async t => {
      const r = await rig(t, build)
      await r.shim.run(runSpec(['/bin/cat', '/proc/self/status', '/proc/self/stat']), r.log())
      await r.exited()
      const text = r.logged().toString()
      for (const set of ['SigBlk', 'SigIgn', 'SigPnd', 'ShdPnd']) assert.match(text, new RegExp(`${set}:\t0{16}\n`), set)
      const [pid, , , , group, session, tty] = (text.split('\n').at(-2) as string)
        .split(' ')
        .map((word, i) => (i < 2 ? word : Number(word)))
      assert.deepEqual([group, session, tty], [Number(pid), Number(pid), 0])
      await r.shim.run(runSpec(['/bin/ls', '/proc/self/fd']), r.log())
      await r.exited()
      assert.match(r.logged().toString(), /\n0\n1\n2\n3\n$/, 'ls itself opens the fourth')
    })

    test('PATH of the program finds it, not the daemon’s', async t => {
      const r = await rig(t, build)
      writeFileSync(join(r.work, 'only-here'), '#!/bin/sh\necho found\n', { mode: 0o755 })
      await r.shim.run(runSpec(['only-here'], { environment: { PATH: `/nope:${r.work}` } }), r.log())
      await r.exited()
      assert.equal(r.logged().toString(), 'found\n')
    })

    test('the user switch takes uid, gid and groups, and keeps /dev/stdout writable', { skip: !isRoot && 'needs root' }, async t => {
      const r = await rig(t, build)
      for (const user of ['nobody', '65534']) {
        await r.shim.run(sh('id -u; id -g; id -G; echo again > /dev/stdout', { user, limits: { nofile: 20 } }), r.log())
        assert.equal((await r.exited()).code, 0)
      }
      assert.equal(r.logged().toString(), '65534\n65534\n65534\nagain\n'.repeat(2))
      await r.shim.run(sh('id -u', { user: 'root' }), r.log())
      await r.exited()
      assert.match(r.logged().toString(), /\n0\n$/)
    })

    test('a megabyte of arguments and environment arrives whole, and more than a frame holds is refused before it is sent', async t => {
      const r = await rig(t, build)
      const environment = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`LARGE${i}`, 'x'.repeat(100_000)]))
      await r.shim.run(sh('echo ${#LARGE0} ${#LARGE9}', { environment }), r.log())
      await r.exited()
      assert.equal(r.logged().toString(), '100000 100000\n')
      const most = { ...environment, ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`MORE${i}`, 'x'.repeat(60_000)])) }
      await assert.rejects(r.shim.run(sh('true', { environment: most }), nowhere), {
        code: 'SPAWN_ERROR',
        message: /^exec: \d+ bytes of arguments/,
      })
      await assert.rejects(r.shim.run(runSpec(['a\0b']), nowhere), { code: 'SPAWN_ERROR', message: 'exec: arg: has a NUL byte' })
      await assert.rejects(r.shim.run(runSpec(['/bin/true', ...Array(17_000).fill('x')]), nowhere), {
        code: 'SPAWN_ERROR',
        message: 'request: Argument list too long',
      })
    })

    test('the exit record waits, in memory and in a file, until a daemon has taken it', async t => {
      const r = await rig(t, build)
      await r.shim.run(sh('exit 9'), nowhere)
      const exit = await r.exited()
      assert.deepEqual(await readExitRecord(r.dir), exit)
      assert.deepEqual((await r.shim.state()).exit, exit)
      await r.shim.took()
      assert.equal(await readExitRecord(r.dir), null)
      assert.equal((await r.shim.state()).exit, null)
    })

    test('signals reach the program alone, its group, or the tree', async t => {
      const r = await rig(t, build)
      const script = `trap 'echo leader; exit 0' USR1; /bin/sh -c 'trap "echo child; exit 0" USR1; echo up; while :; do sleep 0.01; done' & wait`
      await r.shim.run(sh(script), r.log())
      await until(() => r.logged().toString().includes('up'), 'the child')
      await r.shim.signal('USR1', 'group')
      await r.exited()
      assert.match(r.logged().toString(), /leader/)
      const { pid } = await r.shim.run(sh('kill -STOP $$; exit 7'), nowhere)
      await until(() => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') T '), 'the stop')
      await r.shim.signal('CONT', 'process')
      assert.equal((await r.exited()).code, 7)
      assert.ok(!lives(pid))
    })
  })
}
