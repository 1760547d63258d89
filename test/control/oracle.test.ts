// The same command lines to the real supervisorctl and to guardctl: same lines, same exit codes.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FakeGuard, logFile, type Ran, served, temporaryDirectory } from './fakes.js'

const SUPERVISORD = '/usr/bin/supervisord'
const SUPERVISORCTL = '/usr/bin/supervisorctl'

/** In an order that leaves each command the states it needs; both sides go through the same ones. */
const SAME: string[] = [
  'status',
  'status web nope',
  'status pool:*',
  'status nope:*',
  'start',
  'start nope',
  'start web',
  'start dies',
  'start idle web',
  'stop',
  'stop idle nope:*',
  'stop idle',
  'stop pool:*',
  'stop pool:*',
  'restart pool:',
  'restart nope',
  'restart idle',
  'signal HUP',
  'signal SIGFOO web',
  'signal cont web nope',
  'signal CONT dies',
  'pid nope',
  'pid dies',
  'tail',
  'tail web',
  'tail -3 web',
  'tail web stderr',
  'tail web foo',
  'tail nope',
  'tail -x web',
  'clear',
  'clear web pool:pool_00',
  'avail',
  'reread',
  'reread x',
  'add web',
  'add nope',
  'remove web',
  'update nope',
  'stop all',
  'status',
]

const CONFIG = (directory: string): string => `
[unix_http_server]
file=${directory}/supervisor.sock
[supervisord]
logfile=${directory}/supervisord.log
pidfile=${directory}/supervisord.pid
childlogdir=${directory}
nodaemon=true
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${directory}/supervisor.sock
[program:web]
command=sh -c "trap '' HUP; echo hello; echo oops >&2; exec sleep 1000"
startsecs=0
[program:idle]
command=sleep 1000
autostart=false
startsecs=0
[program:dies]
command=sh -c "exit 3"
startretries=0
[program:pool]
command=sleep 1000
startsecs=0
numprocs=2
process_name=%(program_name)s_%(process_num)02d
`

test('guardctl prints supervisorctl’s lines and ends with its exit codes', async t => {
  if (!existsSync(SUPERVISORD) || !existsSync(SUPERVISORCTL)) {
    assert.notEqual(process.env.CI, 'true', 'CI has the Debian package supervisor')
    return t.skip('needs the Debian package supervisor')
  }
  const supervisorctl = await startSupervisord(t)
  const { guardctl } = await scriptedTwin(t)
  const [theirs, ours] = await Promise.all([inOrder(supervisorctl), inOrder(guardctl)])
  assert.match(theirs[0]!.stdout, /^pool:pool_00 +RUNNING +pid/m, 'the oracle speaks')
  for (const [place, words] of SAME.entries()) {
    assert.deepEqual(comparable(ours[place]!, words), comparable(theirs[place]!, words), `line ${place}: ${words}`)
  }
})

async function inOrder(ctl: (...words: string[]) => Promise<Ran>): Promise<Ran[]> {
  const all: Ran[] = []
  for (const words of SAME) all.push(await ctl(...words.split(' ')))
  return all
}

// What may differ: process ids, times, and the help supervisorctl prints below a complaint (ours is one usage line on stderr).
// What a tail adds: supervisorctl ends it with a newline of its own, guardctl passes the bytes as they are.
function comparable({ stdout, exit }: Ran, words: string): { lines: string[]; exit: number | null } {
  const text = stdout.replace(/pid \d+, uptime \d+:\d\d:\d\d/g, 'pid N, uptime T').replace(/[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M/g, 'MOMENT')
  const lines = text.replace(/\n+$/, '').split('\n')
  const isComplaint = lines[0]!.startsWith('Error: ')
  const isUnordered = words.endsWith(' all')
  return { lines: isComplaint ? lines.slice(0, 1) : isUnordered ? lines.toSorted() : lines, exit }
}

async function startSupervisord(t: TestContext): Promise<(...words: string[]) => Promise<Ran>> {
  const directory = temporaryDirectory(t)
  const config = join(directory, 'supervisord.conf')
  writeFileSync(config, CONFIG(directory))
  const daemon = spawn(SUPERVISORD, ['-c', config], { stdio: 'ignore', cwd: directory })
  const gone = new Promise(resolve => daemon.once('close', resolve))
  t.after(async () => {
    daemon.kill('SIGTERM')
    await gone
  })
  const ctl = (...words: string[]): Promise<Ran> => collect(SUPERVISORCTL, ['-c', config, ...words])
  const from = performance.now()
  while (!/^dies +FATAL/m.test((await ctl('status')).stdout)) {
    assert.ok(performance.now() - from < 60_000, 'supervisord gives up on the program that dies')
  }
  return ctl
}

// Its words must not depend on this machine's language.
function collect(file: string, words: string[]): Promise<Ran> {
  const child = spawn(file, words, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', data => {
    stdout += data
  })
  child.stderr.on('data', data => {
    stderr += data
  })
  return new Promise(resolve => child.once('close', exit => resolve({ stdout, stderr, exit })))
}

async function scriptedTwin(t: TestContext): Promise<{ guardctl(...words: string[]): Promise<Ran> }> {
  const guard = new FakeGuard()
    .running('web')
    .program('idle')
    .program(
      'dies',
      { state: 'FATAL', wanted: 'up', startedAtMs: 1, reason: 'Exited too quickly (process log may have details)' },
      { fails: 'SPAWN_ERROR', message: 'dies ended with exit status 3 within 1 s' },
    )
    .running('pool:pool_00')
    .running('pool:pool_01')
  const place = await served(t, guard)
  guard.instances[0]!.logs = {
    stdout: logFile(place.directory, 'out.log', 'hello\n'),
    stderr: logFile(place.directory, 'err.log', 'oops\n'),
  }
  return place
}
