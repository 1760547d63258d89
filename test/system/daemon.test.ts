// The daemon itself: what it is told by signals, what it survives, and that a change which is refused or half done leaves a whole system.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from '../free-port.js'
import { leftovers, run, system, until } from './rig.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const noProxy = 'proxy: { listen: none }\n'
const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '')

test('the reader of its output may leave: the daemon goes on', async t => {
  const rig = await system(t, `${noProxy}programs:\n  a: { command: sleep 1000 }\n`)
  const { pid } = await rig.when('a', status => status.state === 'RUNNING')
  rig.daemon().stdout?.destroy()
  rig.daemon().stderr?.destroy()
  for (let round = 0; round < 3; round++) assert.equal((await rig.ctl('restart', 'a')).code, 0)
  assert.notEqual((await rig.one('a')).pid, pid)
  assert.equal(rig.daemon().exitCode, null)
})

test('update moves the log files it is told to move, the daemon’s own too; maintail follows', async t => {
  const yaml = `${noProxy}programs:\n  a: { command: sh -c "while :; do echo line; sleep 0.05; done" }\n`
  const rig = await system(t, yaml)
  await rig.when('a', status => status.state === 'RUNNING')
  const moved = yaml.replace('0.05; done" }', '0.05; done", stdout_logfile: "@dir/moved/a.log" }')
  rig.write(`guard: { logfile: "@dir/moved/guard.log" }\n${moved}`)
  const { stdout, code } = await rig.ctl('update')
  assert.equal(code, 0, stdout)
  await until(() => textOf(join(rig.dir, 'moved/a.log')).includes('line'), 'the program writes to the new file')
  assert.equal((await rig.ctl('signal', 'HUP', 'a')).code, 0)
  await until(() => textOf(join(rig.dir, 'moved/guard.log')).includes('signal HUP'), 'the daemon writes to the new file')
  assert.match((await rig.ctl('maintail')).stdout, /signal HUP/)
})

test('USR2 opens the daemon’s log and those of its programs anew', async t => {
  const rig = await system(
    t,
    `guard: { logfile: "@dir/guard.log" }\n${noProxy}programs:\n  a: { command: sh -c "while :; do echo line; sleep 0.05; done", stdout_logfile: "@dir/a.log" }\n`,
  )
  await until(() => textOf(join(rig.dir, 'a.log')).includes('line'), 'the program writes')
  for (const name of ['a.log', 'guard.log']) renameSync(join(rig.dir, name), join(rig.dir, `${name}.moved`))
  rig.daemon().kill('SIGUSR2')
  await until(() => existsSync(join(rig.dir, 'guard.log')), 'the daemon has opened its log anew')
  await until(() => textOf(join(rig.dir, 'a.log')).includes('line'), 'the program writes to a new file')
  assert.equal((await rig.ctl('signal', 'HUP', 'a')).code, 0)
  await until(() => textOf(join(rig.dir, 'guard.log')).includes('signal HUP'), 'the daemon writes to a new file')
})

test('a taken port in an update is refused before anything has changed', async t => {
  const [port, free] = [await freePort(), await freePort()]
  const holder = createServer().listen(port, '127.0.0.1')
  await once(holder, 'listening')
  t.after(() => holder.close())
  const yaml = `proxy: { listen: "127.0.0.1:${free}" }\nprograms:\n  a: { command: sleep 1000 }\n`
  const rig = await system(t, yaml)
  const { pid } = await rig.when('a', status => status.state === 'RUNNING')
  rig.write(`${yaml.replace(String(free), String(port)).replace('sleep 1000', 'sleep 1001')}  b: { command: sleep 1002 }\n`)
  const refused = await rig.ctl('update')
  assert.equal(refused.code, 1)
  assert.match(refused.stdout, /the port is held by/)
  assert.deepEqual(
    (await rig.status()).map(status => [status.id, status.pid]),
    [['a', pid]],
  )
  assert.equal((await fetch(`http://127.0.0.1:${free}/health`)).status, 200)
  await new Promise(resolve => holder.close(resolve))
  assert.equal((await rig.ctl('update')).code, 0)
  await rig.when('b', status => status.state === 'RUNNING')
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200)
})

test('a run directory that cannot hold the instances: the daemon says so for each and can be stopped', async t => {
  const rig = await system(t, `${noProxy}programs:\n  a: { command: sleep 1000 }\n`)
  await rig.when('a', status => status.state === 'RUNNING')
  await rig.stop()
  rmSync(join(rig.dir, '.guard/instances'), { recursive: true })
  writeFileSync(join(rig.dir, '.guard/instances'), '')
  await rig.start()
  const { reason } = await rig.when('a', status => status.state === 'BACKOFF')
  assert.match(reason, /no shim for a: .*instances/)
  rmSync(join(rig.dir, '.guard/instances'))
  await rig.when('a', status => status.state === 'RUNNING')
})

test('requests that come while a new daemon takes over are answered by the programs, never refused as unknown or down', async t => {
  const [door, service] = [await freePort(), await freePort()]
  const server = `require('http').createServer((q, r) => r.end('here')).listen(${service}, '127.0.0.1')`
  const rig = await system(
    t,
    `proxy: { listen: "127.0.0.1:${door}" }\nprograms:\n  web:\n    command: ${process.execPath} -e "${server}"\n    port: ${service}\n    probe: { tcp: {} }\nroutes:\n  - { prefix: /, to: web }\n`,
  )
  const { pid } = await rig.when('web', status => status.ready)
  const answers = new Map<string, number>()
  let asking = true
  const asked = (async () => {
    while (asking) {
      // Between the workers of the two daemons nobody listens for a moment: a refused connection is not an answer.
      const answer = await fetch(`http://127.0.0.1:${door}/`).then(
        async reply => `${reply.status} ${await reply.text()}`,
        () => 'no connection',
      )
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
    }
  })()
  for (let round = 0; round < 3; round++) {
    await rig.crash()
    await rig.start()
    // A worker whose daemon dies before it has adopted anything can only hold what it has.
    await rig.when('web', status => status.ready)
  }
  asking = false
  await asked
  assert.deepEqual(
    [...answers.keys()].filter(answer => answer !== 'no connection' && answer !== '200 here'),
    [],
    JSON.stringify([...answers]),
  )
  assert.equal((await rig.one('web')).pid, pid)
})

test('a storm of signals ends in one orderly stop', async t => {
  const rig = await system(t, `${noProxy}programs:\n  a: { command: sleep 1000 }\n  b: { command: sleep 1001 }\n`)
  await rig.when('b', status => status.state === 'RUNNING')
  for (let round = 0; round < 20; round++) for (const signal of ['SIGUSR2', 'SIGHUP'] as const) rig.daemon().kill(signal)
  rig.daemon().kill('SIGINT')
  for (let round = 0; round < 5; round++) rig.daemon().kill('SIGHUP')
  assert.equal(await rig.stop(), 0)
  assert.deepEqual(leftovers(rig.dir), [])
})

test('a run directory that cannot be made is said in one line with what to do', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'guard-no-run-dir-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'guard.yaml')
  writeFileSync(file, `guard: { run_dir: guard.yaml/run }\n${noProxy}programs:\n  a: { command: sleep 1000 }\n`)
  const { code, stderr } = await run(process.execPath, [main, '-c', file])
  assert.equal(code, 1)
  assert.match(
    stderr,
    /^autodl-guard: guard\.run_dir cannot be made: ENOTDIR[^\n]*\nhint: check that guard\.run_dir is a writable directory[^\n]*\n$/,
  )
})
