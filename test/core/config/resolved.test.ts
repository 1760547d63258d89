// Right configurations, resolved in full: every option lands where it belongs, and every default is supervisord's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceSpec } from '../../../src/core/spec.js'
import { PLAIN_PROXY, plainRules } from '../fixture-proxy.js'
import { configOf } from './fake-world.js'

const POLICY = {
  autorestart: 'unexpected',
  exitcodes: [0],
  startMs: 1000,
  startRetries: 3,
  crashRetries: 10,
  backoffBaseMs: 1000,
  backoffMaxMs: 60_000,
  backoffResetMs: 60_000,
  fatalRetryMs: 300_000,
  stopSignal: 'TERM',
  stopWaitMs: 10_000,
  stopAsGroup: false,
  killAsGroup: false,
}

test('a program with a command and nothing else has every default', () => {
  const config = configOf({ files: { 'guard.yaml': 'programs:\n  web: {command: run fast}\n' }, env: { PATH: '/bin', LANG: 'C' } })
  const log = (path: string) => ({ path, maxBytes: 50 * 1024 * 1024, backups: 10 })
  assert.deepEqual(config, {
    file: '/srv/guard.yaml',
    files: ['/srv/guard.yaml'],
    guard: { runDir: '/srv/.guard', stateDir: '/srv/.guard/state', logDir: '/srv/logs', log: log('/srv/logs/guard.log') },
    instances: [
      {
        id: 'web',
        name: 'web',
        group: 'web',
        program: 'web',
        num: 0,
        priority: 999,
        autostart: true,
        dependsOn: [],
        address: null,
        policy: POLICY,
        run: {
          argv: ['run', 'fast'],
          environment: {
            GUARD_INSTANCE: 'web',
            GUARD_PROGRAM: 'web',
            LANG: 'C',
            PATH: '/bin',
            SUPERVISOR_ENABLED: '1',
            SUPERVISOR_GROUP_NAME: 'web',
            SUPERVISOR_PROCESS_NAME: 'web',
          },
          directory: '/srv',
          user: null,
          umask: null,
          nice: null,
          oomScoreAdj: null,
          limits: {},
        },
        logs: { stdout: log('/srv/logs/web.stdout.log'), stderr: log('/srv/logs/web.stderr.log') },
        probe: null,
      },
    ],
    groups: [{ name: 'web', priority: 999, programs: ['web'] }],
    proxy: {
      ...PLAIN_PROXY,
      listen: { host: '0.0.0.0', port: 6006 },
      accessLog: { path: '/srv/logs/access.log', format: 'combined', maxBytes: 50 * 1024 * 1024, backups: 10 },
    },
    routes: [],
  })
})

