// Turns a checked copy of a program into the instance the supervisor acts on.
import type { InstanceSpec, LogSpec, Policy, ProbeSpec, RunSpec } from '../spec.js'
import { environmentOf } from './environment.js'
import { expand, type Scope } from './expand.js'
import { directoryOf, resolvePath } from './path.js'
import { note, type Place, quoted, type Report } from './problem.js'
import { type Copy, optionPlace, type Program } from './programs.js'
import { parseUmask } from './units.js'
import { splitWords } from './words.js'
import type { World } from './world.js'

export interface Resolving {
  logDir: string
  /** The part of the daemon's environment that all programs get. */
  passedOn: Readonly<Record<string, string>>
  world: World
  report: Report
}

/** The instance; what is wrong goes to the report.  port: null where the program has none.  Throws nothing. */
export function resolveInstance(copy: Copy, port: number | null, resolving: Resolving): InstanceSpec {
  const { program, group } = copy
  const { options, source } = program
  const names = {
    ...source.scope.names,
    program: program.name,
    group: group.name,
    num: String(copy.num),
    port: port === null ? null : String(port),
    host: port === null ? null : options.host,
  }
  const scope: Scope = { env: source.scope.env, names }
  const texts: Texts = { program, scope, report: resolving.report }
  return {
    id: copy.id,
    name: copy.name,
    group: group.name,
    program: program.name,
    num: copy.num,
    priority: options.priority,
    autostart: options.autostart,
    dependsOn: dependencies(options.depends_on),
    address: port === null ? null : { host: options.host, port },
    policy: policyOf(options),
    run: runOf(copy, port, texts, resolving),
    logs: logsOf(copy, texts, resolving.logDir),
    probe: probeOf(texts, resolving.world),
  }
}

/** depends_on in one form.  Throws nothing. */
export function dependencies(option: Program['options']['depends_on']): InstanceSpec['dependsOn'] {
  const pairs = Array.isArray(option) ? option.map(program => [program, 'started'] as const) : Object.entries(option)
  return pairs.map(([program, condition]) => ({ program, condition }))
}

function policyOf(options: Program['options']): Policy {
  const { autorestart, exitcodes } = options
  return {
    autorestart: autorestart === true ? 'always' : autorestart === false ? 'never' : 'unexpected',
    exitcodes: Array.isArray(exitcodes) ? exitcodes : [exitcodes],
    startMs: options.startsecs,
    startRetries: options.startretries,
    crashRetries: options.crash_retries,
    backoffBaseMs: options.backoff_base,
    backoffMaxMs: options.backoff_max,
    backoffResetMs: options.backoff_reset,
    fatalRetryMs: options.fatal_retry,
    stopSignal: options.stopsignal,
    stopWaitMs: options.stopwaitsecs,
    stopAsGroup: options.stopasgroup,
    killAsGroup: options.killasgroup ?? options.stopasgroup,
  }
}

interface Texts {
  program: Program
  scope: Scope
  report: Report
}

/** An option's text expanded for this instance; what is wrong is told under the option's name. */
function filled(text: string, path: [string, ...string[]], texts: Texts): string {
  const expanded = expand(text, texts.scope)
  const name = path.join('.')
  const secret = path[0] === 'environment'
  for (const { message, plain } of expanded.errors) note(texts.report, placeAt(path, texts), `${name} ${secret ? plain : message}`)
  return expanded.text
}

function placeAt(path: string[], texts: Texts): Place {
  return optionPlace(texts.program, ...path)
}

function words(text: string, path: [string, ...string[]], texts: Texts): string[] {
  const split = splitWords(text)
  if ('error' in split) {
    note(texts.report, placeAt(path, texts), `${path.join('.')} has ${split.error}`)
    return []
  }
  if (split.words.length === 0)
    note(texts.report, placeAt(path, texts), `${path.join('.')} is ${quoted(text)}; expected the command line to run`)
  return split.words.map(word => filled(word, path, texts))
}

