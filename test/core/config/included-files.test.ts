// Several files as one configuration: includes, doubled names with both places, the environment, ports somebody has.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../../src/core/config/load.js'
import { configOf, fakeWorld, type Machine, problemsOf } from './fake-world.js'

const broken: [title: string, machine: Machine, ...problems: string[]][] = [
  [
    'a pattern includes what it matches; problems come by file, then by position',
    {
      files: {
        'guard.yaml': 'include: conf.d/*.yaml\nprograms:\n  a: {command: x, nic: 1}\n',
        'conf.d/c.yaml': 'programs:\n  c: {comand: x}\n',
        'conf.d/b.yaml': 'programs:\n  b: {command: x, nice: 99}\n',
      },
    },
    'guard.yaml:3:19: unknown option "nic" in program "a"; did you mean "nice"?',
    'conf.d/b.yaml:2:25: nice is 99; expected a whole number from -20 to 19',
    'conf.d/c.yaml:2:6: program "c" has no command; expected the command line to run',
    'conf.d/c.yaml:2:7: unknown option "comand" in program "c"; did you mean "command"?',
  ],
  [
    'files that include each other',
    { files: { 'guard.yaml': 'include: [a.yaml]\n', 'a.yaml': 'include: [sub/b.yaml]\n', 'sub/b.yaml': 'include:\n  - ../a.yaml\n' } },
    'sub/b.yaml:2:5: files include each other: a.yaml → sub/b.yaml → a.yaml',
  ],
  [
    'a path that is not there; unknown names are not told, they may stand in it',
    { files: { 'guard.yaml': 'include: [no.yaml]\ngroups: {g: [web]}\nroutes: [{prefix: /a/, to: web}]\n' } },
    'guard.yaml:1:11: cannot include no.yaml: no such file',
  ],
  [
    'a supervisord INI file',
    { files: { 'guard.yaml': 'include: [conf.d/*.conf, x.ini]\n', 'conf.d/web.conf': '[program:web]\n', 'x.ini': '' } },
    'guard.yaml:1:11: conf.d/web.conf is a supervisord INI file by its name; those are not read yet, expected YAML',
    'guard.yaml:1:26: x.ini is a supervisord INI file by its name; those are not read yet, expected YAML',
  ],
  [
    'an included file that cannot be read, and one that is broken',
    { files: { 'guard.yaml': 'include: [a.yaml, b.yaml]\n', 'a.yaml': { error: 'it is not UTF-8 text' }, 'b.yaml': 'a: "x\n' } },
    'guard.yaml:1:11: cannot include a.yaml: it is not UTF-8 text',
    'b.yaml:2:1: something is missing here: a ":" with a blank after it, or a closing quote, bracket or brace',
  ],
  [
    'the main file cannot be read',
    { files: { 'guard.yaml': { error: 'no permission to read it' } } },
    'guard.yaml: no permission to read it',
  ],
  [
    'names, prefixes and sections that stand in two files',
    {
      files: {
        'guard.yaml':
          'include: b.yaml\nprograms: {a: {command: x}}\ngroups: {g: [a]}\nproxy: {}\nroutes: [{prefix: /p/, to: "http://h"}]\n',
        'b.yaml': 'programs: {a: {command: y}}\ngroups: {g: [a]}\nproxy: {}\nroutes: [{prefix: /p/, to: "http://i"}]\n',
      },
    },
    'b.yaml:1:12: program "a" is doubled; the other is at guard.yaml:2:12',
    'b.yaml:2:10: group "g" is doubled; the other is at guard.yaml:3:10',
    'b.yaml:3:1: section "proxy" is doubled; the other is at guard.yaml:4:1',
    'b.yaml:4:19: prefix "/p/" is doubled; the other is at guard.yaml:5:19',
  ],
  [
    'ports and logs that two files give away',
    {
      files: {
        'guard.yaml': 'include: b/b.yaml\nprograms:\n  a: {command: x, port: 8000, numprocs: 3, stdout_logfile: "o${num}.log"}\n',
        'b/b.yaml': 'programs:\n  b: {command: x, port: 8002, stdout_logfile: ../o1.log}\n',
      },
    },
    'b/b.yaml:2:25: port 8002 is doubled: program "a" has it too, at guard.yaml:3:25',
    'b/b.yaml:2:47: stdout_logfile is "/srv/o1.log", which stdout_logfile of program "a" has too, at guard.yaml:3:60',
  ],
  [
    'ports that somebody else listens on',
    { files: { 'guard.yaml': 'programs:\n  a: {command: x, port: 8000, numprocs: 2}\n' }, holders: { 8001: 'nginx (pid 812)' } },
    'guard.yaml:2:25: port 8001 is taken: nginx (pid 812) listens on it',
  ],
  [
    'no port is left for auto',
    { files: { 'guard.yaml': 'programs:\n  a: {command: x, port: auto, numprocs: 2}\n' }, free: [20_000] },
    'guard.yaml:2:25: port is auto, but none of 20000-29999 is free',
  ],
  [
    'variables with wrong values are named; empty ones say nothing',
    {
      files: { 'guard.yaml': 'programs: {a: {command: x}}\nproxy: {workers: 2}\n' },
      env: { GUARD_PROXY_LISTEN: '6006', GUARD_PROXY_WORKERS: '0', GUARD_LOG_DIR: '', GUARD_LOGFILE_MAXBYTES: '${x}' },
    },
    'environment GUARD_LOGFILE_MAXBYTES: guard.logfile_maxbytes is "${x}"; expected a size such as 50MB, 64KB or a number of bytes',
    'environment GUARD_PROXY_LISTEN: proxy.listen is 6006; expected host:port such as 0.0.0.0:6006, or none',
    'environment GUARD_PROXY_WORKERS: proxy.workers is 0; expected a number from 1 to 64, or auto',
  ],
  [
    'one mistake hides no other',
    {
      files: {
        'guard.yaml': [
          'guard: {logfil: x}',
          'programs:',
          '  web: {command: run, startsecs: ten, port: 1}',
          '  db: {command: run, port: 2, depends_on: [wbe]}',
          '  x: {command: run, port: 2}',
          'groups: {g: [web, dbb]}',
          'routes: [{prefix: /w, to: web}, {prefix: /x/, to: xx}]',
          'proxy: {drain: soon}',
        ].join('\n'),
      },
    },
    'guard.yaml:1:9: unknown option "logfil" in section "guard"; did you mean "logfile"?',
    'guard.yaml:3:34: startsecs is "ten"; expected a duration such as 10s, 500ms or a number of seconds',
    'guard.yaml:4:44: unknown program "wbe" in depends_on; did you mean "web"?',
    'guard.yaml:5:27: port 2 is doubled: program "db" has it too, at guard.yaml:4:28',
    'guard.yaml:6:19: unknown program "dbb" in group "g"; did you mean "db"?',
    'guard.yaml:7:19: prefix is "/w"; expected a path that starts and ends with "/", such as /web/',
    'guard.yaml:7:51: unknown program "xx" in route "/x/"; did you mean "x"?',
    'guard.yaml:8:16: proxy.drain is "soon"; expected a duration such as 10s, 500ms or a number of seconds',
  ],
  [
    'copies that are all wrong are told once',
    { files: { 'guard.yaml': 'programs:\n  a: {command: "x ${prot}", numprocs: 50, directory: no}\n' } },
    'guard.yaml:2:16: command has an unknown expansion "${prot}"; did you mean "${port}"?',
    'guard.yaml:2:54: directory is "/srv/no", which does not exist',
  ],
]

