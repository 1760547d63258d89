// The environment a program gets: the daemon's, its account's, its own, and what tells it who it is.

export interface EnvironmentParts {
  /** See passedOn; the same for all, made once. */
  passedOn: Readonly<Record<string, string>>
  /** Only where the program runs as another account than the daemon. */
  account: { name: string; home: string | null } | null
  own: Readonly<Record<string, string>>
  program: string
  group: string
  name: string
  id: string
  port: number | null
}

const PATH_DEFAULT = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Variables that belong to the daemon's own start, not to what it runs: sockets and channels that are the daemon's, and what changes from one
 *  login, unit start or npm run to the next. Passing those on would make every program look changed to the next daemon. */
const NOT_PASSED = new Set([
  ...[
    'LISTEN_FDS',
    'LISTEN_PID',
    'LISTEN_FDNAMES',
    'NOTIFY_SOCKET',
    'WATCHDOG_PID',
    'WATCHDOG_USEC',
    'NODE_CHANNEL_FD',
    'NODE_CHANNEL_SERIALIZATION_MODE',
  ],
  ...[
    'INVOCATION_ID',
    'JOURNAL_STREAM',
    'SYSTEMD_EXEC_PID',
    'MANAGERPID',
    'CREDENTIALS_DIRECTORY',
    'MEMORY_PRESSURE_WATCH',
    'MEMORY_PRESSURE_WRITE',
  ],
  ...['_', 'PWD', 'OLDPWD', 'SHLVL', 'SSH_CLIENT', 'SSH_CONNECTION', 'SSH_TTY', 'XDG_SESSION_ID', 'COLUMNS', 'LINES', 'WINDOWID'],
  ...['INIT_CWD', 'npm_command', 'npm_execpath', 'npm_node_execpath'],
])

/** What of the daemon's environment every program gets; with a PATH where the daemon has none.  Throws nothing. */
export function passedOn(daemon: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const all: Record<string, string> = { PATH: PATH_DEFAULT }
  for (const [name, value] of Object.entries(daemon)) {
    if (value !== undefined && !NOT_PASSED.has(name) && !/^npm_(?:lifecycle|package)_/.test(name)) all[name] = value
  }
  return all
}

/** The whole environment, sorted by name so that equal ones are equal.  Throws nothing. */
export function environmentOf(parts: EnvironmentParts): Record<string, string> {
  const { account, port } = parts
  const all: Record<string, string> = {
    ...parts.passedOn,
    ...(account === null ? {} : { USER: account.name, LOGNAME: account.name, ...(account.home === null ? {} : { HOME: account.home }) }),
    ...parts.own,
    GUARD_PROGRAM: parts.program,
    GUARD_INSTANCE: parts.id,
    SUPERVISOR_ENABLED: '1',
    SUPERVISOR_PROCESS_NAME: parts.name,
    SUPERVISOR_GROUP_NAME: parts.group,
    ...(port === null ? {} : { PORT: String(port) }),
  }
  const sorted: Record<string, string> = {}
  for (const name of Object.keys(all).sort()) sorted[name] = all[name]!
  return sorted
}
