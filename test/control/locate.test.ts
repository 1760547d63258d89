// Which daemon guardctl talks to, and what it says when there is none.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseArguments } from '../../src/control/cli/arguments.js'
import { locateSocket } from '../../src/control/cli/locate.js'
import { serveControl } from '../../src/control/server.js'
import { FakeGuard, inParallel, run, temporaryDirectory } from './fakes.js'

test('-s, then GUARD_RUN_DIR, then guard.run_dir, then the default for the file', async t => {
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'plain.yaml'), 'programs: {}\n')
  writeFileSync(join(cwd, 'run.yaml'), 'guard:\n  run_dir: here/run\n')
  writeFileSync(join(cwd, 'absolute.yaml'), 'guard: { run_dir: /run/other }\n')
  writeFileSync(join(cwd, 'expands.yaml'), 'guard: { run_dir: "${here}/${env.WHERE:-some}/run" }\n')
  writeFileSync(join(cwd, 'comment.yaml'), '# run_dir: /no\nprograms: {}\n')
  writeFileSync(join(cwd, 'empty.yaml'), '# run_dir\n')
  const rows: [argv: string[], env: Record<string, string>, want: string][] = [
    [['-s', 'unix:///a/b.sock', 'status'], { GUARD_RUN_DIR: '/x' }, '/a/b.sock'],
    [['--serverurl=unix:///a/b.sock', 'status'], {}, '/a/b.sock'],
    [['-c', 'run.yaml', 'status'], { GUARD_RUN_DIR: '/x/' }, '/x/guard.sock'],
    [['-c', 'run.yaml', 'status'], { GUARD_RUN_DIR: 'rel' }, `${cwd}/rel/guard.sock`],
    [['-c', 'run.yaml', 'status'], { GUARD_RUN_DIR: '' }, `${cwd}/here/run/guard.sock`],
    [['-crun.yaml', 'status'], {}, `${cwd}/here/run/guard.sock`],
    [['status', '--configuration', 'absolute.yaml'], {}, '/run/other/guard.sock'],
    [['-c', 'expands.yaml', 'status'], {}, `${cwd}/some/run/guard.sock`],
    [['-c', 'expands.yaml', 'status'], { WHERE: 'there' }, `${cwd}/there/run/guard.sock`],
    [['-c', 'plain.yaml', 'status'], { XDG_RUNTIME_DIR: '/run/user/7' }, `${cwd}/.guard/guard.sock`],
    [['-c', 'comment.yaml', 'status'], {}, `${cwd}/.guard/guard.sock`],
    [['-c', 'empty.yaml', 'status'], {}, `${cwd}/.guard/guard.sock`],
  ]
  for (const [argv, env, want] of rows) {
    assert.equal(await locateSocket(parseArguments(argv), { cwd, env, isRoot: true }), want, argv.join(' '))
  }
  await assert.rejects(locateSocket(parseArguments(['-c', 'absent.yaml', 'status']), { cwd, env: {}, isRoot: true }), {
    code: 'CONFIG_UNREADABLE',
    exit: 2,
  })
  writeFileSync(join(cwd, 'guard.yaml'), 'guard: {run_dir: [\n')
  await assert.rejects(locateSocket(parseArguments(['status']), { cwd, env: {}, isRoot: true }), { code: 'CONFIG_INVALID' })
})

test('guardctl finds the daemon of ./guard.yaml', async t => {
  const cwd = temporaryDirectory(t)
  mkdirSync(join(cwd, '.guard'))
  writeFileSync(join(cwd, 'guard.yaml'), 'programs: {}\n')
  const server = await serveControl(new FakeGuard(), { socketPath: join(cwd, '.guard/guard.sock') })
  t.after(() => server.close())
  assert.equal((await run(['version'], { cwd })).stdout, '9.8.7\n')
})

test('no daemon: supervisorctl’s line and exit code, and what to do', async t => {
  const cwd = temporaryDirectory(t)
  const path = join(cwd, 'gone.sock')
  const start = /^hint: start it with `autodl-guard -c FILE`, or name its socket with -s unix:\/\/\/path\/guard\.sock\n$/
  const rows: [word: string, missing: number, refused: number][] = [
    ['status', 4, 4],
    ['start', 7, 4],
    ['pid', 7, 4],
    ['logs', 7, 4],
    ['top', 7, 4],
    ['reread', 7, 4],
  ]
  const words = (word: string): string[] => ['-s', `unix://${path}`, word, ...(word === 'start' ? ['web'] : [])]
  await inParallel(rows, async ([word, missing]) => {
    const ran = await run(words(word))
    assert.deepEqual([ran.stdout, ran.exit], [`unix://${path} no such file\n`, missing], word)
    assert.match(ran.stderr, start, word)
  })
  const shutdown = await run(words('shutdown'))
  assert.deepEqual([shutdown.stdout, shutdown.exit], [`ERROR: unix://${path} no such file (already shut down?)\n`, 1])
  writeFileSync(path, 'no socket, so every connection is refused')
  await inParallel(rows, async ([word, , refused]) => {
    const ran = await run(words(word))
    assert.deepEqual([ran.stdout, ran.exit], [`unix://${path} refused connection\n`, refused], word)
  })
  rmSync(path)
})

test('something else behind the socket is said to be that', async t => {
  const path = join(temporaryDirectory(t), 'other.sock')
  const server = createServer(socket => socket.end('HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno'))
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.after(() => server.close())
  const ran = await run(['-s', `unix://${path}`, 'status'])
  assert.deepEqual(
    [ran.stdout, ran.stderr, ran.exit],
    ['ERROR: an answer guardctl does not understand (HTTP 500)\n', 'hint: is this the socket of autodl-guard?\n', 1],
  )
})

test('check prints every problem of a file and needs no daemon', async t => {
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'bad.yaml'), 'programs:\n  web:\n    comand: sleep 1\n  other:\n    command: sleep 1\n    startsecs: x\n')
  writeFileSync(join(cwd, 'guard.yaml'), 'programs:\n  web:\n    command: sleep 1\n')
  const bad = await run(['check', 'bad.yaml'], { cwd })
  assert.equal(bad.exit, 2)
  assert.ok(bad.stdout.split('\n').length >= 3, bad.stdout)
  assert.match(bad.stdout, /bad\.yaml:3:\d+: .*comand.*command/)
  const good = await run(['check'], { cwd })
  assert.deepEqual([good.stdout, good.exit], [`${cwd}/guard.yaml: good (1 file, 1 instance, 0 routes)\n`, 0])
  assert.deepEqual(JSON.parse((await run(['check', '--json'], { cwd })).stdout), { problems: [] })
  assert.equal((await run(['check', 'absent.yaml'], { cwd })).exit, 2)
})
