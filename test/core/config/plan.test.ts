// What an update does: who restarts, what is taken over in place, and in which words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planUpdate } from '../../../src/core/config/plan.js'
import { configOf } from './fake-world.js'

const BASE = `
programs:
  web: {command: run, numprocs: 2, port: 8000, environment: {TOKEN: one}}
  db: {command: db, port: 9000}
  job: {command: job}
groups: {back: [db, job]}
routes: [{prefix: /web/, to: web}, {prefix: /out/, to: "http://h"}]
`

interface Outcome {
  added?: string[]
  removed?: string[]
  restarted?: string[]
  applied?: string[]
  groups?: { added?: string[]; changed?: string[]; removed?: string[] }
  words?: string[]
  reasons?: string[]
}

function outcome(before: string, after: string, only: string[] = []): Required<Outcome> {
  const directories = ['d']
  const users = { svc: { uid: 33, gid: 33, name: 'svc', home: null } }
  const load = (text: string) => configOf({ files: { 'guard.yaml': text }, directories, users })
  const plan = planUpdate(load(before), load(after), only)
  const ids = (specs: { id: string }[]) => specs.map(({ id }) => id)
  const { added, removed, restarted, applied } = plan.instances
  return {
    added: ids(added),
    removed: ids(removed),
    restarted: ids(restarted),
    applied: ids(applied),
    groups: plan.groups,
    words: plan.words,
    reasons: plan.reasons,
  }
}

const NOTHING = { added: [], removed: [], restarted: [], applied: [], words: [], reasons: [] }

function want(found: Required<Outcome>, expected: Outcome): void {
  const groups = { added: [], changed: [], removed: [], ...expected.groups }
  assert.deepEqual(found, { ...NOTHING, ...expected, groups })
}

test('the same configuration changes nothing; so does another order of what is not ordered', () => {
  want(outcome(BASE, BASE), {})
  want(outcome(BASE, BASE.replace('command: run, numprocs: 2', 'numprocs: 2, command: run')), {})
})

test('only the instances of the program that changed restart, and the reason is named without values', () => {
  const changed = ['web:web_00', 'web:web_01']
  const rows: [change: [string, string], reason: string][] = [
    [['command: run', 'command: run2'], 'command'],
    [['TOKEN: one', 'TOKEN: two, NEW: x'], 'environment NEW, environment TOKEN'],
    [['port: 8000', 'port: 8000, directory: d'], 'directory'],
    [['port: 8000', 'port: 8000, umask: 022'], 'umask'],
    [['port: 8000', 'port: 8000, nice: 3'], 'nice'],
    [['port: 8000', 'port: 8000, oom_score_adj: 3'], 'oom_score_adj'],
    [['port: 8000', 'port: 8000, user: svc'], 'environment LOGNAME, environment USER, user'],
    [['port: 8000', 'port: 8000, limits: {nofile: 3}'], 'limits.nofile'],
    [['port: 8000', 'port: 8100'], 'environment PORT, port'],
    [['command: run', 'command: run2, startsecs: 3'], 'command, startsecs'],
  ]
  for (const [[from, to], reason] of rows) {
    want(outcome(BASE, BASE.replace(from, to)), {
      restarted: changed,
      reasons: changed.map(id => `${id}: ${reason}`),
      groups: { changed: ['web'] },
    })
  }
})

test('numprocs up and down touches only the new and the gone copies', () => {
  const three = BASE.replace('numprocs: 2', 'numprocs: 3')
  want(outcome(BASE, three), { added: ['web:web_02'], groups: { changed: ['web'] } })
  want(outcome(three, BASE), { removed: ['web:web_02'], groups: { changed: ['web'] } })
})

