// guard-shim: what a program writes is in its log files, byte for byte, through every kind of rotation.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, linkSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { builds, fixture, gate, logFiles, type Rig, rig, runSpec, sh, until } from './rig.js'

const MB = 1_000_000

/** cat log.N … log.1 log, compared with the same flood made again.  Throws where one byte differs. */
function compareWithFlood(r: Rig, megabytes: number): void {
  const script = `cat ${logFiles(r.work).join(' ')} | { ${fixture('flood')} ${megabytes} | cmp - /dev/fd/3; } 3<&0`
  execFileSync('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] })
}

function firstAndLastByte(file: string): [string, string] {
  const bytes = readFileSync(file)
  return [String.fromCharCode(bytes[0] as number), String.fromCharCode(bytes.at(-1) as number)]
}

for (const build of builds) {
  const asan = build.name === 'asan'
  describe(`guard-shim (${build.name})`, () => {
    test('a flood with rotation at 20 MB loses, tears and doubles nothing, and is not held back', async t => {
      const r = await rig(t, build)
      const megabytes = asan ? 50 : 200
      const maxBytes = asan ? 5 * MB : 20 * MB
      const from = performance.now()
      await r.shim.run(runSpec([fixture('flood'), `${megabytes}`]), r.log({ maxBytes, backups: 20 }))
      const exit = await r.exited()
      t.diagnostic(
        `${megabytes} MB in ${(performance.now() - from).toFixed(0)} ms: ${((megabytes * 1000) / (exit.endedMs - exit.startedMs)).toFixed(0)} MB/s`,
      )
      compareWithFlood(r, megabytes)
      const files = logFiles(r.work)
      assert.equal(files.length, Math.ceil((megabytes * MB) / maxBytes))
      for (const file of files) {
        assert.ok(statSync(file).size <= maxBytes)
        assert.deepEqual([firstAndLastByte(file)[0], firstAndLastByte(file)[1]], ['0', '\n'], `${file} begins or ends within a line`)
      }
      assert.ok(r.seen.filter(each => each.kind === 'rotated').length >= files.length - 1)
    })

    test('the last words of 1,000 programs that print one line and end are all there', async t => {
      const r = await rig(t, build)
      const rounds = asan ? 200 : 1000
      for (let i = 0; i < rounds; i++) {
        await r.shim.run(runSpec(['/bin/echo', `run ${i}`]), r.log({ maxBytes: 4000, backups: 100 }))
        await r.exited()
      }
      assert.equal(r.logged().toString(), Array.from({ length: rounds }, (_, i) => `run ${i}\n`).join(''))
    })

    test('bytes stay bytes: binary, split UTF-8, long lines, no final newline, tiny limits', async t => {
      const r = await rig(t, build)
      const long = `${'x'.repeat(1_000_000)}\n`.repeat(5)
      const cases: [name: string, content: Buffer, maxBytes: number][] = [
        ['binary', randomBytes(3 * MB), 500_000],
        ['zeros without a newline', Buffer.alloc(5 * MB), 100_000],
        ['1 MB lines', Buffer.from(long), 100_000],
        ['1 MB lines, rotation off', Buffer.from(long), 0],
        ['UTF-8 that no chunk respects', Buffer.from(`${'ä€😀'.repeat(50_000)}\n`), 70_000],
        ['no final newline', Buffer.from('one\ntwo'), 4],
        ['nothing but newlines', Buffer.from('\n'.repeat(300)), 7],
        ['a limit below every line', Buffer.from('line\n'.repeat(100)), 1],
        ['empty', Buffer.alloc(0), 10],
      ]
      for (const [name, content, maxBytes] of cases) {
        writeFileSync(join(r.work, 'content'), content)
        await r.shim.run(runSpec(['/bin/cat', join(r.work, 'content')]), r.log({ maxBytes, backups: 1000 }))
        await r.exited()
        assert.equal(createHash('sha1').update(r.logged()).digest('hex'), createHash('sha1').update(content).digest('hex'), name)
        await r.shim.clear()
        assert.deepEqual(
          logFiles(r.work).map(file => statSync(file).size),
          [0],
          `${name}: clear leaves one empty file`,
        )
      }
    })

    test('a file is cut only at line ends, or 1 MiB past the limit where no line ends', async t => {
      const r = await rig(t, build)
      writeFileSync(join(r.work, 'content'), `${'short\n'.repeat(1000)}${'y'.repeat(1_500_000)}\n${'short\n'.repeat(10)}`)
      await r.shim.run(runSpec(['/bin/cat', join(r.work, 'content')]), r.log({ maxBytes: 10_000, backups: 9 }))
      await r.exited()
      const sizes = logFiles(r.work).map(file => statSync(file).size)
      assert.deepEqual(sizes, [6000, 10_000 + 1024 * 1024, 1_500_001 - 10_000 - 1024 * 1024, 60].filter(Boolean))
      assert.equal(r.logged().toString('latin1'), readFileSync(join(r.work, 'content'), 'latin1'))
    })

    test('no more backups are kept than asked for, none means emptying the file', async t => {
      const r = await rig(t, build)
      await r.shim.run(sh('i=0; while [ $i -lt 100 ]; do echo "line $i"; i=$((i+1)); done'), r.log({ maxBytes: 50, backups: 2 }))
      await r.exited()
      assert.deepEqual(
        logFiles(r.work).map(file => file.slice(r.work.length)),
        ['/log.2', '/log.1', '/log'],
      )
      assert.match(r.logged().toString(), /line 98\nline 99\n$/)
      await r.shim.clear()
      await r.shim.run(sh('echo 1; echo 2; echo 3'), r.log({ maxBytes: 3, backups: 0 }))
      await r.exited()
      assert.equal(r.logged().toString(), '3\n')
    })

    test('what stands in the file already counts and is kept', async t => {
      const r = await rig(t, build)
      writeFileSync(join(r.work, 'log'), '12345678\n')
      await r.shim.run(sh('echo new'), r.log({ maxBytes: 10, backups: 3 }))
      await r.exited()
      assert.equal(readFileSync(join(r.work, 'log.1'), 'utf8'), '12345678\n')
      assert.equal(readFileSync(join(r.work, 'log'), 'utf8'), 'new\n')
    })

    test('stdout and stderr have files of their own, are merged in order, or are thrown away', async t => {
      const r = await rig(t, build)
      const script = 'for i in 1 2 3; do echo out $i; echo err $i >&2; done'
      const file = (name: string) => ({ path: join(r.work, name), maxBytes: 0, backups: 0 })
      await r.shim.run(sh(script), { stdout: file('out'), stderr: file('err') })
      await r.exited()
      assert.equal(readFileSync(join(r.work, 'out'), 'utf8'), 'out 1\nout 2\nout 3\n')
      assert.equal(readFileSync(join(r.work, 'err'), 'utf8'), 'err 1\nerr 2\nerr 3\n')
      await r.shim.run(sh(script), { stdout: file('both'), stderr: 'stdout' })
      await r.exited()
      assert.equal(readFileSync(join(r.work, 'both'), 'utf8'), 'out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n')
      await r.shim.run(sh(script), { stdout: null, stderr: file('only') })
      await r.exited()
      assert.equal(readFileSync(join(r.work, 'only'), 'utf8'), 'err 1\nerr 2\nerr 3\n')
      assert.equal(readFileSync(join(r.work, 'out'), 'utf8').length, 18)
    })

    test('new paths and limits take hold without a restart', async t => {
      const r = await rig(t, build)
      const { pid } = await r.shim.run(sh('while :; do echo tick; sleep 0.005; done'), r.log())
      await until(() => r.logged().length > 20, 'output')
      await r.shim.logs({ stdout: { path: join(r.work, 'moved'), maxBytes: 10, backups: 1 }, stderr: null })
      const before = r.logged().length
      await until(() => existsSync(join(r.work, 'moved.1')), 'a rotation by the new limit')
      assert.equal(r.logged().length, before, 'the old file is left alone')
      assert.equal((await r.shim.state()).pid, pid)
    })

    test('rotate, reopen and clear under load lose nothing that was not asked for', async t => {
      const r = await rig(t, build)
      const megabytes = asan ? 20 : 60
      await r.shim.run(runSpec([fixture('flood'), `${megabytes}`]), r.log({ maxBytes: 0, backups: 1000 }))
      let rounds = 0
      while (r.seen.every(each => each.kind !== 'exited')) {
        await (rounds++ % 2 === 0 ? r.shim.rotate() : r.shim.reopen('stdout'))
      }
      compareWithFlood(r, megabytes)
      for (const file of logFiles(r.work)) if (statSync(file).size > 0) assert.deepEqual(firstAndLastByte(file), ['0', '\n'], file)
      t.diagnostic(`${rounds} rotates and reopens, ${logFiles(r.work).length} files`)
      await r.shim.clear()
      await r.shim.run(runSpec([fixture('flood'), `${megabytes}`]), r.log({ maxBytes: 1 * MB, backups: 5 }))
      for (rounds = 0; r.seen.filter(each => each.kind === 'exited').length < 2; rounds++) await r.shim.clear()
      assert.ok(r.logged().length <= 6 * MB)
      assert.deepEqual((await r.shim.state()).lost, { stdout: 0, stderr: 0 }, 'cleared is not lost')
    })

    test('rotate within a line waits for its end, or for the program’s; an empty file is left alone', async t => {
      const r = await rig(t, build)
      const first = gate(r, 'first')
      const second = gate(r, 'second')
      const logs = r.log({ backups: 5 })
      await r.shim.run(sh(`printf 'half a '; ${first.wait}; printf 'line\\nnext'; ${second.wait}`), logs)
      await r.shim.rotate()
      await until(() => r.logged().length === 7, 'the first half')
      await r.shim.rotate()
      assert.deepEqual(logFiles(r.work).length, 1)
      await first.open()
      await until(() => r.seen.some(each => each.kind === 'rotated'), 'the rotation')
      await until(() => r.logged().toString().endsWith('next'), 'the next line')
      assert.equal(readFileSync(join(r.work, 'log.1'), 'utf8'), 'half a line\n')
      await r.shim.rotate()
      await second.open()
      await r.exited()
      assert.equal(readFileSync(join(r.work, 'log.1'), 'utf8'), 'next')
      assert.equal(readFileSync(join(r.work, 'log'), 'utf8'), '')
      const files = logFiles(r.work).length
      await r.shim.rotate()
      assert.equal(logFiles(r.work).length, files)
    })

    test('a log that others move or truncate is found again', async t => {
      const r = await rig(t, build)
      await r.shim.run(sh('i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.005; done'), r.log())
      const log = join(r.work, 'log')
      await until(() => r.logged().length > 20, 'output')
      renameSync(log, join(r.work, 'moved'))
      await until(() => existsSync(log) && statSync(log).size > 0, 'a new file behind the path, within a second or so')
      renameSync(log, join(r.work, 'moved.again'))
      await r.shim.reopen()
      assert.ok(existsSync(log), 'reopen does so at once')
      await until(() => r.logged().length > 20, 'output')
      linkSync(log, join(r.work, 'same'))
      execFileSync('truncate', ['-s', '0', log])
      await until(() => r.logged().length > 0, 'output')
      assert.notEqual(readFileSync(log)[0], 0, 'no hole where the old bytes were')
      await r.shim.signal('KILL', 'tree')
      await r.exited()
      const all = ['moved', 'moved.again', 'log'].map(name => readFileSync(join(r.work, name), 'latin1')).join('')
      const numbers = [...all.matchAll(/^tick (\d+)$/gm)].map(match => Number(match[1]))
      assert.ok(new Set(numbers).size === numbers.length, 'a line was doubled')
    })
  })
}
