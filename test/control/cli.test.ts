// guardctl as people meet it: command lines → stdout, stderr, exit code, over the real server and a scripted guard.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../src/core/error.js'
import { FakeGuard, inParallel, logFile, served } from './fakes.js'

const NAMES_HINT = 'hint: `guardctl status` lists the names\n'

function twoAndAPool(): FakeGuard {
  return new FakeGuard()
    .running('web', { pid: 41 })
    .program('idle')
    .program('dead', {}, { fails: 'ABNORMAL_TERMINATION', message: 'dead ended with exit status 3 within 1 s' })
    .program('lost', {}, { fails: 'SPAWN_ERROR', message: 'exec: No such file or directory: /nope' })
    .running('pool:pool_00', { pid: 51 })
    .running('pool:pool_01', { pid: 52 })
}

test('verbs that act print one supervisorctl line per name and end with its exit codes', async t => {
  const { guardctl } = await served(t, twoAndAPool())
  const rows: [words: string, stdout: string, exit: number, stderr?: string][] = [
    ['start idle', 'idle: started\n', 0],
    ['start idle web', 'idle: ERROR (already started)\nweb: ERROR (already started)\n', 0],
    ['start nope', 'nope: ERROR (no such process)\n', 1, NAMES_HINT],
    ['start nope:*', 'nope: ERROR (no such group)\n', 2, NAMES_HINT],
    ['start pool', 'pool: ERROR (no such process)\n', 1, 'hint: pool is a group: say pool:*\n'],
    [
      'start lost',
      'lost: ERROR (spawn error)\n',
      7,
      '  exec: No such file or directory: /nope\nhint: mend what the message names (path, directory, user, limit), then `start` it again\n',
    ],
    [
      'start dead',
      'dead: ERROR (abnormal termination)\n',
      7,
      '  dead ended with exit status 3 within 1 s\nhint: `guardctl tail NAME stderr` shows its last words\n',
    ],
    ['start', 'Error: start requires a process name\n', 2, 'usage: guardctl start NAME...\n'],
    ['stop', 'Error: stop requires a process name\n', 1, 'usage: guardctl stop NAME...\n'],
    ['stop idle nope', 'idle: stopped\nnope: ERROR (no such process)\n', 1, NAMES_HINT],
    ['stop idle', 'idle: ERROR (not running)\n', 0],
    ['stop pool:', 'pool:pool_00: stopped\npool:pool_01: stopped\n', 0],
    ['stop pool:*', '', 0],
    ['restart idle', 'idle: ERROR (not running)\nidle: started\n', 0],
    ['restart pool:*', 'pool:pool_00: started\npool:pool_01: started\n', 0],
    ['restart pool:', 'pool:pool_00: stopped\npool:pool_01: stopped\npool:pool_00: started\npool:pool_01: started\n', 0],
    ['stop pool:*', 'pool:pool_00: stopped\npool:pool_01: stopped\n', 0],
    ['restart nope', 'nope: ERROR (no such process)\nnope: ERROR (no such process)\n', 1, NAMES_HINT],
    ['start pool:pool_01 pool:*', 'pool:pool_01: started\npool:pool_00: started\npool:pool_01: started\n', 0],
    ['signal HUP web', 'web: signalled\n', 0],
    ['signal sigusr1 pool:*', 'pool:pool_00: signalled\npool:pool_01: signalled\n', 0],
    ['signal 15 idle dead', 'idle: signalled\ndead: ERROR (not running)\n', 7],
    ['signal FOO web', 'web: ERROR (bad signal name)\n', 1, 'hint: one of TERM HUP INT QUIT KILL USR1 USR2 CONT STOP\n'],
    ['signal HUP', 'Error: signal requires a signal name and a process name\n', 1, 'usage: guardctl signal SIGNAL NAME...\n'],
    ['stop all', 'web: stopped\nidle: stopped\npool:pool_00: stopped\npool:pool_01: stopped\n', 0],
    ['clear web pool:pool_00', 'web: cleared\npool:pool_00: cleared\n', 0],
    ['clear nope', 'nope: ERROR (no such process)\n', 1, NAMES_HINT],
  ]
  for (const [words, stdout, exit, stderr = ''] of rows) {
    assert.deepEqual(await guardctl(...words.split(' ')), { stdout, stderr, exit }, words)
  }
})

