// Compares two configurations: which groups and instances differ, what must start anew and what is taken over in place.
import type { Config, InstanceSpec, RouteSpec } from '../spec.js'
import type { ProxyOptions } from './proxy-schema.js'

export interface Plan {
  /** As supervisorctl's reread tells them, by name.  changed: any difference in a group, in place or not. */
  groups: { added: string[]; changed: string[]; removed: string[] }
  /** In start order.  restarted: what the program is run with differs.  applied: differs, and no restart is needed.  Both as they shall be. */
  instances: { added: InstanceSpec[]; removed: InstanceSpec[]; restarted: InstanceSpec[]; applied: InstanceSpec[] }
  /** What is taken over without a restart ("web: stdout_logfile_maxbytes"), and what has to wait for one. */
  words: string[]
  /** Why each instance of `restarted` is ("web: command, environment HF_HOME"). */
  reasons: string[]
  /** What runs once the plan is carried out. */
  target: Config
}

/** What has to happen to make `active` equal to `wanted`.  only: group names to restrict it to, with the routes that lead there; empty: everything.
 *  guard.run_dir and guard.state_dir stay as they are: they belong to the life of the daemon.  Throws nothing. */
export function planUpdate(active: Config, wanted: Config, only: string[]): Plan {
  const target = only.length === 0 ? whole(active, wanted) : restricted(active, wanted, new Set(only))
  const before = new Map(active.instances.map(spec => [spec.id, spec]))
  const after = new Map(target.instances.map(spec => [spec.id, spec]))
  const plan: Plan = {
    groups: planGroups(active, target),
    instances: { added: [], removed: active.instances.filter(spec => !after.has(spec.id)), restarted: [], applied: [] },
    words: [],
    reasons: [],
    target,
  }
  for (const spec of target.instances) {
    const old = before.get(spec.id)
    if (old === undefined) plan.instances.added.push(spec)
    else if (!same(old, spec)) sortIn(plan, old, spec)
  }
  plan.words.push(...settingsWords(active, target, wanted, only))
  return plan
}

function sortIn(plan: Plan, old: InstanceSpec, spec: InstanceSpec): void {
  const reasons = runWords(old, spec)
  const words = placeWords(old, spec)
  if (reasons.length > 0) {
    plan.instances.restarted.push(spec)
    plan.reasons.push(`${spec.id}: ${[...reasons, ...words].join(', ')}`)
  } else {
    plan.instances.applied.push(spec)
    plan.words.push(`${spec.id}: ${words.join(', ')}`)
  }
}

function whole(active: Config, wanted: Config): Config {
  const { runDir, stateDir } = active.guard
  return { ...wanted, guard: { ...wanted.guard, runDir, stateDir } }
}

/** The named groups as wanted, everything else as it is. */
function restricted(active: Config, wanted: Config, only: Set<string>): Config {
  const rest = <T extends { name: string }>(from: T[], keep: boolean) => from.filter(each => only.has(each.name) === keep)
  const groups = [...rest(active.groups, false), ...rest(wanted.groups, true)]
  const instances = [...active.instances.filter(spec => !only.has(spec.group)), ...wanted.instances.filter(spec => only.has(spec.group))]
  const members = new Set([...rest(active.groups, true), ...rest(wanted.groups, true)].flatMap(group => group.programs))
  const leadsThere = (route: RouteSpec) => 'program' in route.to && members.has(route.to.program)
  const kept = active.routes.filter(route => !leadsThere(route))
  const ids = new Set(kept.map(route => route.id))
  const routes = [...kept, ...wanted.routes.filter(route => leadsThere(route) && !ids.has(route.id))]
  return { ...active, groups, instances: inWantedOrder(instances, wanted), routes }
}

/** Start order again after two lists were put together: the place in the wanted configuration, what is not in it first. */
function inWantedOrder(instances: InstanceSpec[], wanted: Config): InstanceSpec[] {
  const place = new Map(wanted.instances.map((spec, index) => [spec.id, index]))
  return [...instances].sort((a, b) => (place.get(a.id) ?? -1) - (place.get(b.id) ?? -1))
}

function planGroups(active: Config, target: Config): Plan['groups'] {
  const state = (config: Config, name: string) => ({
    group: config.groups.find(group => group.name === name),
    instances: config.instances.filter(spec => spec.group === name),
  })
  const old = active.groups.map(group => group.name)
  const now = target.groups.map(group => group.name)
  return {
    added: now.filter(name => !old.includes(name)).sort(),
    changed: now.filter(name => old.includes(name) && !same(state(active, name), state(target, name))).sort(),
    removed: old.filter(name => !now.includes(name)).sort(),
  }
}

/** What only a new start can change. */
function runWords(old: InstanceSpec, spec: InstanceSpec): string[] {
  const words: string[] = []
  if (!same(old.run.argv, spec.run.argv)) words.push('command')
  for (const name of changedKeys(old.run.environment, spec.run.environment)) words.push(`environment ${name}`)
  for (const [key, word] of RUN_OPTIONS) {
    if (!same(old.run[key], spec.run[key])) words.push(word)
  }
  for (const name of changedKeys(old.run.limits, spec.run.limits)) words.push(`limits.${name}`)
  return words
}