test('what the supervisor, the shim or the proxy can take over needs no restart', () => {
  const rows: [option: string, words: string][] = [
    ['priority: 5', 'priority'],
    ['autostart: false', 'autostart'],
    ['depends_on: [job]', 'depends_on'],
    ['host: 0.0.0.0', 'host'],
    ['autorestart: true', 'autorestart'],
    ['exitcodes: [0, 2]', 'exitcodes'],
    ['startsecs: 9', 'startsecs'],
    ['startretries: 9', 'startretries'],
    ['crash_retries: 9', 'crash_retries'],
    ['backoff_base: 9', 'backoff_base'],
    ['backoff_max: 9', 'backoff_max'],
    ['backoff_reset: 9', 'backoff_reset'],
    ['fatal_retry: 9', 'fatal_retry'],
    ['stopsignal: INT', 'stopsignal'],
    ['stopwaitsecs: 9', 'stopwaitsecs'],
    ['stopasgroup: true', 'stopasgroup, killasgroup'],
    ['killasgroup: true', 'killasgroup'],
    ['probe: {tcp: {}}', 'probe'],
    ['redirect_stderr: true', 'redirect_stderr'],
    ['stdout_logfile: x.log', 'stdout_logfile'],
    ['stderr_logfile: NONE', 'stderr_logfile'],
    ['stdout_logfile_maxbytes: 1MB', 'stdout_logfile_maxbytes'],
    ['stderr_logfile_backups: 3', 'stderr_logfile_backups'],
  ]
  for (const [option, words] of rows) {
    const after = BASE.replace('command: db,', `command: db, ${option},`)
    want(outcome(BASE, after), { applied: ['back:db'], words: [`back:db: ${words}`], groups: { changed: ['back'] } })
  }
})

test('programs come, go and move between groups', () => {
  want(outcome(BASE, `${BASE}`.replace('  job: {command: job}\n', '  job: {command: job}\n  new: {command: x}\n')), {
    added: ['new'],
    groups: { added: ['new'] },
  })
  want(outcome(BASE, BASE.replace('  job: {command: job}\n', '').replace('[db, job]', '[db]')), {
    removed: ['back:job'],
    groups: { changed: ['back'] },
  })
  want(outcome(BASE, BASE.replace('[db, job]', '[db]')), {
    added: ['job'],
    removed: ['back:job'],
    groups: { added: ['job'], changed: ['back'] },
  })
  want(outcome(BASE, BASE.replace('{back: [db, job]}', '{back: {programs: [db, job], priority: 3}}')), { groups: { changed: ['back'] } })
})

test('routes, the proxy and the daemon itself are told in words; run_dir waits for the next daemon', () => {
  want(outcome(BASE, BASE.replace('to: web}', 'to: web, timeout: 5}').replace('{prefix: /out/', '{prefix: /in/')), {
    words: ['route /in/', 'route /out/', 'route /web/'],
  })
  want(outcome(BASE, `${BASE}proxy: {listen: "0.0.0.0:7000", drain: 5, access_log: NONE}\n`), {
    words: [
      'proxy: access_log',
      'proxy: access_log_backups',
      'proxy: access_log_format',
      'proxy: access_log_maxbytes',
      'proxy: drain',
      'proxy: listen',
    ],
  })
  want(outcome(BASE, `${BASE}guard: {run_dir: r, state_dir: s, logfile: g.log}\n`), {
    words: ['guard: logfile', 'guard: run_dir (when the daemon starts anew)', 'guard: state_dir (when the daemon starts anew)'],
  })
  const target = planUpdate(configOf(BASE), configOf(`${BASE}guard: {run_dir: r}\n`), []).target
  assert.equal(target.guard.runDir, '/srv/.guard')
})

test('restricted to a group, only it and the routes that lead there change', () => {
  const after = BASE.replace('command: run', 'command: run2')
    .replace('command: db', 'command: db2')
    .replace('to: web}', 'to: web, hold: 5}')
    .replace('http://h', 'http://i')
  want(outcome(BASE, after, ['back']), { restarted: ['back:db'], reasons: ['back:db: command'], groups: { changed: ['back'] } })
  want(outcome(BASE, after, ['web']), {
    restarted: ['web:web_00', 'web:web_01'],
    reasons: ['web:web_00: command', 'web:web_01: command'],
    groups: { changed: ['web'] },
    words: ['route /web/'],
  })
  const { target } = planUpdate(configOf(BASE), configOf(after), ['back'])
  assert.deepEqual(
    target.instances.map(({ id, run }) => [id, run.argv[0]]),
    [
      ['web:web_00', 'run'],
      ['web:web_01', 'run'],
      ['back:db', 'db2'],
      ['back:job', 'job'],
    ],
  )
})

test('restricted to a group that is gone or new', () => {
  const gone = BASE.replace('groups: {back: [db, job]}\n', '')
    .replace('  db: {command: db, port: 9000}\n', '')
    .replace('  job: {command: job}\n', '')
  want(outcome(BASE, gone, ['back']), { removed: ['back:db', 'back:job'], groups: { removed: ['back'] } })
  want(outcome(gone, BASE, ['back']), { added: ['back:db', 'back:job'], groups: { added: ['back'] } })
  want(outcome(gone, BASE, ['web']), {})
})
