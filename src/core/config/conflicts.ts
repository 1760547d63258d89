// What single options cannot show: two things that want the same port or log file, dependencies that never end.
import type { Config, InstanceSpec, LogSpec } from '../spec.js'
import { dependencies } from './instances.js'
import { didYouMean, note, type Place, quoted, type Report, shownPlace } from './problem.js'
import { type Copy, optionPlace, type Program } from './programs.js'
import type { World } from './world.js'

/** A resolved instance with the copy it came from, for positions. */
export interface Resolved {
  copy: Copy
  spec: InstanceSpec
}

/** Dependencies: unknown names, `ready` without a probe, cycles.  names: every program name, broken ones too.  Throws nothing. */
export function checkDependencies(programs: Program[], names: { all: string[]; complete: boolean }, report: Report): void {
  for (const program of programs) {
    for (const [index, { program: name, condition }] of dependencies(program.options.depends_on).entries()) {
      const place = dependencyPlace(program, name, index)
      const target = programs.find(each => each.name === name)
      if (!names.all.includes(name)) {
        if (names.complete) note(report, place, `unknown program ${quoted(name)} in depends_on${didYouMean(name, names.all)}`)
      } else if (condition === 'ready' && target !== undefined && target.options.probe === undefined) {
        note(report, place, `depends_on waits until "${name}" is ready, but "${name}" has no probe; give it one, or wait for started`)
      }
    }
  }
  for (const cycle of cyclesOf(programs)) {
    const program = programs.find(each => each.name === cycle[0])!
    note(report, optionPlace(program, 'depends_on'), `programs depend on each other: ${cycle.join(' → ')}`)
  }
}

function dependencyPlace(program: Program, name: string, index: number): Place {
  const node = program.node.kind === 'map' ? program.node.entries.get('depends_on')?.node : undefined
  if (node?.kind === 'map') return node.entries.get(name)?.place ?? node.place
  return optionPlace(program, 'depends_on', index)
}

/** Each cycle once, from its first program in the order of the files: [a, b, a]. */
function cyclesOf(programs: Program[]): string[][] {
  const edges = new Map(programs.map(program => [program.name, dependencies(program.options.depends_on).map(each => each.program)]))
  const done = new Set<string>()
  const cycles: string[][] = []
  for (const { name: start } of programs) {
    const path: { name: string; next: number }[] = done.has(start) ? [] : [{ name: start, next: 0 }]
    while (path.length > 0) {
      const top = path.at(-1)!
      const target = edges.get(top.name)?.[top.next++]
      if (target === undefined) {
        done.add(top.name)
        path.pop()
      } else if (path.some(step => step.name === target)) {
        const round = path.slice(path.findIndex(step => step.name === target)).map(step => step.name)
        cycles.push([...round, target])
      } else if (edges.has(target) && !done.has(target)) path.push({ name: target, next: 0 })
    }
  }
  return cycles
}

/** Two programs, or a program and the proxy, on one port; a port somebody else has.  Throws nothing. */
export function checkPorts(
  resolved: Resolved[],
  config: Pick<Config, 'guard' | 'proxy'>,
  places: { tls: Place },
  { world, report }: { world: World; report: Report },
): void {
  const byPort = new Map<number, { host: string; who: string; option?: string; place: Place | null }[]>()
  for (const [option, listen] of [
    ['listen', config.proxy.listen],
    ['listen_tls', config.proxy.tls?.listen],
  ] as const) {
    if (listen === null || listen === undefined || listen.port === 0) continue
    const others = byPort.get(listen.port) ?? []
    const other = others.find(each => meet(each.host, listen.host))
    if (other !== undefined) note(report, places.tls, `proxy.listen_tls has port ${listen.port}, which proxy.listen has too`)
    byPort.set(listen.port, [...others, { host: listen.host, who: 'the proxy', option: `proxy.${option}`, place: null }])
  }
  for (const { copy, spec } of resolved) {
    if (spec.address === null) continue
    const { host, port } = spec.address
    const place = optionPlace(copy.program, 'port')
    const others = byPort.get(port) ?? []
    const other = others.find(each => meet(each.host, host))
    if (other !== undefined) {
      const where = other.place === null ? ` (${other.option})` : `, at ${shownPlace(report, other.place)}`
      note(report, place, `port ${port} is doubled: ${other.who} has it too${where}`)
    } else {
      const holder = world.portHolder({ host, port, runDir: config.guard.runDir })
      if (holder !== null) note(report, place, `port ${port} is taken: ${holder} listens on it`)
    }
    byPort.set(port, [...others, { host, who: `program "${copy.program.name}"`, place }])
  }
}

/** May two sockets not listen on these hosts with one port? */
function meet(a: string, b: string): boolean {
  const plain = (host: string) => (host === 'localhost' ? '127.0.0.1' : host)
  const anywhere = (host: string) => host === '0.0.0.0' || host === '::'
  return plain(a) === plain(b) || anywhere(a) || anywhere(b)
}

interface Writer {
  log: LogSpec
  /** `stdout_logfile of program "web"`, `guard.logfile`. */
  who: string
  option: string
  place: Place
}

/** Where guard.logfile and proxy.access_log stand, or what they are the default of. */
export interface LogPlaces {
  guard: Place
  access: Place
}

/** Two writers of one log file, or of one that is a rotated name of the other.  Throws nothing. */
export function checkLogs(resolved: Resolved[], config: Pick<Config, 'guard' | 'proxy'>, places: LogPlaces, report: Report): void {
  const { accessLog } = config.proxy
  const own: Writer[] = [{ log: config.guard.log, who: 'guard.logfile', option: 'guard.logfile', place: places.guard }]
  if (accessLog !== null) own.push({ log: accessLog, who: 'proxy.access_log', option: 'proxy.access_log', place: places.access })
  const writers = new Map<string, Writer>()
  const all = [...own, ...resolved.flatMap(writersOf)].filter(({ log }) => !log.path.startsWith('/dev/'))
  for (const writer of all) {
    const other = writers.get(writer.log.path)
    if (other === undefined) writers.set(writer.log.path, writer)
    else tellDoubled(writer, other, report)
  }
  for (const writer of all) {
    const [, path, number] = /^(.*)\.(\d+)$/.exec(writer.log.path) ?? []
    const other = path === undefined ? undefined : writers.get(path)
    if (other === undefined || other.log.maxBytes === 0 || Number(number) > other.log.backups || Number(number) === 0) continue
    note(report, writer.place, `${writer.option} is ${quoted(writer.log.path)}, a rotated name of ${other.who}`)
  }
}

function writersOf({ copy, spec }: Resolved): Writer[] {
  const { stdout, stderr } = spec.logs
  const writer = (log: LogSpec, option: string): Writer => ({
    log,
    who: `${option} of program "${copy.program.name}"`,
    option,
    place: optionPlace(copy.program, option),
  })
  return [
    ...(stdout === null ? [] : [writer(stdout, 'stdout_logfile')]),
    ...(stderr === null || stderr === 'stdout' ? [] : [writer(stderr, 'stderr_logfile')]),
  ]
}

function tellDoubled(writer: Writer, other: Writer, report: Report): void {
  const what = `${writer.option} is ${quoted(writer.log.path)}`
  const where = other.place.line === 0 ? '' : `, at ${shownPlace(report, other.place)}`
  const both = other.place === writer.place ? ' for every copy; use ${num} to tell them apart' : `, which ${other.who} has too${where}`
  note(report, writer.place, what + both)
}
