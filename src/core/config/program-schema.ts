// The options of a program, with supervisord's names and defaults wherever it has them.
import * as z from 'zod'
import { choice, duration, flag, matching, option, options, signal, size, text, whole } from './option.js'
import { HOST, parseUmask, showDuration } from './units.js'

/** Programs, groups and instances are called so; what the CLI, file names and the socket can carry without quoting. */
export const NAME = /^[A-Za-z0-9._-]{1,64}$/
export const NAME_EXPECTED = 'expected letters, digits, ".", "_" and "-" only, at most 64'

const logFile = (stream: string) =>
  option(text('expected AUTO, NONE or a path').prefault('AUTO'), {
    text: `Where the program's ${stream} goes. AUTO: a file named for the instance in guard.log_dir. NONE: thrown away.`,
    type: 'AUTO, NONE or path',
    scope: 'instance',
  })
const logSize = (stream: string) =>
  option(size().prefault('50MB'), { text: `The ${stream} log is rotated before it grows past this; 0: never.`, type: 'size' })
const logBackups = (stream: string) =>
  option(whole(0, 1000).default(10), { text: `Rotated ${stream} logs that are kept (.1 is the newest).`, type: 'number' })

const limit = (what: string, schema: z.ZodType<number>, type: string) =>
  option(z.union([schema, z.literal('infinity')], { error: `expected a ${type} or infinity` }).optional(), {
    text: `${what}, soft and hard; infinity lifts it.`,
    type: `${type} or infinity`,
    fallback: "the daemon's",
  })

export const limitsSchema = options({
  nofile: limit('Open files', whole(0, 2 ** 30, 'expected a number or infinity'), 'number'),
  nproc: limit("Processes of the program's user", whole(0, 2 ** 30, 'expected a number or infinity'), 'number'),
  core: limit('Size of a core dump', size(), 'size'),
  memlock: limit('Memory that may be locked', size(), 'size'),
  as: limit('Address space', size(), 'size'),
  stack: limit('Stack', size(), 'size'),
})

const PORT_EXPECTED = 'expected a port from 1 to 65535, or auto'

const PROBE_KINDS = ['http', 'tcp', 'grpc', 'exec'] as const

export const probeSchema = options({
  http: option(
    options({
      path: option(matching(/^\/[\x21-\x7e]*$/, 'expected a path that starts with "/"').prefault('/'), {
        text: 'What is asked for.',
        type: 'path',
        scope: 'instance',
      }),
    }).optional(),
    { text: 'GET on the port of the instance; any 2xx or 3xx answer is good.', type: 'map', fallback: 'none' },
  ),
  tcp: option(options({}).optional(), { text: 'A connection to the port is enough. Written as `tcp: {}`.', type: 'map', fallback: 'none' }),
  grpc: option(
    options({
      service: option(z.string({ error: 'expected the name of a gRPC service' }).default(''), {
        text: 'The service asked about; empty: the server as a whole.',
        type: 'text',
        scope: 'instance',
      }),
    }).optional(),
    {
      text:
        'grpc.health.v1 on the port; SERVING is good. Check asks at each interval; Watch, where the service has it, tells of a change at once. ' +
        'A service without grpc.health.v1 is good.',
      type: 'map',
      fallback: 'none',
    },
  ),
  exec: option(
    options({
      command: option(text('expected a command line'), {
        text: "Run in the program's directory with its environment; exit code 0 is good.",
        type: 'command line',
        fallback: 'required',
        scope: 'instance',
      }),
    }).optional(),
    { text: 'A command that looks for itself.', type: 'map', fallback: 'none' },
  ),
  interval: option(duration(100).prefault('10s'), { text: 'From one look to the next.', type: 'duration' }),
  timeout: option(duration(10).prefault('3s'), { text: 'A look that takes longer has failed.', type: 'duration' }),
  failures: option(whole(1, 1000).default(3), {
    text: 'Failed looks in a row that make a ready instance unready. A gRPC service that tells it is NOT_SERVING is unready at once.',
    type: 'number',
  }),
}).check(context => {
  // An unknown option is most likely the misspelt kind, and told already.
  if (context.issues.length > 0) return
  const kinds = PROBE_KINDS.filter(kind => context.value[kind] !== undefined)
  if (kinds.length === 1) return
  const found = kinds.length === 0 ? 'has no kind' : `has ${kinds.length} kinds (${kinds.join(', ')})`
  context.issues.push({ code: 'custom', input: context.value, message: `${found}; expected exactly one of http, tcp, grpc or exec` })
})