test('looking verbs: status, pid, avail, version', async t => {
  const guard = twoAndAPool()
  const { guardctl } = await served(t, guard)
  const web = 'web                              RUNNING   pid 41, uptime 0:00:05\n'
  const pool = `pool:pool_00                     RUNNING   pid 51, uptime 0:00:05\npool:pool_01                     RUNNING   pid 52, uptime 0:00:05\n`
  const down = (name: string): string => `${name.padEnd(33)}STOPPED   Not started\n`
  const all = `${down('dead')}${down('idle')}${down('lost')}${pool}${web}`
  const rows: [words: string, stdout: string, exit: number, stderr?: string][] = [
    ['', all, 3],
    ['status', all, 3],
    ['status all web', all, 3],
    ['status web', web, 0],
    ['status pool:* web', `${pool}${web}`, 0],
    ['status nope web', `nope: ERROR (no such process)\n${web}`, 4, NAMES_HINT],
    ['status nope:*', 'nope: ERROR (no such group)\n', 4, NAMES_HINT],
    ['status nope idle', `nope: ERROR (no such process)\n${down('idle')}`, 3, NAMES_HINT],
    ['pid', `${process.pid}\n`, 0],
    ['pid web', '41\n', 0],
    ['pid idle', '0\n', 7],
    ['pid all', '0\n0\n0\n51\n52\n41\n', 0],
    ['pid nope', 'No such process nope\n', 1, NAMES_HINT],
    ['version', '9.8.7\n', 0],
    ['version x', 'Error: version accepts no arguments\n', 1, 'usage: guardctl version\n'],
    ['avail x', 'Error: avail accepts no arguments\n', 1, 'usage: guardctl avail\n'],
  ]
  await inParallel(rows, async ([words, stdout, exit, stderr = '']) => {
    assert.deepEqual(await guardctl(...words.split(' ').filter(Boolean)), { stdout, stderr, exit }, words)
  })
  const avail = await guardctl('avail')
  assert.equal(avail.stdout.split('\n')[3], 'pool:pool_00                     in use    auto      999:999')
})

test('the reason of BACKOFF and FATAL is the description; a FATAL one shows its last lines, control characters made visible', async t => {
  const guard = new FakeGuard()
    .program('a', { state: 'BACKOFF', reason: 'ended with exit status 1; next try in 2 s', lastLines: ['not shown'] })
    .program('b', { state: 'FATAL', reason: 'spawn: chdir: No such\nfile', lastLines: ['one', 'two \u001b[31mred\u0007'] })
    .program('c', { state: 'FATAL' })
    .running('d', { pid: 7, ready: false, reason: 'connection refused', logLost: { bytes: 12, error: 'No space left on device' } })
  const { guardctl } = await served(t, guard)
  const { stdout, exit } = await guardctl('status')
  const pad = (name: string): string => name.padEnd(33)
  assert.equal(
    stdout,
    [
      `${pad('a')}BACKOFF   ended with exit status 1; next try in 2 s`,
      `${pad('b')}FATAL     spawn: chdir: No such\\x0afile`,
      '    | one',
      '    | two \\x1b[31mred\\x07',
      `${pad('c')}FATAL     unknown error (try "tail c")`,
      `${pad('d')}RUNNING   pid 7, uptime 0:00:05, not ready (connection refused)`,
      '    ! 12 bytes of log lost: No space left on device',
      '',
    ].join('\n'),
  )
  assert.equal(exit, 3)
})

