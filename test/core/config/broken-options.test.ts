// Wrong options of a program: the exact line for each, with what was found and what is allowed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problemsOf } from './fake-world.js'

/** The options, at line 4, column 5 of a program that has a command, and the problems without `guard.yaml:`. */
const rows: [options: string, ...problems: string[]][] = [
  ['comand: x', '4:5: unknown option "comand" in program "web"; did you mean "command"?'],
  [
    'zzz: 1\nstartsec: 3',
    '4:5: unknown option "zzz" in program "web"',
    '5:5: unknown option "startsec" in program "web"; did you mean "startsecs"?',
  ],
  ['startsecs: ten', '4:16: startsecs is "ten"; expected a duration such as 10s, 500ms or a number of seconds'],
  ['startsecs: -1', '4:16: startsecs is -1; expected a duration such as 10s, 500ms or a number of seconds'],
  ['startsecs: 40d', '4:16: startsecs is "40d"; expected a duration from 0 to 24d'],
  ['startsecs: [1]', '4:16: startsecs is a list; expected a duration such as 10s, 500ms or a number of seconds'],
  ['startsecs:', '4:15: startsecs is empty; expected a duration such as 10s, 500ms or a number of seconds'],
  ['stopsignal: FOO', '4:17: stopsignal is "FOO"; expected one of TERM HUP INT QUIT KILL USR1 USR2 CONT STOP'],
  ['stopsignal: 15', '4:17: stopsignal is 15; expected one of TERM HUP INT QUIT KILL USR1 USR2 CONT STOP'],
  ['numprocs: 0', '4:15: numprocs is 0; expected a whole number from 1 to 1000'],
  ['numprocs: 1.5', '4:15: numprocs is 1.5; expected a whole number from 1 to 1000'],
  ['numprocs: two', '4:15: numprocs is "two"; expected a whole number from 1 to 1000'],
  ['autorestart: maybe', '4:18: autorestart is "maybe"; expected true, false or unexpected'],
  ['autostart: "yes"', '4:16: autostart is "yes"; expected true or false'],
  ['exitcodes: 300', '4:16: exitcodes is 300; expected a whole number from 0 to 255'],
  ['exitcodes: [0, 300]', '4:20: exitcodes[1] is 300; expected a whole number from 0 to 255'],
  ['exitcodes: 0,2', '4:16: exitcodes is "0,2"; expected exit codes from 0 to 255, such as 0 or [0, 2]'],
  ['port: 0', '4:11: port is 0; expected a port from 1 to 65535, or auto'],
  ['port: 70000', '4:11: port is 70000; expected a port from 1 to 65535, or auto'],
  ['port: http', '4:11: port is "http"; expected a port from 1 to 65535, or auto'],
  ['umask: 099', '4:12: umask is 099; expected an octal mask such as 022'],
  ['umask: rw', '4:12: umask is "rw"; expected an octal mask such as 022'],
  ['nice: 50', '4:11: nice is 50; expected a whole number from -20 to 19'],
  ['oom_score_adj: 5000', '4:20: oom_score_adj is 5000; expected a whole number from -1000 to 1000'],
  ['limits: {nofil: 3}', '4:14: unknown option "nofil" in "limits" of program "web"; did you mean "nofile"?'],
  ['limits: {nofile: many}', '4:22: limits.nofile is "many"; expected a number or infinity'],
  ['limits: {core: 5XB}', '4:20: limits.core is "5XB"; expected a size or infinity'],
  ['limits: {nofile: -1}', '4:22: limits.nofile is -1; expected a number or infinity'],
  [
    'stdout_logfile_maxbytes: 5 apples',
    '4:30: stdout_logfile_maxbytes is "5 apples"; expected a size such as 50MB, 64KB or a number of bytes',
  ],
  ['stdout_logfile_backups: 5000', '4:29: stdout_logfile_backups is 5000; expected a whole number from 0 to 1000'],
  ['environment: [A=1]', '4:18: environment is a list; expected a map of names to values'],
  ['environment: {A: [secret]}', '4:22: environment.A is a list; expected text or a number'],
  ['environment: {A: {b: secret}}', '4:22: environment.A is a map; expected text or a number'],
  ['environment: {A: }', '4:22: environment.A is empty; expected text or a number'],
  [
    'environment: {A: "${nope} secret"}',
    '4:22: environment.A has an unknown expansion; known here are ${here} ${program} ${group} ${num} ${port} ${host} ${env.NAME}; write $${ for a plain ${',
  ],
  [
    'environment: {A: "${env.SECRET_TOKEN}"}',
    '4:22: environment.A needs the environment variable SECRET_TOKEN, which is not set; ${env.SECRET_TOKEN:-default} gives a default',
  ],
  ['environment: {A: "pa${ss"}', '4:22: environment.A has a "${" without its "}"; write $${ for a plain ${'],
  ['environment: {"A=B": x}', '4:26: environment has the name "A=..."; expected one without "="'],
  ['environment: {A: "x\\0y"}', '4:22: environment.A is text; expected text or a number, without NUL'],
  ['user: nobdy', '4:11: user is "nobdy"; expected an account of this machine'],
  ['directory: nowhere', '4:16: directory is "/srv/nowhere", which does not exist'],
  ['directory: ""', '4:16: directory is ""; expected a directory'],
  ['probe: {}', '4:12: probe has no kind; expected exactly one of http, tcp, grpc or exec'],
  ['port: 80\nprobe: {http: {}, tcp: {}}', '5:12: probe has 2 kinds (http, tcp); expected exactly one of http, tcp, grpc or exec'],
  ['probe: {htp: {}}', '4:13: unknown option "htp" in "probe" of program "web"; did you mean "http"?'],
  ['port: 80\nprobe: {http: {path: health}}', '5:26: probe.http.path is "health"; expected a path that starts with "/"'],
  ['port: 80\nprobe: {tcp: }', '5:18: probe.tcp is empty; expected a map of options'],
  ['port: 80\nprobe: {tcp: {x: 1}}', '5:19: unknown option "x" in "probe.tcp" of program "web"; expected {}'],
  ['probe: {exec: {}}', '4:19: "probe.exec" of program "web" has no command; expected a command line'],
  [`probe: {exec: {command: "a 'b"}}`, `4:29: probe.exec.command has a ' that is not closed`],
  ['probe: {tcp: {}}', '4:18: probe.tcp needs a port, but the program has none; give it one with "port:"'],
  ['port: 80\nprobe: {tcp: {}, interval: 1ms}', '5:32: probe.interval is "1ms"; expected a duration from 100ms to 24d'],
  ['port: 80\nprobe: {tcp: {}, failures: 0}', '5:32: probe.failures is 0; expected a whole number from 1 to 1000'],
  ['probe: http', '4:12: probe is "http"; expected a map of options'],
  ['numprocs: 2\nprocess_name: web', '5:19: process_name is "web"; with numprocs 2 it must hold ${num}'],
  ['process_name: "a b"', '4:19: process_name is "a b"; expected letters, digits, ".", "_" and "-" only, at most 64'],
  [
    'process_name: "${port}"',
    '4:19: process_name uses ${port}, which has no meaning here; known here are ${here} ${program} ${group} ${num} ${env.NAME}; write $${ for a plain ${',
  ],
  ['numprocs: 2\nstdout_logfile: a.log', '5:21: stdout_logfile is "/srv/a.log" for every copy; use ${num} to tell them apart'],
  ['numprocs: 3\nport: 65534', '5:11: port 65534 with numprocs 3 goes beyond 65535'],
  ['backoff_base: 2m', '4:19: backoff_base is "2m"; expected at most backoff_max, 1m'],
  ['startsecs: ${env.X}', '4:16: startsecs needs the environment variable X, which is not set; ${env.X:-default} gives a default'],
  ['host: "a b"', '4:11: host is "a b"; expected a host name or an IP address'],
  [
    'startretries: ${port}',
    '4:19: startretries uses ${port}, which has no meaning here; known here are ${here} ${env.NAME}; write $${ for a plain ${',
  ],
  ['environment: {TOKEN=secret}', '4:19: environment.TOKEN=... is empty; expected text or a number'],
  ['environment: TOKEN=secret', '4:18: environment is text; expected a map of names to values'],
]

function program(options: string): string {
  return `programs:\n  web:\n    command: run\n${options.replace(/^/gm, '    ')}\n`
}

for (const [options, ...problems] of rows) {
  test(`refused: ${options.replaceAll('\n', '; ')}`, () => {
    assert.deepEqual(
      problemsOf(program(options)),
      problems.map(problem => `guard.yaml:${problem}`),
    )
  })
}

test('no message holds a value of environment', () => {
  const leaking = rows.filter(([options]) => options.includes('secret')).flatMap(([options]) => problemsOf(program(options)))
  assert.equal(leaking.length, 5)
  assert.deepEqual(
    leaking.filter(text => /secret/.test(text)),
    [],
  )
})
