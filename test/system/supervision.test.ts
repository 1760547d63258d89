// The daemon with real programs: starts, deaths, stops of whole trees, crash loops, changes of the configuration, and its own death.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fixture, leftovers, system, until } from './rig.js'

const noProxy = 'proxy: { listen: none }\n'

test('a killed program is back at once with a new pid; status counts the restart', async t => {
  const rig = await system(t, `${noProxy}programs:\n  web: { command: sleep 1000 }\n`)
  const before = await rig.when('web', status => status.state === 'RUNNING')
  process.kill(before.pid, 'SIGKILL')
  const after = await rig.when('web', status => status.pid !== before.pid && status.pid !== 0)
  assert.equal(after.restarts, 1)
  assert.equal(after.exit?.signal, 'KILL')
})

test('a stop ends the whole tree: TERM-ignoring, own session, double-forked, stopped, a grandchild that holds stdout', async t => {
  const rig = await system(
    t,
    `${noProxy}programs:\n  tree:\n    command: ${fixture('tree-maker')} @dir/tree.txt\n    stopwaitsecs: 0\n    startsecs: 0\n    stdout_logfile: '@dir/tree.log'\n`,
  )
  const file = join(rig.dir, 'tree.txt')
  const rounds = 20
  for (let round = 0; round < rounds; round++) {
    if (round > 0) assert.equal((await rig.ctl('start', 'tree')).stdout, 'tree: started\n')
    await until(() => readOr(file).split('\n').length >= 6, 'the tree stands')
    const pids = [...readOr(file).matchAll(/ (\d+)$/gm)].map(match => Number(match[1]))
    assert.ok(pids.length >= 6, `tree of ${pids.length}`)
    const stopped = await rig.ctl('stop', 'tree')
    assert.equal(stopped.stdout, 'tree: stopped\n')
    const alive = pids.filter(pid => isAlive(pid))
    assert.deepEqual(alive, [], `survivors in round ${round}`)
    writeFileSync(file, '')
  }
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

test('a crash loop goes FATAL with its reason and its last log lines in status, and guardctl says so by its exit code', async t => {
  const rig = await system(
    t,
    `${noProxy}programs:\n  bad:\n    command: sh -c 'echo loading; echo "no such model" >&2; exit 3'\n    startretries: 2\n    backoff_base: 50ms\n`,
  )
  const status = await rig.when('bad', each => each.state === 'FATAL' && each.lastLines.length > 0)
  assert.equal(status.reason, 'Exited too quickly (exit status 3)')
  assert.deepEqual(status.lastLines.slice(-1), ['no such model'])
  const { stdout, code } = await rig.ctl('status')
  assert.match(stdout, /^bad +FATAL +Exited too quickly \(exit status 3\)\n {4}\| no such model\n/m)
  assert.equal(code, 3)
  const start = await rig.ctl('start', 'bad')
  assert.equal(start.code, 7)
  assert.match(start.stdout + start.stderr, /bad: ERROR \(abnormal termination\)/)
})

test('a program that cannot be run says at which step and why', async t => {
  const rig = await system(t, `${noProxy}programs:\n  gone: { command: ./no-such-binary, autostart: false }\n`)
  const { code } = await rig.ctl('start', 'gone')
  assert.equal(code, 7)
  assert.match((await rig.one('gone')).reason, /exec \.\/no-such-binary: No such file or directory/)
})

test('the daemon’s TERM stops in reverse order and leaves nothing; a second signal does not hurt', async t => {
  const slow = `sh -c 'trap "echo $0 >> @dir/order; exit 0" TERM; echo $0 >> @dir/up; while :; do sleep 0.05; done'`
  const rig = await system(
    t,
    `${noProxy}programs:\n  db: { command: "${slow.replaceAll('"', '\\"')} db", priority: 1, startsecs: 0 }\n  web: { command: "${slow.replaceAll('"', '\\"')} web", priority: 2, startsecs: 0 }\n`,
  )
  // RUNNING is before the trap: startsecs is 0.
  await until(() => readOr(join(rig.dir, 'up')).split('\n').length === 3, 'both are up')
  const stopped = rig.stop()
  rig.daemon().kill('SIGINT')
  rig.daemon().kill('SIGTERM')
  assert.equal(await stopped, 0)
  assert.equal(readOr(join(rig.dir, 'order')), 'web\ndb\n')
  assert.deepEqual(leftovers(rig.dir), [])
})

test('a daemon killed with -9 leaves its programs running; the next one adopts them with the same pid', async t => {
  const yaml = `${noProxy}programs:\n  web: { command: sleep 1000 }\n  other: { command: sleep 1001 }\n`
  const rig = await system(t, yaml)
  const before = await rig.when('web', status => status.state === 'RUNNING')
  const other = await rig.when('other', status => status.state === 'RUNNING')
  await rig.crash()
  assert.ok(isAlive(before.pid))
  rig.write(yaml.replace('sleep 1001', 'sleep 1002'))
  await rig.start()
  const after = await rig.when('web', status => status.state === 'RUNNING')
  assert.equal(after.pid, before.pid)
  assert.equal(after.restarts, 0)
  await rig.when('other', status => status.state === 'RUNNING' && status.pid !== other.pid)
})

test('an end that no daemon saw is judged by autorestart when the next one comes', async t => {
  const rig = await system(t, `${noProxy}programs:\n  web: { command: sleep 1000 }\n  once: { command: sleep 1001, autorestart: false }\n`)
  const web = await rig.when('web', status => status.state === 'RUNNING')
  const once = await rig.when('once', status => status.state === 'RUNNING')
  await rig.crash()
  process.kill(web.pid, 'SIGKILL')
  process.kill(once.pid, 'SIGTERM')
  await until(() => !isAlive(web.pid) && !isAlive(once.pid), 'both end')
  await rig.start()
  const again = await rig.when('web', status => status.state === 'RUNNING')
  assert.notEqual(again.pid, web.pid)
  assert.equal((await rig.one('once')).exit?.signal, 'TERM')
})

test('update restarts only the instance whose own configuration changed and applies log sizes in place', async t => {
  const yaml = `${noProxy}programs:\n  a: { command: sleep 1000 }\n  b: { command: sleep 1001 }\n  c: { command: sleep 1002, numprocs: 2, process_name: "c_\${num}" }\n`
  const rig = await system(t, yaml)
  const pids = async (): Promise<Record<string, number>> => Object.fromEntries((await rig.status()).map(status => [status.id, status.pid]))
  for (const id of ['a', 'b', 'c:c_00', 'c:c_01']) await rig.when(id, status => status.state === 'RUNNING')
  const before = await pids()
  rig.write(
    yaml
      .replace('sleep 1001', 'sleep 2001')
      .replace('numprocs: 2', 'numprocs: 3')
      .replace('sleep 1000 }', 'sleep 1000, stdout_logfile_maxbytes: 1MB }'),
  )
  assert.match((await rig.ctl('reread')).stdout, /^b: changed$/m)
  const { stdout, code } = await rig.ctl('update')
  assert.equal(code, 0)
  assert.match(stdout, /^b: updated process group$/m)
  await rig.when('c:c_02', status => status.state === 'RUNNING')
  const after = await pids()
  assert.equal(after.a, before.a)
  assert.notEqual(after.b, before.b)
  assert.equal(after['c:c_00'], before['c:c_00'])
  assert.equal(after['c:c_01'], before['c:c_01'])
})

test('a refused configuration changes nothing and says every problem', async t => {
  const yaml = `${noProxy}programs:\n  a: { command: sleep 1000 }\n`
  const rig = await system(t, yaml)
  const before = await rig.when('a', status => status.state === 'RUNNING')
  rig.write(`${noProxy}programs:\n  a: { comand: sleep 1000, startsecs: ten }\n`)
  const { code, stdout, stderr } = await rig.ctl('update')
  assert.equal(code, 1)
  assert.match(stdout + stderr, /guard\.yaml:3:8: unknown option "comand"/)
  assert.match(stdout + stderr, /startsecs/)
  assert.equal((await rig.one('a')).pid, before.pid)
})

test('a second daemon in the same run directory is refused and the first is left alone', async t => {
  const rig = await system(t, `${noProxy}programs:\n  a: { command: sleep 1000 }\n`)
  const before = await rig.when('a', status => status.state === 'RUNNING')
  const { code, stderr } = await rig.second()
  assert.equal(code, 1)
  assert.match(stderr, /a daemon answers at .*guard\.sock/)
  assert.equal((await rig.one('a')).pid, before.pid)
})
