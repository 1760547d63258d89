// The command table: the single source of CLI verbs, HTTP routes, help texts and README's command section.

export interface CommandRow {
  /** What follows the name, as help shows it. */
  args: string
  /** One line, small letter, no full stop. */
  help: string
  options: readonly CommandOption[]
  /** null: works without the daemon. */
  http: CommandRoute | null
  /** Exit code → what it means, beyond 0 and those of EVERY_EXIT. */
  exits: Readonly<Record<number, string>>
}

export interface CommandOption {
  /** `-N` stands for a dash and a number of bytes. */
  flag: '-f' | '-N' | '--once'
  help: string
}

export interface CommandRoute {
  method: 'GET' | 'POST'
  path: string
  /** Query parameters of a GET, members of a POST's JSON body. */
  takes: readonly ParamName[]
  /** always, or only with follow=yes: the reply goes on until the caller leaves. */
  streams: 'never' | 'follow'
}

export type ParamName = 'names' | 'name' | 'signal' | 'wait' | 'channel' | 'bytes' | 'follow'

const FOLLOW = { flag: '-f', help: 'go on with what comes; Ctrl-C leaves' } as const
const BYTES = { flag: '-N', help: 'the last N bytes (default 1600)' } as const
const USAGE_1 = { 1: 'wrong usage, no such name, or it failed' } as const

export const COMMANDS = {
  status: {
    args: '[NAME...]',
    help: 'states, process ids and uptimes',
    options: [],
    http: { method: 'GET', path: '/api/status', takes: ['names'], streams: 'never' },
    exits: { 3: 'one shown is STOPPED, EXITED or FATAL', 4: 'no such name, or the daemon does not run' },
  },
  start: {
    args: 'NAME...',
    help: 'start, and wait until it runs',
    options: [],
    http: { method: 'POST', path: '/api/start', takes: ['names', 'wait'], streams: 'never' },
    exits: { 1: 'no such process', 2: 'no name given, or no such group', 7: 'it did not come up' },
  },
  stop: {
    args: 'NAME...',
    help: 'stop, and wait until the whole process tree is gone',
    options: [],
    http: { method: 'POST', path: '/api/stop', takes: ['names', 'wait'], streams: 'never' },
    exits: USAGE_1,
  },
  restart: {
    args: 'NAME...',
    help: 'stop, then start (without rereading the configuration)',
    options: [],
    http: { method: 'POST', path: '/api/restart', takes: ['names'], streams: 'never' },
    exits: { 1: 'wrong usage, or no such process', 2: 'no such group', 7: 'it did not come up' },
  },
  signal: {
    args: 'SIGNAL NAME...',
    help: 'send a signal to the program itself',
    options: [],
    http: { method: 'POST', path: '/api/signal', takes: ['signal', 'names'], streams: 'never' },
    exits: { 1: 'wrong usage, no such name or signal', 7: 'it does not run' },
  },
  tail: {
    args: '[-f|-N] NAME [stdout|stderr]',
    help: 'the end of one log, byte for byte',
    options: [FOLLOW, BYTES],
    http: { method: 'GET', path: '/api/tail', takes: ['name', 'channel', 'bytes', 'follow'], streams: 'follow' },
    exits: USAGE_1,
  },
  maintail: {
    args: '[-f|-N]',
    help: "the end of the daemon's own log",
    options: [FOLLOW, BYTES],
    http: { method: 'GET', path: '/api/maintail', takes: ['bytes', 'follow'], streams: 'follow' },
    exits: USAGE_1,
  },
  logs: {
    args: '[-f|-N] [NAME...]',
    help: 'the logs of several instances in one stream, in the order written',
    options: [FOLLOW, BYTES],
    http: { method: 'GET', path: '/api/logs', takes: ['names', 'bytes', 'follow'], streams: 'follow' },
    exits: { 1: 'no such name' },
  },
  clear: {
    args: 'NAME...',
    help: 'empty the log files and remove their backups',
    options: [],
    http: { method: 'POST', path: '/api/clear', takes: ['names'], streams: 'never' },
    exits: USAGE_1,
  },
  pid: {
    args: '[NAME...]',
    help: "process ids; without a name the daemon's own",
    options: [],
    http: { method: 'GET', path: '/api/pid', takes: ['names'], streams: 'never' },
    exits: { 1: 'no such name', 7: 'it does not run' },
  },
  top: {
    args: '[--once] [NAME...]',
    help: 'CPU, memory, restarts and uptime, live',
    options: [{ flag: '--once', help: 'print one table and leave (also when the output is no terminal)' }],
    http: { method: 'GET', path: '/api/top', takes: ['names'], streams: 'never' },
    exits: { 1: 'no such name' },
  },
  events: {
    args: '[-f]',
    help: 'what happened lately; with -f what happens from now on',
    options: [FOLLOW],
    http: { method: 'GET', path: '/api/events', takes: ['follow'], streams: 'follow' },
    exits: {},
  },
  reread: {
    args: '',
    help: 'read the configuration again and say what differs; changes nothing',
    options: [],
    http: { method: 'POST', path: '/api/reread', takes: [], streams: 'never' },
    exits: { 1: 'wrong usage, or the configuration is not valid' },
  },
  update: {
    args: '[all|GROUP...]',
    help: 'make what runs equal to the configuration; touches only what changed',
    options: [],
    http: { method: 'POST', path: '/api/update', takes: ['names'], streams: 'never' },
    exits: { 1: 'no such group, or the configuration is not valid' },
  },
  avail: {
    args: '',
    help: 'everything the configuration has, and whether it is in use',
    options: [],
    http: { method: 'GET', path: '/api/avail', takes: [], streams: 'never' },
    exits: { 1: 'wrong usage' },
  },
  add: {
    args: 'GROUP...',
    help: 'take a group of the configuration into use',
    options: [],
    http: { method: 'POST', path: '/api/add', takes: ['names'], streams: 'never' },
    exits: { 1: 'no such group', 2: 'no name given' },
  },
  remove: {
    args: 'GROUP...',
    help: 'take a stopped group out of use',
    options: [],
    http: { method: 'POST', path: '/api/remove', takes: ['names'], streams: 'never' },
    exits: { 1: 'no such group, or it still runs', 2: 'no name given' },
  },
  reload: {
    args: '',
    help: 'stop everything, read the configuration again and start anew',
    options: [],
    http: { method: 'POST', path: '/api/reload', takes: [], streams: 'never' },
    exits: { 1: 'wrong usage, or the configuration is not valid (then nothing was stopped)' },
  },
  shutdown: {
    args: '',
    help: 'stop everything and end the daemon',
    options: [],
    http: { method: 'POST', path: '/api/shutdown', takes: [], streams: 'never' },
    exits: { 1: 'wrong usage, or the daemon does not run' },
  },
  version: {
    args: '',
    help: "the daemon's version (`guardctl --version`: guardctl's own)",
    options: [],
    http: { method: 'GET', path: '/api/version', takes: [], streams: 'never' },
    exits: { 1: 'wrong usage' },
  },
  check: {
    args: '[FILE]',
    help: 'print every problem of a configuration file; needs no daemon',
    options: [],
    http: null,
    exits: { 2: 'the configuration has problems' },
  },
  help: {
    args: '[COMMAND]',
    help: 'this list, or one command in full',
    options: [],
    http: null,
    exits: { 2: 'no such command' },
  },
} as const satisfies Record<string, CommandRow>