test('every option of a program is taken over', () => {
  const text = `
programs:
  web:
    command: bin/run --port \${port} "--name=\${program} \${num}" '\${env.ARGS:-a b}'
    directory: d/\${program}
    environment: { N: 1.10, H: "\${here}", B: true, O: 022, P: "\${port}" }
    user: svc
    umask: 027
    nice: -5
    oom_score_adj: 100
    limits: { nofile: 65536, nproc: infinity, core: 0, memlock: 64KB, as: 2GB, stack: 8MB }
    numprocs: 2
    numprocs_start: 9
    process_name: w-\${num}
    port: 8000
    host: 0.0.0.0
    priority: 5
    autostart: false
    depends_on: { db: ready }
    autorestart: true
    exitcodes: [0, 2]
    startsecs: 0
    startretries: 7
    crash_retries: 8
    backoff_base: 100ms
    backoff_max: 2m
    backoff_reset: 5m
    fatal_retry: 0
    stopsignal: SIGINT
    stopwaitsecs: 2.5
    stopasgroup: true
    probe: { http: { path: "/up/\${num}" }, interval: 1s, timeout: 500ms, failures: 1 }
    stdout_logfile: l/\${group}-\${num}.log
    stdout_logfile_maxbytes: 1GB
    stdout_logfile_backups: 0
    redirect_stderr: true
  db: { command: db, probe: { exec: { command: "ok '1 2'" } }, stdout_logfile: none, stderr_logfile: auto }
groups: { app: { programs: [web], priority: 1 } }
`
  const files = { 'guard.yaml': text }
  const users = { svc: { uid: 33, gid: 33, name: 'svc', home: '/home/svc' } }
  const { instances } = configOf({
    files,
    directories: ['d/web'],
    users,
    env: { PORT: '1', HOME: '/root', LISTEN_FDS: '3', npm_lifecycle_event: 'x' },
  })
  assert.deepEqual(
    instances.map(({ id }) => id),
    ['app:w-09', 'app:w-10', 'db'],
  )
  const wanted: InstanceSpec = {
    id: 'app:w-10',
    name: 'w-10',
    group: 'app',
    program: 'web',
    num: 10,
    priority: 5,
    autostart: false,
    dependsOn: [{ program: 'db', condition: 'ready' }],
    address: { host: '0.0.0.0', port: 8001 },
    policy: {
      autorestart: 'always',
      exitcodes: [0, 2],
      startMs: 0,
      startRetries: 7,
      crashRetries: 8,
      backoffBaseMs: 100,
      backoffMaxMs: 120_000,
      backoffResetMs: 300_000,
      fatalRetryMs: 0,
      stopSignal: 'INT',
      stopWaitMs: 2500,
      stopAsGroup: true,
      killAsGroup: true,
    },
    run: {
      argv: ['bin/run', '--port', '8001', '--name=web 10', 'a b'],
      environment: {
        B: 'true',
        GUARD_INSTANCE: 'app:w-10',
        GUARD_PROGRAM: 'web',
        H: '/srv',
        HOME: '/home/svc',
        LOGNAME: 'svc',
        N: '1.10',
        O: '022',
        P: '8001',
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        PORT: '8001',
        SUPERVISOR_ENABLED: '1',
        SUPERVISOR_GROUP_NAME: 'app',
        SUPERVISOR_PROCESS_NAME: 'w-10',
        USER: 'svc',
      },
      directory: '/srv/d/web',
      user: 'svc',
      umask: 0o27,
      nice: -5,
      oomScoreAdj: 100,
      limits: { nofile: 65_536, nproc: 'infinity', core: 0, memlock: 65_536, as: 2 * 1024 ** 3, stack: 8 * 1024 ** 2 },
    },
    logs: { stdout: { path: '/srv/l/app-10.log', maxBytes: 1024 ** 3, backups: 0 }, stderr: 'stdout' },
    probe: { target: { kind: 'http', path: '/up/10' }, intervalMs: 1000, timeoutMs: 500, failures: 1 },
  }
  assert.deepEqual(instances[1], wanted)
  assert.deepEqual(instances[2]?.probe?.target, { kind: 'exec', argv: ['ok', '1 2'], account: null })
  assert.equal(instances[2]?.logs.stdout, null)
  assert.deepEqual(instances[2]?.logs.stderr, { path: '/srv/logs/db.stderr.log', maxBytes: 52_428_800, backups: 10 })
})

test('with numprocs the names are program_00, program_01 and the log names have no colon', () => {
  const { instances } = configOf('programs:\n  web: {command: run, numprocs: 2, port: 80}\n')
  assert.deepEqual(
    instances.map(({ id, name, num, address, logs }) => [id, name, num, address?.port, logs.stdout]),
    [0, 1].map(num => [
      `web:web_0${num}`,
      `web_0${num}`,
      num,
      80 + num,
      { path: `/srv/logs/web_web_0${num}.stdout.log`, maxBytes: 52_428_800, backups: 10 },
    ]),
  )
})

test('shell: true hands the whole line to /bin/sh, expanded but not split', () => {
  const { instances } = configOf(`programs:\n  a: {command: "for x in 1 2; do echo '\${program}' $x $\${HOME}; done | cat", shell: true}\n`)
  assert.deepEqual(instances[0]?.run.argv, ['/bin/sh', '-c', "for x in 1 2; do echo 'a' $x ${HOME}; done | cat"])
})

test('plain values are expanded once for all: numbers and words may come from the environment', () => {
  const { instances, proxy } = configOf({
    files: {
      'guard.yaml':
        'programs:\n  a: {command: x, numprocs: "${env.N:-1}", port: "${env.P:-81}", startsecs: "${env.S}", autostart: "${env.A}"}\nproxy: {listen: "127.0.0.1:${env.L}", workers: auto}\n',
    },
    env: { S: '250ms', A: 'false', L: '7000', P: '90' },
  })
  assert.equal(instances[0]?.address?.port, 90)
  assert.equal(instances[0]?.policy.startMs, 250)
  assert.equal(instances[0]?.autostart, false)
  assert.deepEqual([proxy.listen?.port, proxy.workers], [7000, 4])
})