for (const [title, machine, ...problems] of broken) {
  test(`refused: ${title}`, () => assert.deepEqual(problemsOf(machine), problems))
}

test('a supervisord INI file as the main file is refused by its name', () => {
  const loaded = loadConfig('/srv/supervisord.conf', fakeWorld({ files: { 'supervisord.conf': '[supervisord]\n' } }))
  assert.deepEqual('problems' in loaded && loaded.problems.map(problem => problem.text), [
    'supervisord.conf: this is a supervisord INI file by its name; those are not read yet, expected YAML',
  ])
})

test('the list of problems ends after 200 with the number of the rest', () => {
  const text = `programs:\n${Array.from({ length: 250 }, (_, index) => `  p${index}: {}\n`).join('')}`
  const problems = problemsOf(text)
  assert.equal(problems.length, 201)
  assert.equal(problems[200], 'and 50 more problems')
})

test('includes go 16 deep and no deeper; a pattern that matches the file itself or nothing is fine', () => {
  const chain = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`${index === 0 ? 'guard' : index}.yaml`, `include: ${index + 1}.yaml\n`]),
    )
  const last = (count: number) => ({ files: { ...chain(count), [`${count}.yaml`]: '' } })
  assert.deepEqual(problemsOf(last(15)), [])
  assert.deepEqual(problemsOf(last(16)), ['15.yaml:1:10: includes go more than 16 deep'])
  assert.deepEqual(problemsOf({ files: { 'guard.yaml': 'include: ["*.yaml", "none/*.yaml"]\n', 'a.yaml': '' } }), [])
})

test('each file has its own ${here} and base for relative paths; files come in the order they were read', () => {
  const config = configOf({
    files: {
      'guard.yaml': 'include: [a/*.yaml]\nprograms: {m: {command: "${here}/run"}}\n',
      'a/a.yaml': 'include: b.yaml\nprograms: {a: {command: "${here}/run", directory: d}}\n',
      'a/b.yaml': 'programs: {b: {command: run}}\nguard: {run_dir: r, logfile: g.log}\nproxy: {access_log: ../access}\n',
    },
    directories: ['a/d'],
  })
  assert.deepEqual(config.files, ['/srv/guard.yaml', '/srv/a/a.yaml', '/srv/a/b.yaml'])
  assert.deepEqual(
    config.instances.map(({ id, run }) => [id, run.argv[0], run.directory]),
    [
      ['m', '/srv/run', '/srv'],
      ['a', '/srv/a/run', '/srv/a/d'],
      ['b', 'run', '/srv/a'],
    ],
  )
  assert.equal(config.guard.runDir, '/srv/a/r')
  assert.equal(config.guard.log.path, '/srv/a/g.log')
  assert.equal(config.proxy.accessLog?.path, '/srv/access')
})

test('the environment goes before the file, the file before the default', () => {
  const { guard, proxy } = configOf({
    files: { 'guard.yaml': 'guard: {run_dir: /f/run, log_dir: /f/log}\nproxy: {listen: "127.0.0.1:1", drain: 5}\n' },
    env: {
      GUARD_RUN_DIR: '/e/run',
      GUARD_PROXY_LISTEN: '0.0.0.0:7007',
      GUARD_PROXY_WORKERS: 'auto',
      GUARD_STATE_DIR: 'st',
      GUARD_PROXY_DRAIN: '2.5',
    },
  })
  assert.deepEqual([guard.runDir, guard.logDir, guard.stateDir], ['/e/run', '/f/log', '/srv/st'])
  assert.deepEqual([proxy.listen, proxy.workers, proxy.drainMs], [{ host: '0.0.0.0', port: 7007 }, 4, 2500])
})
