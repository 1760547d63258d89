// The one schema of a configuration file: types, checks, defaults, the editors' JSON Schema and the reference all come from here.
import * as z from 'zod'
import { choice, duration, flag, matching, option, options, size, text, whole } from './option.js'
import { NAME, programSchema } from './program-schema.js'
import { parseListen } from './units.js'

export const guardSchema = options({
  run_dir: option(text('expected a directory').optional(), {
    text: 'Control socket and the shims’ sockets.',
    type: 'path',
    fallback:
      '`.guard` beside the file; for a file below /etc `/run/autodl-guard`, or `$XDG_RUNTIME_DIR/autodl-guard` where the daemon is not root',
  }),
  state_dir: option(text('expected a directory').optional(), {
    text: 'What must survive a restart of the machine.',
    type: 'path',
    fallback: '`.guard/state` beside the file; for a file below /etc `/var/lib/autodl-guard`',
  }),
  log_dir: option(text('expected a directory').optional(), {
    text: 'Where AUTO logs go.',
    type: 'path',
    fallback: '`logs` beside the file; for a file below /etc `/var/log/autodl-guard`',
  }),
  logfile: option(text('expected AUTO or a path').prefault('AUTO'), {
    text: "The daemon's own log. AUTO: guard.log in log_dir.",
    type: 'AUTO or path',
  }),
  logfile_maxbytes: option(size().prefault('50MB'), { text: 'It is rotated before it grows past this; 0: never.', type: 'size' }),
  logfile_backups: option(whole(0, 1000).default(10), { text: 'Rotated logs that are kept.', type: 'number' }),
})

const WORKERS_EXPECTED = 'expected a number from 1 to 64, or auto'

export const proxySchema = options({
  listen: option(
    z
      .string({ error: 'expected host:port such as 0.0.0.0:6006, or none' })
      .refine(value => value === 'none' || parseListen(value) !== null, { error: 'expected host:port such as 0.0.0.0:6006, or none' })
      .default('0.0.0.0:6006'),
    { text: 'The one open door. Port 0 takes a free one; the log says which. none: no proxy.', type: 'host:port or none' },
  ),
  workers: option(z.union([whole(1, 64, WORKERS_EXPECTED), z.literal('auto')], { error: WORKERS_EXPECTED }).default(1), {
    text: 'Proxy processes. auto: one per processor.',
    type: 'number or auto',
  }),
  access_log: option(text('expected AUTO, NONE or a path').prefault('AUTO'), {
    text: 'One line per request. AUTO: access.log in guard.log_dir. NONE: not written.',
    type: 'AUTO, NONE or path',
  }),
  access_log_format: option(choice('combined', 'json').default('combined'), { text: 'The form of its lines.', type: 'combined or json' }),
  access_log_maxbytes: option(size().prefault('50MB'), { text: 'It is rotated before it grows past this; 0: never.', type: 'size' }),
  access_log_backups: option(whole(0, 1000).default(10), { text: 'Rotated access logs that are kept.', type: 'number' }),
  idle_timeout: option(duration(1).prefault('75s'), { text: 'A client connection that is idle this long is closed.', type: 'duration' }),
  header_timeout: option(duration(1).prefault('30s'), { text: 'The head of a request must be complete within this.', type: 'duration' }),
  max_header_bytes: option(size(1024, 2 ** 20).prefault('64KB'), { text: 'The largest head of a request.', type: 'size' }),
  max_connections: option(whole(1, 1_000_000).default(10_000), { text: 'Client connections one worker holds at once.', type: 'number' }),
  drain: option(duration().prefault('30s'), { text: 'How long a retiring worker may finish its requests.', type: 'duration' }),
})

/** The bytes a path may have (RFC 3986, section 3.3), between two slashes and without empty parts. */
const PREFIX = /^\/(?:[A-Za-z0-9._~!$&'()*+,;=:@%-]+\/)*$/

export const routeSchema = options({
  prefix: option(matching(PREFIX, 'expected a path that starts and ends with "/", such as /web/'), {
    text: 'Requests whose path starts so; the longest prefix wins.',
    type: 'path',
    fallback: 'required',
  }),
  to: option(
    z.union(
      [
        text('expected a program, an address or a list of addresses'),
        z.array(text('expected an address such as http://host:port')).min(1, { error: 'expected at least one address' }),
      ],
      {
        error: 'expected a program, an address or a list of addresses',
      },
    ),
    {
      text: 'A program (its ready instances), or fixed addresses: http://host:port, h2c://host:port, unix:/path.',
      type: 'program, address or list of addresses',
      fallback: 'required',
    },
  ),
  protocol: option(choice('h2c', 'http1').optional(), {
    text: 'What the service speaks. gRPC is h2c.',
    type: 'h2c or http1',
    fallback: 'as the address says, else http1',
  }),
  strip: option(flag().default(true), { text: 'Take the prefix off: /web/a arrives as /a.', type: 'true or false' }),
  hold: option(duration().prefault('30s'), { text: 'How long a request may wait for a ready instance.', type: 'duration' }),
  timeout: option(duration(1).prefault('60s'), {
    text: 'The head of the response must have come within this. For gRPC: a call with no activity this long is ended.',
    type: 'duration',
  }),
  connect_timeout: option(duration(1).prefault('5s'), { text: 'A connection to the service must stand within this.', type: 'duration' }),
})

const members = z
  .array(text('expected the name of a program'), { error: 'expected a list of programs' })
  .min(1, { error: 'expected at least one program' })

export const groupMapSchema = options({
  programs: option(members, { text: 'The programs of the group.', type: 'list', fallback: 'required' }),
  priority: option(whole(-999_999, 999_999).default(999), { text: 'Lowest starts first and stops last.', type: 'number' }),
})

export const groupSchema = z.union([members, groupMapSchema], { error: 'expected a list of programs, or a map with programs and priority' })

const includeSchema = z.union([text('expected a path'), z.array(text('expected a path'))], { error: 'expected a path or a list of paths' })

const name = z.string().regex(NAME)

/** A whole file, for editors; the loader checks it section by section so that one mistake hides no other. */
export const fileSchema = options({
  guard: option(guardSchema.optional(), { text: 'The daemon itself.', type: 'map' }),
  include: option(includeSchema.optional(), {
    text:
      'More files, relative to this one; `*` and `?` match within a name. They may include more. A path must exist, a pattern may match nothing; a file is read once. ' +
      'Programs, groups and routes add up; guard and proxy stand in one file, and a name in one place.',
    type: 'path or list',
  }),
  programs: option(z.record(name, programSchema).optional(), { text: 'What to run, by name.', type: 'map' }),
  groups: option(z.record(name, groupSchema).optional(), {
    text: 'Programs that are started and stopped together. A program in no group is a group of its own.',
    type: 'map',
  }),
  proxy: option(proxySchema.optional(), { text: 'The one open door.', type: 'map' }),
  routes: option(z.array(routeSchema).optional(), { text: 'Which requests go where.', type: 'list' }),
})

export type GuardOptions = z.output<typeof guardSchema>
export type ProxyOptions = z.output<typeof proxySchema>
export type RouteOptions = z.output<typeof routeSchema>