test('auto ports go around fixed ones, and each instance gets its own', () => {
  const { instances } = configOf({
    files: { 'guard.yaml': 'programs:\n  a: {command: x, port: auto, numprocs: 2}\n  b: {command: x, port: 20001}\n' },
    free: [20_000, 20_001, 20_002],
  })
  assert.deepEqual(
    instances.map(({ address }) => address?.port),
    [20_000, 20_002, 20_001],
  )
})

test('order: priority of the group, then of the program, then the place in the file', () => {
  const { instances, groups } = configOf(`
programs:
  late: {command: x, priority: 5}
  c: {command: x}
  b: {command: x, priority: 500}
  a: {command: x}
  first: {command: x, priority: 900}
groups: { zeta: { programs: [first, late], priority: 2 }, omega: [a] }
`)
  assert.deepEqual(
    instances.map(({ id }) => id),
    ['zeta:late', 'zeta:first', 'b', 'c', 'omega:a'],
  )
  assert.deepEqual(
    groups.map(({ name, priority }) => [name, priority]),
    [
      ['zeta', 2],
      ['omega', 999],
      ['c', 999],
      ['b', 500],
    ],
  )
})

test('a program in the group of its own name keeps its plain id', () => {
  const { instances } = configOf('programs: {web: {command: x}, helper: {command: x}}\ngroups: {web: [web, helper]}\n')
  assert.deepEqual(
    instances.map(({ id }) => id),
    ['web', 'web:helper'],
  )
})

test('routes lead to programs or addresses and take the protocol from the address', () => {
  const { routes } = configOf(`
programs: { web: { command: x, port: 80 } }
routes:
  - { prefix: /, to: web }
  - { prefix: /grpc/, to: web, protocol: h2c, strip: false, hold: 0, timeout: 5m, connect_timeout: 250ms }
  - { prefix: /a/b/, to: "h2c://10.0.0.1:50051" }
  - { prefix: /s/, to: ["unix:/run/a.sock", "unix:/run/b.sock"], protocol: h2c }
  - { prefix: /m/, to: ["http://a", "http://[::1]:81/"] }
`)
  assert.deepEqual(routes, [
    { ...plainRules('/'), to: { program: 'web' }, weights: [] },
    {
      ...plainRules('/grpc/'),
      to: { program: 'web' },
      weights: [],
      protocol: 'h2c',
      strip: false,
      holdMs: 0,
      timeoutMs: 300_000,
      connectTimeoutMs: 250,
    },
    { ...plainRules('/a/b/'), to: { endpoints: [{ host: '10.0.0.1', port: 50_051 }] }, weights: [], protocol: 'h2c' },
    { ...plainRules('/s/'), to: { endpoints: [{ socket: '/run/a.sock' }, { socket: '/run/b.sock' }] }, weights: [], protocol: 'h2c' },
    {
      ...plainRules('/m/'),
      to: {
        endpoints: [
          { host: 'a', port: 80 },
          { host: '::1', port: 81 },
        ],
      },
      weights: [],
    },
  ])
})

test('proxy: none and NONE, and special files that many may write', () => {
  const config = configOf(`
proxy: { listen: none, access_log: NONE }
programs: { a: { command: x, stdout_logfile: /dev/stdout, port: 6006 }, b: { command: x, stdout_logfile: /dev/stdout } }
`)
  assert.deepEqual([config.proxy.listen, config.proxy.accessLog], [null, null])
})

test('aliases stand for what they name', () => {
  const { instances } = configOf('programs:\n  a: &a {command: x, environment: &e {K: v}}\n  b: *a\n  c: {command: y, environment: *e}\n')
  assert.deepEqual(
    instances.map(({ run }) => [run.argv[0], run.environment.K]),
    [
      ['x', 'v'],
      ['x', 'v'],
      ['y', 'v'],
    ],
  )
})

test('sections may be empty, and a file may hold routes only', () => {
  assert.deepEqual(configOf('programs:\ngroups:\nroutes:\nguard:\nproxy:\ninclude:\n').instances, [])
  assert.equal(configOf('routes: [{prefix: /a/, to: "http://b"}]\n').routes.length, 1)
})