export type CommandName = keyof typeof COMMANDS
/** The commands that have a route. */
export type RemoteCommand = { [K in CommandName]: (typeof COMMANDS)[K]['http'] extends null ? never : K }[CommandName]

/** Exit codes any command can end with. */
export const EVERY_EXIT: Readonly<Record<number, string>> = {
  0: 'done',
  1: 'done, but it failed',
  2: 'unknown command or option, no configuration file',
  4: 'the socket refused the connection',
  7: 'the daemon does not run',
}

export const GLOBAL_OPTIONS: readonly { flag: string; help: string }[] = [
  { flag: '-c FILE', help: 'the daemon of this configuration (default: ./guard.yaml, then /etc/autodl-guard/guard.yaml)' },
  { flag: '-s unix:///PATH', help: 'the daemon behind this socket' },
  { flag: '--json', help: 'JSON on stdout; one object per line where the output goes on' },
  { flag: '-h', help: 'help, also after a command' },
  { flag: '--version', help: "guardctl's own version" },
]

export const NAME_FORMS = 'NAME: name, group:name, group:* (or group:) for a whole group, all for everything'

/** The row of a word somebody typed; null where there is none.  Throws nothing. */
export function commandNamed(word: string): CommandName | null {
  return Object.hasOwn(COMMANDS, word) ? (word as CommandName) : null
}

/** Every command in the order of the table.  Throws nothing. */
export function commandNames(): CommandName[] {
  return Object.keys(COMMANDS) as CommandName[]
}

/** The route of a command that has one.  Throws nothing. */
export function routeOf(name: RemoteCommand): CommandRoute {
  return COMMANDS[name].http
}
