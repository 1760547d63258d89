// The one schema of a configuration file: types, checks, defaults, the editors' JSON Schema and the reference all come from here.
import * as z from 'zod'
import { option, options, size, text, whole } from './option.js'
import { NAME, programSchema } from './program-schema.js'
import { proxySchema } from './proxy-schema.js'
import { routeSchema } from './route-schema.js'

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
