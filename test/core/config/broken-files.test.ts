// Whole configurations that are wrong: the exact output for each.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problemsOf } from './fake-world.js'

const rows: [text: string, ...problems: string[]][] = [
  ['', 'guard.yaml: the file is empty; expected sections such as "programs:"'],
  ['# only\n', 'guard.yaml: the file is empty; expected sections such as "programs:"'],
  ['- a\n', 'guard.yaml:1:1: the file holds a list; expected sections such as "programs:"'],
  ['just text', 'guard.yaml:1:1: the file holds text; expected sections such as "programs:"'],
  ['42', 'guard.yaml:1:1: the file holds a number; expected sections such as "programs:"'],
  ['null', 'guard.yaml: the file is empty; expected sections such as "programs:"'],
  ['programs: [a]\n', 'guard.yaml:1:11: programs is a list; expected a map of names to options'],
  ['programs: 5\n', 'guard.yaml:1:11: programs is 5; expected a map of names to options'],
  [
    `program:
  web: {command: x}
`,
    'guard.yaml:1:1: unknown section "program"; did you mean "programs"?',
  ],
  ['xyz: 1\n', 'guard.yaml:1:1: unknown section "xyz"; expected guard, include, programs, groups, proxy, routes'],
  ['admin: {}\n', 'guard.yaml:1:1: unknown section "admin"; expected guard, include, programs, groups, proxy, routes'],
  [
    'guard: {admin: {}}\n',
    'guard.yaml:1:9: unknown option "admin" in section "guard"; expected run_dir, state_dir, log_dir, logfile, logfile_maxbytes, logfile_backups',
  ],
  [
    `a:
\tb: 1
`,
    'guard.yaml:2:1: a tab cannot indent; use blanks',
  ],
  [
    `programs:
  web: {command: a
`,
    'guard.yaml:3:1: the indentation does not fit the lines above it',
  ],
  [
    `programs:
  web:
    command: "a
`,
    'guard.yaml:4:1: something is missing here: a ":" with a blank after it, or a closing quote, bracket or brace',
  ],
  [
    `programs:
  web:
    command: a: b
`,
    'guard.yaml:3:14: a second ": " in one line; put a value that holds ": " in quotes',
  ],
  [
    `programs:
  web: {command: a}
  web: {command: b}
`,
    'guard.yaml:3:3: "web" is doubled; the first is in line 2',
  ],
  ['programs: *x\n', 'guard.yaml:1:11: the alias *x has no anchor &x before it'],
  ['programs: !x {}\n', 'guard.yaml:1:11: this YAML tag is not known here; put a value that starts with ! in quotes'],
  [
    `a: 1
---
b: 2
`,
    'guard.yaml:2:1: the file holds a second document after "---"; expected one',
  ],
  [
    `programs:
  web:
    command: @x
`,
    'guard.yaml:3:14: a value cannot start with this character; put it in quotes',
  ],
  [
    `programs:
  web:
    command: %x
`,
    'guard.yaml:3:14: a value cannot start with this character; put it in quotes',
  ],
  [
    `programs:
  web:
   command: a
  b: {command: 2}
 bad: 1
`,
    'guard.yaml:5:1: the indentation does not fit the lines above it',
  ],
  ['a: &a [*a]\n', 'guard.yaml:1:7: an alias holds itself'],
  ['a: "\\q"\n', 'guard.yaml:1:5: this backslash means nothing inside "..."; write \\\\ for a backslash, or use single quotes'],
  [
    `programs:
  web: {command: a\u0001}
`,
    'guard.yaml:2:19: the control character 0x01 cannot stand in YAML',
  ],
  [
    `? [a]
: 1
`,
    'guard.yaml:1:3: a name must be plain text',
  ],
  ['__proto__: {}\n', 'guard.yaml:1:1: the name "__proto__" cannot be used'],
  [
    `programs:
  constructor: {command: x}
`,
    'guard.yaml:2:3: the name "constructor" cannot be used',
  ],
  [
    `programs:
  web: {}
`,
    'guard.yaml:2:8: program "web" has no command; expected the command line to run',
  ],
  [
    `programs:
  web:
`,
    'guard.yaml:2:7: program "web" is empty; expected a map of options',
  ],
  [
    `programs:
  web: run
`,
    'guard.yaml:2:8: program "web" is "run"; expected a map of options',
  ],
  [
    `programs:
  web: {command: 5}
`,
    'guard.yaml:2:18: command is 5; expected the command line to run',
  ],
  [
    `programs:
  web: {command: ""}
`,
    'guard.yaml:2:18: command is ""; expected the command line to run',
  ],
  [
    `programs:
  web: {command: "  "}
`,
    'guard.yaml:2:18: command is "  "; expected the command line to run',
  ],
  [
    `programs:
  web: {command: "a \\"b"}
`,
    'guard.yaml:2:18: command has a " that is not closed',
  ],
  [
    `programs:
  web: {command: 'a \\'}
`,
    'guard.yaml:2:18: command has a \\ with nothing after it',
  ],
  [
    `programs:
  web: {command: "a \${port}"}
`,
    'guard.yaml:2:18: command uses ${port}, but the program has no port',
  ],
  [
    `programs:
  web: {command: "a \${prot}"}
`,
    'guard.yaml:2:18: command has an unknown expansion "${prot}"; did you mean "${port}"?',
  ],
  [
    `programs:
  web: {command: "a \${env.NOPE}"}
`,
    'guard.yaml:2:18: command needs the environment variable NOPE, which is not set; ${env.NOPE:-default} gives a default',
  ],
  [
    `programs:
  web: {command: "a \${env.1x}"}
`,
    'guard.yaml:2:18: command has the expansion "${env.1x}"; expected ${env.NAME} or ${env.NAME:-default}',
  ],
  [
    `programs:
  web: {command: "a \${here"}
`,
    'guard.yaml:2:18: command has a "${" without its "}"; write $${ for a plain ${',
  ],
  [
    `programs:
  "we b": {command: a}
`,
    'guard.yaml:2:3: the program name is "we b"; expected letters, digits, ".", "_" and "-" only, at most 64',
  ],
  [
    `programs:
  all: {command: a}
`,
    'guard.yaml:2:3: the program name is "all"; expected another name: for guardctl "all" means everything',
  ],
  [
    `programs:
  a: {command: x, port: 80}
  b: {command: x, port: 80}
`,
    'guard.yaml:3:25: port 80 is doubled: program "a" has it too, at guard.yaml:2:25',
  ],
  [
    `programs:
  a: {command: x, port: 6006}
`,
    'guard.yaml:2:25: port 6006 is doubled: the proxy has it too (proxy.listen)',
  ],
  [
    `programs:
  a: {command: x, process_name: x}
  b: {command: x, process_name: x}
groups: {g: [a, b]}
`,
    'guard.yaml:3:33: process_name gives "g:x", which program "a" at guard.yaml:2:3 has too',
  ],
  [
    `programs:
  a: {command: x, stdout_logfile: l/x.log}
  b: {command: x, stderr_logfile: ./l/x.log}
`,
    'guard.yaml:3:35: stderr_logfile is "/srv/l/x.log", which stdout_logfile of program "a" has too, at guard.yaml:2:35',
  ],
  [
    `programs:
  a: {command: x, stdout_logfile: logs/guard.log}
`,
    'guard.yaml:2:35: stdout_logfile is "/srv/logs/guard.log", which guard.logfile has too',
  ],
  [
    `programs:
  a: {command: x, stdout_logfile: x.log}
  b: {command: x, stdout_logfile: x.log.3}
`,
    'guard.yaml:3:35: stdout_logfile is "/srv/x.log.3", a rotated name of stdout_logfile of program "a"',
  ],
  [
    `guard: {logfile: x.log}
proxy: {access_log: x.log}
`,
    'guard.yaml:2:21: proxy.access_log is "/srv/x.log", which guard.logfile has too, at guard.yaml:1:18',
  ],
  [
    `programs:
  a: {command: x, depends_on: [b]}
  b: {command: x, depends_on: {c: started}}
  c: {command: x, depends_on: [a]}
`,
    'guard.yaml:2:31: programs depend on each other: a → b → c → a',
  ],
  [
    `programs:
  a: {command: x, depends_on: [a]}
`,
    'guard.yaml:2:31: programs depend on each other: a → a',
  ],
  [
    `programs:
  a: {command: x, depends_on: [bb]}
  b: {command: x}
`,
    'guard.yaml:2:32: unknown program "bb" in depends_on; did you mean "b"?',
  ],
  [
    `programs:
  a: {command: x, depends_on: {b: ready}}
  b: {command: x}
`,
    'guard.yaml:2:32: depends_on waits until "b" is ready, but "b" has no probe; give it one, or wait for started',
  ],
  [
    `programs:
  a: {command: x, depends_on: {b: up}}
  b: {command: x}
`,
    'guard.yaml:2:35: depends_on.b is "up"; expected started or ready',
  ],
  [
    `programs:
  a: {command: x, depends_on: b}
  b: {command: x}
`,
    'guard.yaml:2:31: depends_on is "b"; expected a list of programs, or a map of programs to started or ready',
  ],
  [
    `programs:
  web: {command: x}
groups:
  g: [wbe]
`,
    'guard.yaml:4:7: unknown program "wbe" in group "g"; did you mean "web"?',
  ],
  [
    `programs:
  web: {command: x}
groups:
  g: [web]
  h: [web]
`,
    'guard.yaml:5:7: program "web" is in two groups; the other is "g", at guard.yaml:4:7',
  ],
  [
    `programs:
  web: {command: x}
groups:
  g: [web, web]
`,
    'guard.yaml:4:12: program "web" is named twice in group "g"',
  ],
  [
    `programs:
  web: {command: x}
  db: {command: x}
groups:
  web: [db]
`,
    'guard.yaml:5:3: group "web" bears the name of a program that is not in it',
  ],
  [
    `groups:
  g: []
`,
    'guard.yaml:2:6: group "g" is an empty list; expected at least one program',
  ],
  [
    `groups:
  g: web
`,
    'guard.yaml:2:6: group "g" is "web"; expected a list of programs, or a map with programs and priority',
  ],
  [
    `groups:
  g: {program: [web]}
`,
    'guard.yaml:2:6: group "g" has no programs; expected a list of programs',
    'guard.yaml:2:7: unknown option "program" in group "g"; did you mean "programs"?',
  ],
  [
    `groups:
  g: {programs: [web], priority: hi}
programs: {web: {command: x}}
`,
    'guard.yaml:2:34: priority is "hi"; expected a whole number from -999999 to 999999',
  ],
  ['groups: [g]\n', 'guard.yaml:1:9: groups is a list; expected a map of names to options'],
  ['groups: {"a b": [x]}\n', 'guard.yaml:1:10: the group name is "a b"; expected letters, digits, ".", "_" and "-" only, at most 64'],
  [
    `groups:
  g: [[web]]
`,
    'guard.yaml:2:7: programs[0] is a list; expected the name of a program',
  ],
  [
    `routes:
  - {prefix: web, to: "http://a"}
`,
    'guard.yaml:2:14: prefix is "web"; expected a path that starts and ends with "/", such as /web/',
  ],
  [
    `routes:
  - {prefix: /web, to: "http://a"}
`,
    'guard.yaml:2:14: prefix is "/web"; expected a path that starts and ends with "/", such as /web/',
  ],
  [
    `routes:
  - {to: "http://a"}
`,
    'guard.yaml:2:5: route 1 has no prefix; expected a path that starts and ends with "/", such as /web/',
  ],
  [
    `routes:
  - {prefix: /a/}
`,
    'guard.yaml:2:5: route "/a/" has no to; expected a program, an address or a list of addresses',
  ],
  [
    `routes:
  - {prefix: /a/, to: web}
programs:
  web: {command: x}
`,
    'guard.yaml:2:23: to is program "web", which has no port; give it one with "port:"',
  ],
  [
    `routes:
  - {prefix: /a/, to: wbe}
programs:
  web: {command: x, port: 80}
`,
    'guard.yaml:2:23: unknown program "wbe" in route "/a/"; did you mean "web"?',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://a"}
  - {prefix: /a/, to: "http://b"}
`,
    'guard.yaml:3:14: prefix "/a/" is doubled; the other is at guard.yaml:2:14',
  ],
  [
    `routes:
  - {prefix: /a/, to: "https://a"}
`,
    'guard.yaml:2:23: to is "https://a"; TLS to a service is not spoken here; expected http://, h2c:// or unix:',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://u:p@a"}
`,
    'guard.yaml:2:23: to is "http://***@a"; expected http://host:port, h2c://host:port or unix:/path',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://a/b"}
`,
    'guard.yaml:2:23: to is "http://a/b"; an address has no path; expected http://host:port, h2c://host:port or unix:/path',
  ],
  [
    `routes:
  - {prefix: /a/, to: []}
`,
    'guard.yaml:2:23: to is an empty list; expected at least one address',
  ],
  [
    `routes:
  - {prefix: /a/, to: ["http://a", "h2c://b"]}
`,
    'guard.yaml:2:36: to[1] is "h2c://b"; expected the scheme of the addresses before it',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://a", protocol: h2c}
`,
    'guard.yaml:2:23: to is "http://a", but protocol is h2c',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://a", protocol: h3}
`,
    'guard.yaml:2:45: protocol is "h3"; expected h2c or http1',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://a", hld: 3}
`,
    'guard.yaml:2:35: unknown option "hld" in route "/a/"; did you mean "hold"?',
  ],
  [
    `routes:
  /a/: web
`,
    'guard.yaml:2:3: routes is a map; expected a list that starts each route with "- prefix:"',
  ],
  [
    `routes:
  - /a/
`,
    'guard.yaml:2:5: route 1 is "/a/"; expected a map of options',
  ],
  [
    `routes:
  - {prefix: /a/, to: 5}
`,
    'guard.yaml:2:23: to is 5; expected a program, an address or a list of addresses',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://a:99999"}
`,
    'guard.yaml:2:23: to is "http://a:99999"; expected http://host:port, h2c://host:port or unix:/path',
  ],
  [
    `routes:
  - {prefix: /a/, to: "unix:x"}
`,
    'guard.yaml:2:23: to is "unix:x"; expected http://host:port, h2c://host:port or unix:/path',
  ],
  [
    `routes:
  - {prefix: /a/, to: "http://a", timeout: 0}
`,
    'guard.yaml:2:44: timeout is 0; expected a duration from 1ms to 24d',
  ],
  [
    `routes:
  - {prefix: /a/, to: [web, db]}
`,
    'guard.yaml:2:24: to[0] is "web"; expected http://host:port, h2c://host:port or unix:/path',
    'guard.yaml:2:29: to[1] is "db"; expected http://host:port, h2c://host:port or unix:/path',
  ],
  ['proxy: {listen: 6006}\n', 'guard.yaml:1:17: proxy.listen is 6006; expected host:port such as 0.0.0.0:6006, or none'],
  [
    'proxy: {listen: "0.0.0.0:99999"}\n',
    'guard.yaml:1:17: proxy.listen is "0.0.0.0:99999"; expected host:port such as 0.0.0.0:6006, or none',
  ],
  [
    'proxy: {listen: "${env.L}"}\n',
    'guard.yaml:1:17: proxy.listen needs the environment variable L, which is not set; ${env.L:-default} gives a default',
  ],
  ['proxy: {workers: 0}\n', 'guard.yaml:1:18: proxy.workers is 0; expected a number from 1 to 64, or auto'],
  ['proxy: {workers: many}\n', 'guard.yaml:1:18: proxy.workers is "many"; expected a number from 1 to 64, or auto'],
  ['proxy: {max_header_bytes: 5MB}\n', 'guard.yaml:1:27: proxy.max_header_bytes is "5MB"; expected a size from 1KB to 1MB'],
  ['proxy: {access_log_format: xml}\n', 'guard.yaml:1:28: proxy.access_log_format is "xml"; expected combined or json'],
  ['proxy: {idle_timout: 3}\n', 'guard.yaml:1:9: unknown option "idle_timout" in section "proxy"; did you mean "idle_timeout"?'],
  ['proxy: []\n', 'guard.yaml:1:8: section "proxy" is an empty list; expected a map of options'],
  ['guard: {run_dir: 5}\n', 'guard.yaml:1:18: guard.run_dir is 5; expected a directory'],
  ['guard: {rundir: /x}\n', 'guard.yaml:1:9: unknown option "rundir" in section "guard"; did you mean "run_dir"?'],
  ['guard: yes\n', 'guard.yaml:1:8: section "guard" is "yes"; expected a map of options'],
  ['include: 5\n', 'guard.yaml:1:10: include is 5; expected a path or a list of paths'],
  ['include: [5]\n', 'guard.yaml:1:11: include[0] is 5; expected a path'],
  ['include: [nothere.yaml]\n', 'guard.yaml:1:11: cannot include nothere.yaml: no such file'],
  ['include: [guard.yaml]\n', 'guard.yaml:1:11: files include each other: guard.yaml → guard.yaml'],
  [
    `programs:
  web: {command: x, port: 80, environment: {A: 1}, environment: {B: 2}}
`,
    'guard.yaml:2:52: "environment" is doubled; the first is in line 2',
  ],
]

for (const [text, ...problems] of rows) {
  test(`refused: ${text.slice(0, 70).replaceAll('\n', '⏎')}`, () => assert.deepEqual(problemsOf(text), problems))
}
