// The environment a program gets: the daemon's, its account's, its own, and what tells it who it is.

export interface EnvironmentParts {
  daemon: Readonly<Record<string, string | undefined>>
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

/** The whole environment, sorted by name so that equal ones are equal.  Throws nothing. */
export function environmentOf(parts: EnvironmentParts): Record<string, string> {
  const all: Record<string, string> = { PATH: PATH_DEFAULT }
  for (const [name, value] of Object.entries(parts.daemon)) {
    if (value !== undefined && !NOT_PASSED.has(name) && !/^npm_(?:lifecycle|package)_/.test(name)) all[name] = value
  }
  if (parts.account !== null) {
    all.USER = parts.account.name
    all.LOGNAME = parts.account.name
    if (parts.account.home !== null) all.HOME = parts.account.home
  }
  Object.assign(all, parts.own, {
    GUARD_PROGRAM: parts.program,
    GUARD_INSTANCE: parts.id,
    SUPERVISOR_ENABLED: '1',
    SUPERVISOR_PROCESS_NAME: parts.name,
    SUPERVISOR_GROUP_NAME: parts.group,
  })
  if (parts.port !== null) all.PORT = String(parts.port)
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)))
}
