// Loads a configuration: files in, either the resolved Config or every problem at once out.
import type { Config, GuardSpec, InstanceSpec } from '../spec.js'
import { placeOf } from './check.js'
import { checkDependencies, checkLogs, checkPorts, type Resolved } from './conflicts.js'
import { passedOn } from './environment.js'
import { resolveInstance } from './instances.js'
import { directoryOf, resolvePath } from './path.js'
import { note, type Problem, type Report, sortedProblems } from './problem.js'
import { type Copy, checkGroups, checkPrograms, copiesOf, type Group, optionPlace } from './programs.js'
import { resolveProxy } from './proxy.js'
import { proxySchema } from './proxy-schema.js'
import { resolveRoutes } from './routes.js'
import { type GuardOptions, guardSchema } from './schema.js'
import { guardSection, namedItems, proxySection, routeItems, type Single } from './sections.js'
import { readSources } from './sources.js'
import type { World } from './world.js'

export type Loaded = { config: Config } | { problems: Problem[] }

/** Reads, checks and resolves a configuration.  file: absolute.  All problems come at once, by file and position.  Throws nothing. */
export function loadConfig(file: string, world: World): Loaded {
  const report: Report = { root: directoryOf(file), found: [] }
  const { files, sources, complete } = readSources(file, world, report)
  const guardPart = guardSection(sources, file, world.env, report)
  const proxyPart = proxySection(sources, file, world.env, report)
  const items = namedItems('programs', sources, report)
  const programs = checkPrograms(items, report)
  const names = { all: items.map(item => item.name), complete }
  const groups = checkGroups(namedItems('groups', sources, report), programs, names, report)
  checkDependencies(programs, names, report)
  const defaults = { compression: proxyPart?.options.compression ?? false }
  const routes = resolveRoutes(routeItems(sources, report), { programs, names: names.all, complete }, defaults, report)

  // Where a section is wrong its defaults stand in, so that what depends on it is checked all the same.
  const guard = resolveGuard(
    guardPart ?? { options: guardSchema.parse({}), node: sources[0]?.root ?? EMPTY, base: report.root },
    file,
    world,
  )
  const proxy = resolveProxy(
    proxyPart ?? { options: proxySchema.parse({}), node: sources[0]?.root ?? EMPTY, base: report.root },
    guard.logDir,
    world,
    report,
  )
  const resolved = resolveAll(copiesOf(programs, groups, report), { guard, world, report })
  const nowhere = { file, line: 0, column: 0 }
  const places = {
    guard: guardPart === null ? nowhere : placeOf(guardPart.node, ['logfile']),
    access: proxyPart === null ? nowhere : placeOf(proxyPart.node, ['access_log']),
  }
  const tls = proxyPart === null ? nowhere : placeOf(proxyPart.node, ['listen_tls'])
  checkPorts(resolved, { guard, proxy }, { tls }, { world, report })
  checkLogs(resolved, { guard, proxy }, places, report)
  if (report.found.length > 0) return { problems: sortedProblems(report, files) }
  return { config: { file, files, guard, instances: inOrder(resolved, groups), groups, proxy, routes } }
}

const EMPTY = { kind: 'map', place: { file: '', line: 0, column: 0 }, entries: new Map() } as const

function resolveGuard({ options, base }: Single<GuardOptions>, file: string, world: World): GuardSpec {
  const defaults = world.defaults(file)
  const path = (option: string | undefined, fallback: string) => (option === undefined ? fallback : resolvePath(base, option))
  const logDir = path(options.log_dir, defaults.logDir)
  return {
    runDir: path(options.run_dir, defaults.runDir),
    stateDir: path(options.state_dir, defaults.stateDir),
    logDir,
    log: {
      path: options.logfile.toUpperCase() === 'AUTO' ? `${logDir}/guard.log` : resolvePath(base, options.logfile),
      maxBytes: options.logfile_maxbytes,
      backups: options.logfile_backups,
    },
  }
}

/** Fixed ports come first, so that `auto` goes around them. */
function resolveAll(copies: Copy[], context: { guard: GuardSpec; world: World; report: Report }): Resolved[] {
  const { guard, world, report } = context
  const reserved = new Set<number>()
  const ports = new Map<Copy, number>()
  for (const copy of copies) {
    const { port } = copy.program.options
    if (typeof port !== 'number') continue
    if (port + copy.index <= 65_535) ports.set(copy, port + copy.index)
    else note(report, optionPlace(copy.program, 'port'), `port ${port} with numprocs ${copy.program.options.numprocs} goes beyond 65535`)
    reserved.add(port + copy.index)
  }
  for (const copy of copies) {
    const { port, host } = copy.program.options
    if (port !== 'auto') continue
    const free = world.freePort({ instanceId: copy.id, host, runDir: guard.runDir, reserved })
    if (free === null) note(report, optionPlace(copy.program, 'port'), 'port is auto, but none of 20000-29999 is free')
    else ports.set(copy, free)
    if (free !== null) reserved.add(free)
  }
  const shared = { logDir: guard.logDir, passedOn: passedOn(world.env), world, report }
  return copies.map(copy => {
    const spec = resolveInstance(copy, ports.get(copy) ?? null, shared)
    return { copy, spec }
  })
}

/** Start order: priority of the group, then of the program, then the place in the files. */
function inOrder(resolved: Resolved[], groups: Group[]): InstanceSpec[] {
  const priority = new Map(groups.map(group => [group.name, group.priority]))
  const rank = (spec: InstanceSpec) => priority.get(spec.group)!
  return resolved.map(({ spec }) => spec).sort((a, b) => rank(a) - rank(b) || a.priority - b.priority)
}