test('configuration verbs print what changed in supervisorctl’s words', async t => {
  const guard = twoAndAPool()
  const { guardctl } = await served(t, guard)
  const none = await guardctl('reread')
  assert.deepEqual(none, { stdout: 'No config updates to processes\n', stderr: '', exit: 0 })
  guard.changes = { added: ['zed', 'new'], changed: ['web'], removed: ['idle'] }
  guard.report = {
    groups: [
      { name: 'idle', change: 'stopped' },
      { name: 'idle', change: 'removed' },
      { name: 'web', change: 'updated' },
      { name: 'new', change: 'added' },
    ],
    restarted: ['web'],
    applied: ['pool: stdout_logfile_maxbytes'],
  }
  const report =
    'idle: stopped\nidle: removed process group\nweb: updated process group\nnew: added process group\nweb: restarted\n' +
    'pool: stdout_logfile_maxbytes: applied without a restart\n'
  const rows: [words: string, stdout: string, exit: number][] = [
    ['reread', 'idle: disappeared\nnew: available\nweb: changed\nzed: available\n', 0],
    ['update', report, 0],
    ['update nope', 'ERROR: no such group: nope\n', 1],
    ['update nope new', `ERROR: no such group: nope\n${report}`, 1],
    ['add web', 'ERROR: process group already active\n', 0],
    ['add nope', 'ERROR: no such process/group: nope\n', 1],
    ['add new', 'new: added process group\n', 0],
    ['remove web', 'ERROR: process/group still running: web\n', 1],
    ['remove nope', 'ERROR: no such process/group: nope\n', 1],
    ['remove new', 'new: removed process group\n', 0],
    ['reload', 'Restarted autodl-guard\n', 0],
    ['reload x', 'Error: reload accepts no arguments\n', 1],
    ['shutdown', 'Shut down\n', 0],
  ]
  for (const [words, stdout, exit] of rows) {
    const ran = await guardctl(...words.split(' '))
    assert.deepEqual([ran.stdout, ran.exit], [stdout, exit], words)
  }
  assert.deepEqual(
    guard.calls.filter(call => call.startsWith('update')),
    ['update', 'update new'],
    'names that do not exist must not become "all"',
  )
})

test('a refused configuration and a daemon that is going say so in one line with a hint', async t => {
  const guard = twoAndAPool()
  const { guardctl } = await served(t, guard)
  guard.refusal = new AppError('CONFIG_INVALID', 'guard.yaml:3:5: unknown option "comand"')
  const ran = await guardctl('reread')
  assert.deepEqual(ran, {
    stdout: 'ERROR: guard.yaml:3:5: unknown option "comand"\n',
    stderr: 'hint: mend the lines named; `guardctl check FILE` shows them without touching what runs\n',
    exit: 1,
  })
  assert.equal((await guardctl('update')).exit, 1)
  assert.equal((await guardctl('reload')).exit, 1)
  guard.refusal = new AppError('SHUTTING_DOWN', 'the daemon stops')
  const again = await guardctl('shutdown')
  assert.deepEqual([again.stdout, again.exit], ['ERROR: already shutting down\n', 0])
  assert.equal((await guardctl('start', 'idle')).exit, 1)
})

