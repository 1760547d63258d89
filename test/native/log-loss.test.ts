// guard-shim: a log that cannot be written never stops the program, and every lost byte is counted and told.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fairClock } from '../conformance/machine.js'
import { builds, fixture, gate, inOwnMounts, isRoot, lives, nowhere, type Rig, rig, runSpec, sh, until } from './rig.js'

const NOTE = /\[guard-shim\] lost (\d+) bytes of (stdout|stderr) \(([^)]+)\)\n/g

const kinds = (r: Rig): string[] => r.seen.map(each => each.kind)

/** What the notes in the log say was lost, and the log without them. */
function withoutNotes(text: string): { lost: number; text: string; reasons: string[] } {
  const notes = [...text.matchAll(NOTE)]
  return {
    lost: notes.reduce((sum, note) => sum + Number(note[1]), 0),
    text: text.replace(NOTE, ''),
    reasons: notes.map(note => note[3] as string),
  }
}

for (const build of builds) {
  describe(`guard-shim (${build.name})`, () => {
    test('a full disk loses the bytes that do not fit, says so, and goes on when there is room', {
      skip: !isRoot && 'needs root to mount a tmpfs',
    }, async t => {
      const mount = 'mkdir -p "$1/small" && mount -t tmpfs -o size=1m tmpfs "$1/small" || exit 1'
      const r = await rig(t, build, { binary: inOwnMounts(t, build, mount) })
      const small = join(r.work, 'small')
      const inside = join(`/proc/${r.shim.hello.shim}/root`, small)
      writeFileSync(join(inside, 'filler'), Buffer.alloc(400_000))
      const logs = { stdout: { path: join(small, 'log'), maxBytes: 0, backups: 0 }, stderr: null }
      const room = gate(r, 'room')
      const slow = 'i=1000; while [ $i -lt 1200 ]; do echo slow $i; i=$((i+1)); sleep 0.002; done'
      const { pid } = await r.shim.run(sh(`${fixture('flood')} 2; ${room.wait}; ${slow}`), logs)
      await until(() => kinds(r).includes('log_lost'), 'the loss')
      const loss = r.seen.find(each => each.kind === 'log_lost')
      assert.ok(loss?.kind === 'log_lost' && loss.error === 'No space left on device' && loss.stream === 'stdout' && loss.bytes > 0)
      assert.ok(lives(pid))
      unlinkSync(join(inside, 'filler'))
      await room.open()
      await r.exited()
      assert.ok(kinds(r).includes('log_ok'))
      const { text, lost, reasons } = withoutNotes(readFileSync(join(inside, 'log'), 'latin1'))
      const counted = (await r.shim.state()).lost.stdout
      assert.deepEqual(reasons, ['No space left on device'])
      assert.equal(lost, counted, 'the note, the event and the counter agree')
      const produced = 2_000_000 + 200 * 'slow 1000\n'.length
      const freshLine = text.length + counted - produced
      assert.ok(freshLine === 0 || freshLine === 1, `${text.length} written + ${counted} lost, of ${produced}`)
      assert.match(text, /\n(slow \d{4}\n)+$/, 'what follows the note is whole lines')
    })

    test('without its directory the log is lost and counted, the program lives; with it, the log goes on', async t => {
      const r = await rig(t, build)
      const place = join(r.work, 'logs')
      mkdirSync(place)
      const logs = { stdout: { path: join(place, 'out'), maxBytes: 0, backups: 0 }, stderr: null }
      const { pid } = await r.shim.run(sh('i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.002; done'), logs)
      await until(() => statSync(join(place, 'out')).size > 50, 'output')
      rmSync(place, { recursive: true })
      await until(() => kinds(r).includes('log_lost'), 'the loss')
      const first = r.seen[0]
      assert.ok(first?.kind === 'log_lost' && first.error === 'No such file or directory')
      await until(() => kinds(r).filter(kind => kind === 'log_lost').length >= 2, 'the growing loss')
      assert.ok(lives(pid))
      mkdirSync(place)
      await until(() => kinds(r).includes('log_ok'), 'the recovery')
      await r.shim.signal('KILL', 'tree')
      await r.exited()
      const text = readFileSync(join(place, 'out'), 'utf8')
      const { lost, reasons } = withoutNotes(text)
      assert.deepEqual(reasons, ['No such file or directory'])
      assert.equal((await r.shim.state()).lost.stdout, lost)
      assert.match(text, /^\[guard-shim\] lost \d+ bytes of stdout \(No such file or directory\)\ntick \d+\n/, 'it goes on at a line start')
    })

    test('log_lost comes at once and then at most once a second, with the sum so far', async t => {
      const r = await rig(t, build)
      const logs = { stdout: { path: join(r.work, 'nowhere', 'out'), maxBytes: 0, backups: 0 }, stderr: null }
      const from = performance.now()
      const { pid } = await r.shim.run(sh('i=0; while [ $i -lt 150 ]; do echo 123456789; i=$((i+1)); sleep 0.01; done'), logs)
      const passedMs = fairClock(process.pid, r.shim.hello.shim, pid)
      await until(() => r.seen.length > 0, 'the first')
      assert.ok(passedMs() < 900, `${passedMs()} ms`)
      await r.exited()
      const losses = r.seen.flatMap(each => (each.kind === 'log_lost' ? [each.bytes] : []))
      assert.ok(losses.length >= 2 && losses.length <= 2 + Math.ceil((performance.now() - from) / 1000), `${losses}`)
      assert.deepEqual(
        [...losses].sort((a, b) => a - b),
        losses,
      )
      assert.equal(losses.at(-1), 1500)
      assert.equal((await r.shim.state()).lost.stdout, 1500)
    })

    test('a deleted log file is made again with the next line, and nothing goes into the deleted one', async t => {
      const r = await rig(t, build)
      const gone = gate(r, 'gone')
      const seen = gate(r, 'seen')
      await r.shim.run(sh(`echo before; ${gone.wait}; echo after; ${seen.wait}`), r.log())
      await until(() => r.logged().length > 0, 'output')
      unlinkSync(join(r.work, 'log'))
      await gone.open()
      await until(() => existsSync(join(r.work, 'log')) && r.logged().length > 0, 'the new file')
      assert.equal(r.logged().toString(), 'after\n')
      await seen.open()
      await r.exited()
      assert.deepEqual((await r.shim.state()).lost, { stdout: 0, stderr: 0 })
    })

    test('a log that cannot be opened does not fail the start', async t => {
      const r = await rig(t, build)
      const at = (path: string) => ({ stdout: { path, maxBytes: 10, backups: 1 }, stderr: 'stdout' as const })
      for (const path of ['/nope/log', r.work, '/proc/nope', join(r.work, 'x'.repeat(300))]) {
        await r.shim.run(sh('echo lost; exit 5'), at(path))
        assert.equal((await r.exited()).code, 5, path)
      }
      assert.equal((await r.shim.state()).lost.stdout, 4 * 5)
      await assert.rejects(r.shim.run(sh('exit 0'), at(`/${'y/'.repeat(2100)}`)), {
        code: 'SPAWN_ERROR',
        message: 'log: File name too long',
      })
      await r.shim.run(sh('echo null'), at('/dev/null'))
      await r.exited()
      assert.ok(statSync('/dev/null').isCharacterDevice(), 'only regular files are rotated')
    })

    test('a fifo nobody reads, or reads too slowly, does not hold the program', async t => {
      const r = await rig(t, build)
      const fifo = join(r.work, 'fifo')
      execFileSync('mkfifo', [fifo])
      const logs = { stdout: { path: fifo, maxBytes: 0, backups: 0 }, stderr: null }
      await r.shim.run(runSpec([fixture('flood'), '1']), logs)
      assert.equal((await r.exited()).code, 0)
      assert.equal((await r.shim.state()).lost.stdout, 1_000_000)
    })

    test('where a rotation is not allowed the file grows on and nothing is lost', {
      skip: !isRoot && 'needs root to become nobody',
    }, async t => {
      const r = await rig(t, build)
      chmodSync(r.work, 0o755)
      const place = join(r.work, 'closed')
      const run = join(r.work, 'run')
      for (const dir of [place, run]) mkdirSync(dir, { mode: 0o777 })
      chmodSync(run, 0o777)
      writeFileSync(join(place, 'out'), '')
      chmodSync(join(place, 'out'), 0o666)
      const script = join(r.work, 'as-nobody')
      writeFileSync(script, `#!/bin/sh\nexec /usr/bin/setpriv --reuid nobody --regid nogroup --clear-groups ${build.binary} "$@"\n`, {
        mode: 0o755,
      })
      const other = await rig(t, build, { binary: script, dir: run })
      chmodSync(place, 0o555)
      await other.shim.run(runSpec([fixture('flood'), '1']), {
        stdout: { path: join(place, 'out'), maxBytes: 1000, backups: 3 },
        stderr: null,
      })
      await other.exited()
      assert.equal(statSync(join(place, 'out')).size, 1_000_000)
      assert.deepEqual(readdirSync(place), ['out'])
      await assert.rejects(other.shim.rotate(), { code: 'SHIM_FAILED', message: /: log: Permission denied$/ })
      assert.deepEqual((await other.shim.state()).lost, { stdout: 0, stderr: 0 })
      await other.shim.run(sh('exit 0'), nowhere)
      await other.exited()
    })
  })
}
