// Program logs end to end: nothing lost at full speed over rotations, losses counted and shown, followers that miss nothing.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fixture, system, until } from './rig.js'

const noProxy = 'proxy: { listen: none }\n'
const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

/** Log files of one program, oldest first. */
function logFiles(dir: string, name: string): string[] {
  const number = (file: string): number => Number(file.slice(name.length + 1) || 0)
  return readdirSync(dir)
    .filter(file => file === name || /^\.\d+$/.test(file.slice(name.length)))
    .filter(file => file.startsWith(name))
    .sort((a, b) => number(b) - number(a))
    .map(file => join(dir, file))
}

function rssKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

test('200 MB as fast as it can, rotated at 20 MB: no line lost, torn or doubled, and the daemon does not grow', async t => {
  const rig = await system(
    t,
    `${noProxy}programs:\n  flood:\n    command: ${fixture('flood')} 200\n    autostart: false\n    autorestart: false\n    startsecs: 0\n    stdout_logfile: '@dir/flood.log'\n    stdout_logfile_maxbytes: 20MB\n    stdout_logfile_backups: 20\n`,
  )
  const daemon = rig.daemon().pid as number
  const before = rssKb(daemon)
  assert.equal((await rig.ctl('start', 'flood')).code, 0)
  const status = await rig.when('flood', each => each.state === 'EXITED', 120_000)
  const grownMb = (rssKb(daemon) - before) / 1024
  const files = logFiles(rig.dir, 'flood.log')
  assert.ok(files.length >= 10, `${files.length} files`)
  let next = 0
  for (const file of files) {
    const bytes = readFileSync(file)
    assert.equal(bytes.length % 100, 0, `${file} is cut inside a line`)
    for (let at = 0; at < bytes.length; at += 100, next++) {
      if (Number.parseInt(bytes.toString('latin1', at, at + 20), 10) !== next)
        assert.fail(`${file} at ${at}: not line ${next}: ${bytes.toString('latin1', at, at + 30)}`)
    }
  }
  assert.equal(next, 2_000_000)
  assert.equal(status.logLost.bytes, 0)
  assert.ok(grownMb < 20, `the daemon grew by ${grownMb} MB`)
  t.diagnostic(`${(200 / ((status.stoppedAtMs - status.startedAtMs) / 1000)).toFixed(0)} MB/s; the daemon grew by ${grownMb.toFixed(1)} MB`)
})

test('a full disk and a removed log directory cost lines, which are counted and shown, and never the program', async t => {
  const line = 'x'.repeat(200)
  const rig = await system(
    t,
    `${noProxy}programs:\n  talk:\n    command: sh -c 'while :; do echo ${line}; sleep 0.005; done'\n    autostart: false\n    stdout_logfile: '@dir/small/talk.log'\n    stdout_logfile_maxbytes: 0\n    startsecs: 0\n`,
  )
  const small = join(rig.dir, 'small')
  mkdirSync(small)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small], { stdio: 'pipe' })
  } catch (error) {
    assert.notEqual(process.env.CI, 'true', `CI must be able to mount a small disk: ${(error as Error).message}`)
    t.skip('needs the right to mount a tmpfs (root)')
    return
  }
  await rig.ctl('start', 'talk')
  const full = await rig.when('talk', status => status.logLost.bytes > 0, 60_000).finally(() => execFileSync('umount', ['-l', small]))
  assert.equal(full.state, 'RUNNING')
  assert.match(full.logLost.error, /No space left on device/)
  assert.match((await rig.ctl('status')).stdout, /lost/)
  const { pid } = full
  renameSync(small, `${small}-gone`)
  const more = await rig.when('talk', status => /No such file/.test(status.logLost.error), 60_000)
  assert.equal(more.pid, pid)
  mkdirSync(small)
  await until(
    () => existsSync(join(small, 'talk.log')) && /lost \d+ bytes/.test(readFileSync(join(small, 'talk.log'), 'utf8')),
    'the loss is told in the log',
    60_000,
  )
  assert.equal((await rig.one('talk')).pid, pid)
})

test('logs -f follows several programs through rotations without a gap or a repeat', async t => {
  const rig = await system(
    t,
    `${noProxy}programs:\n  count:\n    command: sh -c 'echo here; while [ ! -e @dir/go ]; do sleep 0.1; done; i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; sleep 1000'\n    startsecs: 0\n    numprocs: 2\n    stdout_logfile: '@dir/\${num}.log'\n    stdout_logfile_maxbytes: 4KB\n    stdout_logfile_backups: 30\n`,
  )
  const follower = spawn(process.execPath, [cli, '-c', join(rig.dir, 'guard.yaml'), 'logs', '-f'], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => follower.kill('SIGKILL'))
  let heard = ''
  follower.stdout.on('data', chunk => (heard += chunk))
  await until(
    () => (heard.match(/here$/gm) ?? []).length === 2,
    () => `the follower is there: ${heard}`,
  )
  writeFileSync(join(rig.dir, 'go'), '')
  await until(
    () => (heard.match(/line 2999$/gm) ?? []).length === 2,
    () => `heard ${heard.length} bytes: …${heard.slice(-300)}`,
    60_000,
  )
  for (const id of ['count_00', 'count_01']) {
    const numbers = heard
      .split('\n')
      .filter(text => text.includes(id) && text.includes('line'))
      .map(text => Number(/line (\d+)/.exec(text)?.[1]))
    assert.deepEqual(numbers, [...Array(3000).keys()])
  }
  follower.kill('SIGINT')
  await once(follower, 'exit')
})

test('the output of a program that lives for an instant is never lost: 50 runs', async t => {
  const programs = [...Array(50).keys()].map(
    n => `  p${n}: { command: "echo word ${n}", startsecs: 0, autorestart: false, stdout_logfile: '@dir/p${n}.log' }`,
  )
  const rig = await system(t, `${noProxy}programs:\n${programs.join('\n')}\n`)
  await until(async () => (await rig.status()).every(status => status.state === 'EXITED'), 'all have exited')
  for (const n of Array(50).keys()) assert.equal(readFileSync(join(rig.dir, `p${n}.log`), 'utf8'), `word ${n}\n`)
})