test('--json: every verb answers with JSON that has the exit code’s facts', async t => {
  const guard = twoAndAPool()
  const { guardctl, directory } = await served(t, guard)
  guard.instances[0]!.logs.stdout = logFile(directory, 'web.log', Buffer.from('plain\n\xff\xfe\n', 'latin1'))
  const json = async (...words: string[]): Promise<unknown> => JSON.parse((await guardctl('--json', ...words)).stdout)
  const status = (await json('status', 'web', 'nope')) as { instances: { id: string }[]; unknown: { name: string }[] }
  assert.deepEqual([status.instances.map(one => one.id), status.unknown.map(one => one.name)], [['web'], ['nope']])
  assert.deepEqual(await json('start', 'nope'), [
    { name: 'nope', kind: 'process', code: 'BAD_NAME', message: 'no such process', hint: '`guardctl status` lists the names' },
  ])
  assert.deepEqual(Object.keys((await json('restart', 'web')) as object), ['stopped', 'started'])
  assert.deepEqual(await json('reread'), { added: [], changed: [], removed: [] })
  assert.deepEqual((await json('version')) as object, { version: '9.8.7', startedAtMs: 1 })
  assert.deepEqual(await json('stop'), {
    error: { code: 'USAGE', message: 'stop requires a process name', hint: 'usage: guardctl stop NAME...' },
  })
  assert.ok(Array.isArray(((await json('top')) as { usage: unknown }).usage))
  const tail = await guardctl('tail', 'web', '--json')
  assert.equal(tail.stdout, '{"name":"web","channel":"stdout","text":"plain"}\n{"name":"web","channel":"stdout","base64":"//4="}\n')
})

test('a long list of names is as good as a short one', async t => {
  const guard = new FakeGuard()
  const names = Array.from({ length: 800 }, (_, number) => `service-with-a-long-name-${number}`)
  for (const name of names) guard.program(name)
  const { guardctl } = await served(t, guard)
  assert.equal((await guardctl('status', ...names)).stdout.split('\n').length, 801)
  assert.equal((await guardctl('start', ...names)).exit, 0)
})

test('help, unknown commands and options: one clear line, exit 2', async t => {
  const { guardctl } = await served(t, new FakeGuard())
  const list = await guardctl('help')
  assert.equal(list.exit, 0)
  assert.match(list.stdout, /^ {2}restart NAME\.\.\. +stop, then start/m)
  for (const words of [
    ['start', '-h'],
    ['-h', 'start'],
    ['help', 'start'],
    ['start', '--help'],
  ]) {
    const one = await guardctl(...words)
    assert.equal(one.exit, 0)
    assert.match(one.stdout, /^usage: guardctl start NAME\.\.\.\n/)
    assert.match(one.stdout, /7 {2}it did not come up/)
  }
  const rows: [words: string, stderr: RegExp][] = [
    ['statsu', /^Error: unknown command statsu\nhint: did you mean status\?/],
    ['frobnicate', /^Error: unknown command frobnicate\nhint: `guardctl help` lists the commands/],
    ['-z status', /^Error: option -z not recognized\n/],
    ['-c', /^Error: option -c needs a value\n/],
    ['-s http://localhost:9001 status', /^Error: not a socket URL: http:\/\/localhost:9001\nhint: write -s unix:\/\/\/path\/guard.sock\n/],
    ['-c /nowhere/guard.yaml status', /^/],
  ]
  await inParallel(rows, async ([words, stderr]) => {
    const ran = await guardctl(...words.split(' '))
    assert.match(ran.stderr, stderr, words)
    assert.equal(ran.stderr.split('\n').length <= 3, true, words)
    if (words !== '-c /nowhere/guard.yaml status') assert.deepEqual([ran.exit, ran.stdout], [2, ''], words)
  })
  assert.equal((await guardctl('status', '-f')).exit, 2)
  assert.equal((await guardctl('tail', '-x', 'web')).exit, 1)
  assert.equal((await guardctl('help', 'nope')).exit, 2)
})

test('top prints one table where the output is no terminal', async t => {
  const { guardctl } = await served(t, twoAndAPool())
  const { stdout, exit } = await guardctl('top', 'web', 'idle')
  assert.equal(
    stdout,
    [
      'NAME  STATE    PID  CPU%  MEMORY  PROCS  RESTARTS  UPTIME',
      'idle  STOPPED    -     -       -      -         0',
      'web   RUNNING   41  12.3  3.3 MB      2         0  0:00:05',
      '',
    ].join('\n'),
  )
  assert.equal(exit, 0)
  assert.equal((await guardctl('top', '--once', 'nope')).exit, 1)
})