function runOf(copy: Copy, port: number | null, texts: Texts, resolving: Resolving): RunSpec {
  const { options, source } = copy.program
  const { world, report } = resolving
  const account = options.user === undefined ? null : world.user(options.user)
  if (options.user !== undefined && account === null) {
    note(report, placeAt(['user'], texts), `user is ${quoted(options.user)}; expected an account of this machine`)
  }
  const own: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.environment)) {
    if (/^[^=]+$/.test(name)) own[name] = filled(String(value), ['environment', name], texts)
    else
      note(
        report,
        placeAt(['environment', name], texts),
        `environment has the name ${quoted(name.replace(/=[\s\S]*/, '=...'))}; expected one without "="`,
      )
  }
  return {
    argv: options.shell ? ['/bin/sh', '-c', filled(options.command, ['command'], texts)] : words(options.command, ['command'], texts),
    environment: environmentOf({
      passedOn: resolving.passedOn,
      account,
      own,
      program: copy.program.name,
      group: copy.group.name,
      name: copy.name,
      id: copy.id,
      port,
    }),
    directory: directoryFor(options.directory, directoryOf(source.file), texts, world),
    user: options.user ?? null,
    umask: options.umask === undefined ? null : parseUmask(options.umask),
    nice: options.nice ?? null,
    oomScoreAdj: options.oom_score_adj ?? null,
    limits: Object.fromEntries(Object.entries(options.limits).filter(([, value]) => value !== undefined)),
  }
}

function directoryFor(option: string | undefined, base: string, texts: Texts, world: World): string {
  if (option === undefined) return base
  const before = texts.report.found.length
  const path = resolvePath(base, filled(option, ['directory'], texts))
  if (texts.report.found.length > before) return path
  const kind = world.kind(path)
  if (kind !== 'directory') {
    note(
      texts.report,
      placeAt(['directory'], texts),
      `directory is ${quoted(path)}, which ${kind === 'file' ? 'is no directory' : 'does not exist'}`,
    )
  }
  return path
}

function logsOf(copy: Copy, texts: Texts, logDir: string): InstanceSpec['logs'] {
  const { options } = copy.program
  const log = (stream: 'stdout' | 'stderr'): LogSpec | null => {
    const path = filled(options[`${stream}_logfile`], [`${stream}_logfile`], texts)
    if (path.toUpperCase() === 'NONE') return null
    const auto = `${logDir}/${copy.id.replace(':', '_')}.${stream}.log`
    return {
      path: path.toUpperCase() === 'AUTO' ? auto : resolvePath(directoryOf(copy.program.source.file), path),
      maxBytes: options[`${stream}_logfile_maxbytes`],
      backups: options[`${stream}_logfile_backups`],
    }
  }
  return { stdout: log('stdout'), stderr: options.redirect_stderr ? 'stdout' : log('stderr') }
}

function probeOf(texts: Texts, world: World): ProbeSpec | null {
  const { probe, user } = texts.program.options
  if (probe === undefined) return null
  const target = ((): ProbeSpec['target'] => {
    if (probe.http !== undefined) return { kind: 'http', path: filled(probe.http.path, ['probe', 'http', 'path'], texts) }
    if (probe.grpc !== undefined) return { kind: 'grpc', service: filled(probe.grpc.service, ['probe', 'grpc', 'service'], texts) }
    if (probe.exec !== undefined) {
      const account = user === undefined ? null : world.user(user)
      const argv = words(probe.exec.command, ['probe', 'exec', 'command'], texts)
      return { kind: 'exec', argv, account: account === null ? null : { uid: account.uid, gid: account.gid } }
    }
    return { kind: 'tcp' }
  })()
  if (target.kind !== 'exec' && texts.scope.names.port === null) {
    note(
      texts.report,
      placeAt(['probe', target.kind], texts),
      `probe.${target.kind} needs a port, but the program has none; give it one with "port:"`,
    )
  }
  return { target, intervalMs: probe.interval, timeoutMs: probe.timeout, failures: probe.failures }
}
