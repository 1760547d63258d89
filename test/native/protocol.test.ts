// guard-shim: daemons come, go, fall asleep or talk nonsense; the program does not notice.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { connectShim, launchShims, readExitRecord } from '../../src/supervisor/shim.js'
import { anotherDaemon, builds, fixture, gate, lives, nowhere, quantile, type Rig, recorder, rig, runSpec, sh, until } from './rig.js'

interface Raw {
  socket: Socket
  /** All that came, as lines. */
  lines(): Record<string, unknown>[]
  ended(): boolean
}

/** A daemon without manners: sends what it is told, checks nothing. */
async function raw(t: TestContext, r: Rig): Promise<Raw> {
  const socket = connect(join(r.dir, 'shim.sock'))
  let text = ''
  let over = false
  socket.on('data', chunk => (text += chunk))
  socket.on('close', () => (over = true))
  socket.on('error', () => (over = true)) // the shim hangs up while we write: that is what is tested
  await once(socket, 'connect')
  t.after(() => socket.destroy())
  const lines = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as Record<string, unknown>)
  return { socket, lines, ended: () => over }
}

const frame = (...fields: string[]): string => `${Buffer.byteLength(fields.join('\0'))}:${fields.join('\0')},`

for (const build of builds) {
  const asan = build.name === 'asan'
  describe(`guard-shim (${build.name})`, () => {
    test('what is not a frame ends the connection with a reason, and nothing else', async t => {
      const r = await rig(t, build)
      const { pid } = await r.shim.run(sh('while :; do sleep 1; done'), nowhere)
      const cases: [bytes: string | Buffer, reason: RegExp][] = [
        ['GET / HTTP/1.1\r\n\r\n', /not a frame/],
        ['2097153:', /not a frame/],
        ['99999999', /not a frame/],
        ['99999999999999999999999999:x,', /not a frame/],
        ['-1:x,', /not a frame/],
        ['05:state,', /not a frame/],
        [':', /not a frame/],
        ['5;state,', /not a frame/],
        ['5:state;', /not a frame/],
        ['4:state,', /not a frame/],
        [Buffer.alloc(100), /not a frame/],
        [Buffer.alloc(100_000, 0xff), /not a frame/],
        ['0:,', /without a usable id/],
        [frame('state'), /without a usable id/],
        [frame('state', 'id=x'), /without a usable id/],
        [frame('state', 'id=-1'), /without a usable id/],
        [frame('state', 'id=99999999999999999999'), /without a usable id/],
        [`5:\0\0\0\0\0,`, /without a usable id/],
      ]
      for (const [bytes, reason] of cases) {
        const daemon = await raw(t, r)
        daemon.socket.write(bytes)
        await until(() => daemon.ended(), `the end after ${JSON.stringify(bytes.toString('latin1').slice(0, 40))}`)
        assert.match(String(daemon.lines().at(-1)?.error), reason, JSON.stringify(bytes.toString('latin1').slice(0, 40)))
        assert.equal(daemon.lines().at(-1)?.event, 'error')
      }
      for (const torn of ['5', '5:st', '2097152:x', frame('state', 'id=1').slice(0, -1)]) {
        const daemon = await raw(t, r)
        daemon.socket.end(torn)
        await until(() => daemon.ended(), `the end after ${torn}`)
        assert.equal(daemon.lines().at(-1)?.error, 'torn frame')
      }
      assert.ok(lives(pid))
    })

    test('a request that makes no sense is refused by its id, and the connection stays', async t => {
      const r = await rig(t, build)
      const daemon = await raw(t, r)
      const cases: [fields: string[], stage: string, error: string][] = [
        [['dance'], 'verb', 'Function not implemented'],
        [[''], 'verb', 'Function not implemented'],
        [['state', 'colour=red'], 'request', 'Invalid argument'],
        [['state', 'novalue'], 'request', 'Invalid argument'],
        [['state', ''], 'request', 'Invalid argument'],
        [['run'], 'run', 'Invalid argument'],
        [['run', 'arg=x', 'env=NOEQUALS'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'nice=many'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'nice=20'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'oom=-1001'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'umask=512'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'dir=/', 'dir=/'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'limit=nofile'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'limit=nofile:'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'limit=nofile:-1'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'limit=nofile:1x'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'limit=no:1'], 'request', 'Invalid argument'],
        [['run', 'arg=x', ...Array(17).fill('limit=core:0')], 'request', 'Argument list too long'],
        [['run', 'arg=x', 'stdout_max=-1'], 'request', 'Invalid argument'],
        [['run', 'arg=x', 'stdout_backups=10001'], 'request', 'Invalid argument'],
        [['run', 'arg=x', `stdout=/${'x/'.repeat(2100)}`], 'log', 'File name too long'],
        [['signal', 'signal=NOPE'], 'signal', 'Invalid argument'],
        [['signal'], 'signal', 'Invalid argument'],
        [['signal', 'signal=65'], 'signal', 'Invalid argument'],
        [['signal', 'signal=0'], 'signal', 'Invalid argument'],
        [['signal', 'signal=TERM', 'scope=world'], 'signal', 'Invalid argument'],
        [['signal', 'signal=TERM', 'scope=tree'], 'signal', 'No such process'],
        [['rotate', 'stream=stdin'], 'log', 'Invalid argument'],
      ]
      const whole = cases.map(([fields], id) => frame(fields[0] as string, `id=${id}`, ...fields.slice(1))).join('')
      for (let at = 0; at < whole.length; at += 997) daemon.socket.write(whole.slice(at, at + 997))
      await until(() => daemon.lines().length > cases.length, 'a reply to each')
      const replies = daemon.lines().slice(1)
      for (const [id, [fields, stage, error]] of cases.entries()) {
        const { reply, ok, stage: where, error: why } = replies[id] as Record<string, unknown>
        assert.deepEqual([reply, ok, where, why], [id, false, stage, error], fields.join(' ').slice(0, 80))
      }
      assert.ok(!daemon.ended())
    })

    test('random bytes and damaged frames never end the shim or the program', async t => {
      const r = await rig(t, build)
      const { pid } = await r.shim.run(sh('while :; do sleep 1; done'), nowhere)
      let seed = Number(process.env.SEED ?? Date.now() % 1e9)
      t.diagnostic(`SEED=${seed}`)
      const dice = (sides: number) => {
        seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
        return Math.floor((seed / 0x80000000) * sides)
      }
      const good = [
        frame('state', 'id=1'),
        frame('rotate', 'id=2', 'stream=stdout'),
        frame('logs', 'id=3', 'stdout=', 'redirect=1'),
        frame('took', 'id=4'),
      ]
      for (let round = 0; round < (asan ? 150 : 300); round++) {
        const bytes = Buffer.from(Array.from({ length: 1 + dice(8) }, () => good[dice(good.length)]).join(''))
        for (let hits = dice(4); hits > 0; hits--) bytes[dice(bytes.length)] = dice(256)
        const daemon = await raw(t, r)
        daemon.socket.end(bytes.subarray(0, 1 + dice(bytes.length)))
        await until(() => daemon.ended(), 'the end')
      }
      assert.ok(lives(pid) && lives(r.shim.hello.shim))
    })

    test('a new daemon takes over from the old one and finds everything in the hello', async t => {
      const r = await rig(t, build)
      const { pid } = await r.shim.run(sh('echo up; trap "exit 6" TERM; while :; do sleep 0.01; done'), r.log())
      await until(() => r.logged().length > 0, 'the program')
      const { shim, seen } = await anotherDaemon(t, r.dir)
      assert.equal(shim.hello.pid, pid)
      assert.ok(shim.hello.startedMs > 0 && Math.abs(shim.hello.startedAtMs - Date.now()) < 10_000)
      await until(() => r.seen.length > 0, 'the farewell to the first')
      assert.equal(r.seen[0]?.kind, 'closed')
      await shim.signal('TERM', 'process')
      await until(() => seen.length > 0, 'the exit')
      assert.equal(r.seen.length, 1)
      shim.close()
      const third = (await anotherDaemon(t, r.dir)).shim
      assert.equal(third.hello.pid, 0)
      assert.equal(third.hello.exit?.code, 6)
      await third.took()
      await third.bye()
      assert.ok(!existsSync(join(r.dir, 'shim.sock')))
    })

    test('without a daemon the program runs on, its lines land, and its exit waits', async t => {
      const r = await rig(t, build)
      const alone = gate(r, 'alone')
      await r.shim.run(sh(`echo one; ${alone.wait}; echo two; exit 8`), r.log())
      r.shim.close()
      await alone.open()
      await until(() => r.logged().toString() === 'one\ntwo\n', 'the lines')
      await until(() => existsSync(join(r.dir, 'exit.json')), 'the record')
      const { shim } = await anotherDaemon(t, r.dir)
      assert.equal(shim.hello.exit?.code, 8)
      assert.deepEqual(await readExitRecord(r.dir), shim.hello.exit)
      await shim.bye()
    })

    test('a daemon that does not read is let go, and nothing waits for it', async t => {
      const r = await rig(t, build)
      await r.shim.run(sh('i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.001; done'), r.log())
      const sleeper = await raw(t, r)
      sleeper.socket.pause()
      const ask = Array.from({ length: 5000 }, (_, id) => frame('state', `id=${id}`)).join('')
      sleeper.socket.write(ask)
      await until(() => sleeper.socket.destroyed || sleeper.ended() || connectionsOf(r) === 0, 'the end of its patience')
      const before = r.logged().length
      await until(() => r.logged().length > before + 50, 'the program to go on')
      const { shim } = await anotherDaemon(t, r.dir)
      assert.ok(shim.hello.pid > 0)
      await shim.bye()
    })

    test('a lock that is held means a live shim: launching again is success and changes nothing', async t => {
      const r = await rig(t, build)
      const { pid } = await r.shim.run(sh('while :; do sleep 1; done'), nowhere)
      await Promise.all([launchShims([r.dir]), launchShims([r.dir, r.dir])])
      const state = await r.shim.state()
      assert.deepEqual([state.shim, state.pid], [r.shim.hello.shim, pid])
    })

    test('what a killed shim left behind does not stop the next one', async t => {
      const r = await rig(t, build)
      await r.shim.run(sh('exit 2'), nowhere)
      await r.exited()
      process.kill(r.shim.hello.shim, 'SIGKILL')
      await until(() => !lives(r.shim.hello.shim), 'its end')
      assert.ok(existsSync(join(r.dir, 'shim.sock')))
      assert.equal((await readExitRecord(r.dir))?.code, 2, 'the record survives its shim')
      await launchShims([r.dir])
      const { shim } = await anotherDaemon(t, r.dir)
      await shim.run(sh('while :; do sleep 1; done'), nowhere)
      assert.equal(await readExitRecord(r.dir), null, 'a new run makes the old record void')
      await shim.bye()
    })

    test('a shim with nothing to run and no daemon goes by itself; one that has either stays', async t => {
      const r = await rig(t, build, { idleS: 2 })
      const running = await rig(t, build, { idleS: 2 })
      const talking = await rig(t, build, { idleS: 2 })
      await running.shim.run(sh('while :; do sleep 1; done'), nowhere)
      running.shim.close()
      await r.shim.run(sh('exit 3'), nowhere)
      await r.exited()
      r.shim.close()
      const from = performance.now()
      await until(() => !lives(r.shim.hello.shim), 'its end')
      assert.ok(performance.now() - from > 1900)
      assert.deepEqual(readdirSync(r.dir).sort(), ['exit.json'], 'only the record that nobody took stays')
      assert.ok(lives(running.shim.hello.shim) && lives(talking.shim.hello.shim))
      process.kill(running.shim.hello.shim, 'SIGKILL')
    })

    test('bye ends the program and its whole tree, writes its last words, and leaves nothing of the shim', async t => {
      const r = await rig(t, build)
      const file = join(r.work, 'tree')
      await r.shim.run(runSpec([fixture('tree-maker'), file]), r.log())
      await until(() => existsSync(file), 'the tree')
      const pids = readFileSync(file, 'utf8').match(/\d+/g)?.map(Number) as number[]
      await r.shim.bye()
      assert.deepEqual(pids.filter(lives), [])
      assert.deepEqual(readdirSync(r.dir).sort(), ['log', 'tree'])
      assert.equal(r.logged().toString(), 'tree stands\n')
      assert.deepEqual(
        r.seen.map(each => each.kind),
        ['exited'],
        'an end that was asked for is not reported as lost',
      )
      await until(() => !lives(r.shim.hello.shim), 'its end')
    })

    test('signals sent to the shim itself are without effect', async t => {
      const r = await rig(t, build)
      const { pid } = await r.shim.run(sh('while :; do sleep 1; done'), nowhere)
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGCHLD', 'SIGPIPE'] as const)
        process.kill(r.shim.hello.shim, signal)
      assert.equal((await r.shim.state()).pid, pid)
    })

    test('a run directory may have any length, and the socket is for its owner alone', async t => {
      const home = mkdtempSync(join(tmpdir(), 'guard-shim-long-'))
      t.after(() => rmSync(home, { recursive: true, force: true }))
      const dir = join(home, 'd'.repeat(200), 'e'.repeat(200))
      mkdirSync(dir, { recursive: true })
      const r = await rig(t, build, { dir })
      assert.equal(statSync(join(dir, 'shim.sock')).mode & 0o777, 0o600)
      await r.shim.run(sh('exit 0'), nowhere)
      assert.equal((await r.exited()).code, 0)
      assert.match(
        readFileSync(`/proc/${r.shim.hello.shim}/cmdline`, 'utf8'),
        /guard-shim[^\0]*\0[^\0]*e{200}\0+$/,
        'ps shows whose shim it is',
      )
      assert.equal(statSync(`/proc/${r.shim.hello.shim}/cwd`).ino, statSync(dir).ino)
    })

    test('every directory that cannot have a shim is named with its reason, and the others get theirs', async t => {
      const r = await rig(t, build)
      const home = r.work
      writeFileSync(join(home, 'file'), '')
      mkdirSync(join(home, 'linked'))
      symlinkSync('/etc/passwd', join(home, 'linked', 'lock'))
      mkdirSync(join(home, 'good'))
      await assert.rejects(
        launchShims(['/nope', join(home, 'file'), join(home, 'linked'), join(home, 'good')]),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'SHIM_FAILED')
          assert.deepEqual(error.message.split('\n').sort(), [
            '/nope: chdir: No such file or directory',
            `${home}/file: chdir: Not a directory`,
            `${home}/linked: lock: Too many levels of symbolic links`,
          ])
          return true
        },
      )
      await anotherDaemon(t, join(home, 'good'))
      process.env.GUARD_SHIM = '/nope/guard-shim'
      await assert.rejects(launchShims([home]), { code: 'SHIM_FAILED', message: '/nope/guard-shim is missing: run `npm run build`' })
      process.env.GUARD_SHIM = build.binary
      await assert.rejects(connectShim('/nope', recorder().handlers), { code: 'SHIM_FAILED' })
      await assert.rejects(connectShim(join(home, 'linked'), recorder().handlers), { code: 'SHIM_FAILED' })
    })

    test('a restart costs a message and a fork', async t => {
      const r = await rig(t, build)
      const rounds = asan ? 30 : 200
      const file = join(r.work, 'stamps')
      const spec = runSpec([fixture('stamp'), file])
      const replies: number[] = []
      const kills: bigint[] = []
      let { pid } = await r.shim.run(spec, r.log())
      for (let i = 0; i < rounds; i++) {
        await until(() => existsSync(file) && readFileSync(file, 'utf8').split('\n').length === i + 2, 'the stamp')
        const dead = new Promise<number>(resolve => {
          const exited = r.handlers.exited
          r.handlers.exited = exit => {
            r.handlers.exited = exited
            exited(exit)
            const from = performance.now()
            r.shim.run(spec, r.log()).then(next => {
              replies.push(performance.now() - from)
              resolve(next.pid)
            })
          }
        })
        kills.push(process.hrtime.bigint())
        process.kill(pid, 'SIGKILL')
        pid = await dead
      }
      await until(() => readFileSync(file, 'utf8').split('\n').length === rounds + 2, 'the last stamp')
      const stamps = readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map(line => BigInt(line.split(' ')[0] as string))
      const gaps = kills.map((kill, i) => Number((stamps[i + 1] as bigint) - kill) / 1e6)
      const show = (name: string, values: number[]) =>
        `${name} p50 ${quantile(values, 0.5).toFixed(2)} ms, p99 ${quantile(values, 0.99).toFixed(2)} ms`
      t.diagnostic(`${show('kill to first instruction', gaps)}; ${show('exited to run reply', replies)}`)
      assert.ok(quantile(gaps, 0.5) < 100, 'generous: two cores are shared with the other tests, and four processes take turns here')
    })

    test('a shim keeps its memory under half a megabyte, whatever passed through it', {
      skip: asan && 'the sanitizer’s own memory would be measured',
    }, async t => {
      const r = await rig(t, build)
      const environment = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`LARGE${i}`, 'x'.repeat(100_000)]))
      await r.shim.run(runSpec([fixture('flood'), '20'], { environment }), r.log({ maxBytes: 1_000_000, backups: 3 }))
      await r.exited()
      await r.shim.run(sh('while :; do sleep 1; done'), r.log())
      await r.shim.signal('CONT', 'tree')
      const rollup = readFileSync(`/proc/${r.shim.hello.shim}/smaps_rollup`, 'utf8')
      const kilobytes = [...rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].reduce((sum, match) => sum + Number(match[1]), 0)
      t.diagnostic(`private memory ${kilobytes} kB`)
      assert.ok(kilobytes > 0 && kilobytes <= 500, `${kilobytes} kB`)
    })

    test('200 shims stand after one call', { skip: asan && 'the sanitizer’s start-up would be measured' }, async t => {
      const home = mkdtempSync(join(tmpdir(), 'guard-shim-many-'))
      t.after(() => rmSync(home, { recursive: true, force: true }))
      const dirs = Array.from({ length: 200 }, (_, i) => join(home, `${i}`))
      for (const dir of dirs) mkdirSync(dir)
      process.env.GUARD_SHIM = build.binary
      const from = performance.now()
      await launchShims(dirs)
      const launched = performance.now()
      const shims = await Promise.all(dirs.map(dir => connectShim(dir, recorder().handlers)))
      const connected = performance.now()
      await Promise.all(shims.map(shim => shim.run(runSpec(['/bin/sleep', '1000']), nowhere)))
      const ran = performance.now()
      await Promise.all(shims.map(shim => shim.bye()))
      const times = [launched - from, connected - launched, ran - connected, performance.now() - ran].map(each => each.toFixed(0))
      t.diagnostic(`200: launched in ${times[0]} ms, connected in ${times[1]}, running in ${times[2]}, gone in ${times[3]}`)
      await until(() => shims.every(shim => !lives(shim.hello.shim)), 'their end')
    })

    test('an idle shim never wakes up', async t => {
      const r = await rig(t, build)
      await r.shim.run(runSpec(['/bin/sleep', '1000']), r.log())
      const switches = () =>
        Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${r.shim.hello.shim}/status`, 'utf8'))?.[1])
      await r.shim.state()
      await until(() => readFileSync(`/proc/${r.shim.hello.shim}/stat`, 'utf8').includes(') S '), 'sleep')
      // What it has begun with is over when there are no more of them.
      let before = -1
      let sinceMs = performance.now()
      await until(() => {
        if (before !== switches()) sinceMs = performance.now()
        before = switches()
        return performance.now() - sinceMs > 100
      }, 'rest')
      await new Promise(resolve => setTimeout(resolve, 1200))
      assert.equal(switches(), before)
    })

    test('a run directory that disappears hurts nobody', async t => {
      const r = await rig(t, build)
      const dir = mkdtempSync(join(tmpdir(), 'guard-shim-gone-'))
      const other = await rig(t, build, { dir })
      await other.shim.run(sh('read line; exit 1'), nowhere)
      await other.exited()
      await other.shim.run(sh('sleep 1000'), nowhere)
      rmSync(dir, { recursive: true })
      await other.shim.signal('KILL', 'tree')
      assert.equal((await other.exited()).signal, 'KILL')
      await other.shim.bye()
      assert.equal((await r.shim.state()).pid, 0)
    })
  })
}

/** The shim's side: connected stream sockets beyond the listening one. */
function connectionsOf(r: Rig): number {
  return (
    readdirSync(`/proc/${r.shim.hello.shim}/fd`).filter(fd => {
      try {
        return statSync(`/proc/${r.shim.hello.shim}/fd/${fd}`).isSocket()
      } catch {
        return false // closed between the list and the look
      }
    }).length - 1
  )
}