const condition = choice('started', 'ready')

const what = {
  command: option(text('expected the command line to run'), {
    text: 'What to run, split into words as a POSIX shell does; no shell is run. An expansion stays one word.',
    type: 'command line',
    fallback: 'required',
    scope: 'instance',
  }),
  shell: option(flag().default(false), {
    text: 'Run the command with /bin/sh -c. Write $${NAME} for the shell’s own ${NAME}.',
    type: 'true or false',
  }),
  directory: option(text('expected a directory').optional(), {
    text: 'Where the program runs; relative to the file the program stands in.',
    type: 'path',
    fallback: 'the directory of the file the program stands in',
    scope: 'instance',
  }),
  environment: option(
    z
      .record(
        z.string(),
        z.union(
          [z.string().refine(value => !value.includes('\0'), { error: 'expected text or a number, without NUL' }), z.number(), z.boolean()],
          {
            error: 'expected text or a number',
          },
        ),
        {
          error: 'expected a map of names to values',
        },
      )
      .default({}),
    {
      text:
        "Added to the daemon's environment. GUARD_PROGRAM, GUARD_INSTANCE, PORT (where there is a port), SUPERVISOR_PROCESS_NAME, SUPERVISOR_GROUP_NAME and SUPERVISOR_ENABLED are set by the daemon, " +
        'last. Values are never shown.',
      type: 'map of text',
      scope: 'instance',
      asWritten: true,
      secret: true,
    },
  ),
  user: option(text('expected the name or number of an account').optional(), {
    text: 'The account the program runs as; sets HOME, USER and LOGNAME too. Needs a daemon that runs as root.',
    type: 'name or number',
    fallback: "the daemon's",
    asWritten: true,
  }),
  umask: option(
    z
      .string({ error: 'expected an octal mask such as 022' })
      .refine(mask => parseUmask(mask) !== null, { error: 'expected an octal mask such as 022' })
      .optional(),
    { text: 'File mode creation mask, in octal.', type: 'octal number', fallback: "the daemon's", asWritten: true },
  ),
  nice: option(whole(-20, 19).optional(), { text: 'Scheduling priority, 19 is the humblest.', type: 'number', fallback: "the daemon's" }),
  oom_score_adj: option(whole(-1000, 1000).optional(), {
    text: 'How soon the kernel ends it when memory runs out; 1000: first.',
    type: 'number',
    fallback: "the daemon's",
  }),
  limits: option(limitsSchema.prefault({}), { text: 'Resource limits.', type: 'map' }),
}

const copies = {
  numprocs: option(whole(1, 1000).default(1), { text: 'How many copies run.', type: 'number' }),
  numprocs_start: option(whole(0, 1_000_000).default(0), { text: 'The number of the first copy.', type: 'number' }),
  process_name: option(text('expected a name').optional(), {
    text: 'The name of each copy; ${num} has at least two digits here, and plain digits everywhere else.',
    type: 'text',
    fallback: '`${program}`, with numprocs > 1 `${program}_${num}`',
    scope: 'instance',
  }),
  port: option(z.union([whole(1, 65_535, PORT_EXPECTED), z.literal('auto')], { error: PORT_EXPECTED }).optional(), {
    text: 'Where the program listens; the first copy has this port, each further copy the next one. auto: one of 20000-29999 that is free, the same at every start while it can be had.',
    type: 'number or auto',
    fallback: 'none',
  }),
  host: option(matching(HOST, 'expected a host name or an IP address').prefault('127.0.0.1'), {
    text: 'The address the program listens on, for the proxy and the probes.',
    type: 'host',
  }),
}