const RUN_OPTIONS = [
  ['directory', 'directory'],
  ['user', 'user'],
  ['umask', 'umask'],
  ['nice', 'nice'],
  ['oomScoreAdj', 'oom_score_adj'],
] as const

/** What the supervisor takes over while the program runs on. */
function placeWords(old: InstanceSpec, spec: InstanceSpec): string[] {
  const words: string[] = []
  const add = (word: string, a: unknown, b: unknown) => {
    if (!same(a, b)) words.push(word)
  }
  add('priority', old.priority, spec.priority)
  add('autostart', old.autostart, spec.autostart)
  add('depends_on', old.dependsOn, spec.dependsOn)
  add('host', old.address?.host, spec.address?.host)
  add('port', old.address?.port, spec.address?.port)
  add('numprocs_start', old.num, spec.num)
  for (const [key, word] of POLICY_OPTIONS) add(word, old.policy[key], spec.policy[key])
  words.push(...logWords(old.logs, spec.logs))
  add('probe', old.probe, spec.probe)
  return words
}

const POLICY_OPTIONS = [
  ['autorestart', 'autorestart'],
  ['exitcodes', 'exitcodes'],
  ['startMs', 'startsecs'],
  ['startRetries', 'startretries'],
  ['crashRetries', 'crash_retries'],
  ['backoffBaseMs', 'backoff_base'],
  ['backoffMaxMs', 'backoff_max'],
  ['backoffResetMs', 'backoff_reset'],
  ['fatalRetryMs', 'fatal_retry'],
  ['stopSignal', 'stopsignal'],
  ['stopWaitMs', 'stopwaitsecs'],
  ['stopAsGroup', 'stopasgroup'],
  ['killAsGroup', 'killasgroup'],
] as const

function logWords(old: InstanceSpec['logs'], now: InstanceSpec['logs']): string[] {
  const words: string[] = []
  if ((old.stderr === 'stdout') !== (now.stderr === 'stdout')) words.push('redirect_stderr')
  for (const stream of ['stdout', 'stderr'] as const) {
    const [a, b] = [old[stream], now[stream]]
    if (a === 'stdout' || b === 'stdout' || same(a, b)) continue
    if (a?.path !== b?.path) words.push(`${stream}_logfile`)
    if (a !== null && b !== null && a.maxBytes !== b.maxBytes) words.push(`${stream}_logfile_maxbytes`)
    if (a !== null && b !== null && a.backups !== b.backups) words.push(`${stream}_logfile_backups`)
  }
  return words
}

function settingsWords(active: Config, target: Config, wanted: Config, only: string[]): string[] {
  const words = changedKeys(flat(active.proxy), flat(target.proxy)).map(key => `proxy: ${key}`)
  const routes = (config: Config) => Object.fromEntries(config.routes.map(route => [route.id, JSON.stringify(route)]))
  words.push(...changedKeys(routes(active), routes(target)).map(id => `route ${id}`))
  if (only.length > 0) return words
  if (!same(active.guard.log, target.guard.log)) words.push('guard: logfile')
  if (active.guard.logDir !== target.guard.logDir) words.push('guard: log_dir')
  if (active.guard.runDir !== wanted.guard.runDir) words.push('guard: run_dir (when the daemon starts anew)')
  if (active.guard.stateDir !== wanted.guard.stateDir) words.push('guard: state_dir (when the daemon starts anew)')
  return words
}

/** The proxy's settings under the names the file gives them. */
function flat({ accessLog, tls, compression, ...proxy }: Config['proxy']): Record<string, string> {
  const settings: Record<string, unknown> = {
    listen: proxy.listen,
    listen_tls: tls?.listen,
    tls_certificate: tls?.certificate,
    tls_key: tls?.key,
    proxy_protocol: proxy.proxyProtocol,
    proxy_protocol_from: proxy.proxyProtocolFrom,
    workers: proxy.workers,
    access_log: accessLog?.path,
    access_log_format: accessLog?.format,
    access_log_maxbytes: accessLog?.maxBytes,
    access_log_backups: accessLog?.backups,
    idle_timeout: proxy.idleTimeoutMs,
    header_timeout: proxy.headerTimeoutMs,
    body_timeout: proxy.bodyTimeoutMs,
    send_timeout: proxy.sendTimeoutMs,
    max_header_bytes: proxy.maxHeaderBytes,
    max_header_fields: proxy.maxHeaderFields,
    max_connections: proxy.maxConnections,
    max_connections_per_client: proxy.maxConnectionsPerClient,
    max_streams: proxy.maxStreams,
    max_requests_per_connection: proxy.maxRequestsPerConnection,
    max_resets_per_second: proxy.maxResetsPerSecond,
    max_control_frames_per_second: proxy.maxControlFramesPerSecond,
    max_continuation_frames: proxy.maxContinuationFrames,
    allow: proxy.allow,
    deny: proxy.deny,
    trusted_hops: proxy.trustedHops,
    forwarded: proxy.forwarded,
    compression_types: compression.types,
    compression_min_bytes: compression.minBytes,
    drain: proxy.drainMs,
  } satisfies Record<Exclude<keyof ProxyOptions, 'compression'>, unknown>
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value) ?? '']))
}

function changedKeys(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(key => a[key] !== b[key]).sort()
}

/** Values of a resolved configuration are plain data that is made in one order. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