const life = {
  priority: option(whole(-999_999, 999_999).default(999), { text: 'Lowest starts first and stops last.', type: 'number' }),
  autostart: option(flag().default(true), { text: 'Start with the daemon.', type: 'true or false' }),
  depends_on: option(
    z
      .union([z.array(text('expected the name of a program')), z.record(z.string(), condition)], {
        error: 'expected a list of programs, or a map of programs to started or ready',
      })
      .default({}),
    {
      text: 'Programs whose every instance must be started or ready first. A list means started.',
      type: 'list, or map to started or ready',
    },
  ),
  autorestart: option(z.union([flag(), z.literal('unexpected')], { error: 'expected true, false or unexpected' }).default('unexpected'), {
    text: 'Start again after an exit from RUNNING: always, never, or where the exit code is not one of exitcodes.',
    type: 'true, false or unexpected',
  }),
  exitcodes: option(
    z.union([whole(0, 255), z.array(whole(0, 255))], { error: 'expected exit codes from 0 to 255, such as 0 or [0, 2]' }).default(0),
    { text: 'Exit codes that are expected.', type: 'number or list' },
  ),
  startsecs: option(duration().prefault('1s'), { text: 'Alive this long is RUNNING; 0: at once.', type: 'duration' }),
  startretries: option(whole(0, 1_000_000).default(3), { text: 'Failed starts in a row that are forgiven before FATAL.', type: 'number' }),
  crash_retries: option(whole(0, 1_000_000).default(10), {
    text: 'Deaths of any kind in one crash window that are forgiven before FATAL.',
    type: 'number',
  }),
  backoff_base: option(duration(1).prefault('1s'), {
    text: 'The wait after the second death in a row; it grows from there.',
    type: 'duration',
  }),
  backoff_max: option(duration(1).prefault('60s'), { text: 'The longest wait.', type: 'duration' }),
  backoff_reset: option(duration(1).prefault('60s'), { text: 'This long in RUNNING ends the crash window.', type: 'duration' }),
  fatal_retry: option(duration().prefault('5m'), { text: 'FATAL is tried again after this; 0: never, as supervisord.', type: 'duration' }),
  stopsignal: option(signal().prefault('TERM'), { text: 'What asks the program to end.', type: 'signal' }),
  stopwaitsecs: option(duration().prefault('10s'), { text: 'After this long SIGKILL follows.', type: 'duration' }),
  stopasgroup: option(flag().default(false), { text: 'Send stopsignal to the whole process group.', type: 'true or false' }),
  killasgroup: option(flag().optional(), {
    text: 'Send SIGKILL to the whole process group.',
    type: 'true or false',
    fallback: 'as stopasgroup',
  }),
  probe: option(probeSchema.optional(), {
    text: 'When the instance is ready for traffic; without one it is ready when RUNNING.',
    type: 'map',
    fallback: 'none',
  }),
}

const logs = {
  redirect_stderr: option(flag().default(false), { text: 'Write stderr into the stdout log.', type: 'true or false' }),
  stdout_logfile: logFile('stdout'),
  stdout_logfile_maxbytes: logSize('stdout'),
  stdout_logfile_backups: logBackups('stdout'),
  stderr_logfile: logFile('stderr'),
  stderr_logfile_maxbytes: logSize('stderr'),
  stderr_logfile_backups: logBackups('stderr'),
}

export const programSchema = options({ ...what, ...copies, ...life, ...logs }).check(context => {
  const { backoff_base, backoff_max } = context.value
  if (backoff_base <= backoff_max) return
  const message = `expected at most backoff_max, ${showDuration(backoff_max)}`
  context.issues.push({ code: 'custom', input: context.value, path: ['backoff_base'], message })
})

export type ProgramOptions = z.output<typeof programSchema>
