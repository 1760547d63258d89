// Programs and groups as they are checked before they become instances: options, copies, names, ids.
import { checkValue } from './check.js'
import { expand } from './expand.js'
import { didYouMean, note, type Place, quoted, type Report, shownPlace } from './problem.js'
import { NAME, NAME_EXPECTED, type ProgramOptions, programSchema } from './program-schema.js'
import { groupSchema } from './schema.js'
import type { Item } from './sections.js'
import type { Node } from './tree.js'

/** Instances one configuration may have. */
export const INSTANCES_MAX = 5000

export interface Program extends Item {
  options: ProgramOptions
}

export interface Group {
  name: string
  priority: number
  programs: string[]
}

/** One copy of a program, before its texts are expanded. */
export interface Copy {
  program: Program
  group: Group
  /** 0-based among the copies; num is what people see. */
  index: number
  num: number
  name: string
  id: string
}

/** The programs that are right, in order.  Throws nothing. */
export function checkPrograms(items: Item[], report: Report): Program[] {
  return items.flatMap(item => {
    if (!checkName('program', item, report)) return []
    const about = { title: `program "${item.name}"`, prefix: '' }
    const options = checkValue(programSchema, item.node, { about, scope: item.source.scope, report })
    return options === null ? [] : [{ ...item, options }]
  })
}

/** All groups: those of the files, then one for each program that none names.  names: every program name there is, broken ones too.
 *  complete: false keeps unknown names from being told, because they may stand in a file that could not be read.  Throws nothing. */
export function checkGroups(items: Item[], programs: Program[], names: { all: string[]; complete: boolean }, report: Report): Group[] {
  const groupOf = new Map<string, { group: string; place: Place }>()
  const groups = items.flatMap(item => {
    if (!checkName('group', item, report)) return []
    const about = { title: `group "${item.name}"`, prefix: item.node.kind === 'list' ? 'programs' : '' }
    const found = checkValue(groupSchema, item.node, { about, scope: item.source.scope, report })
    if (found === null) return []
    const group = Array.isArray(found) ? { name: item.name, priority: 999, programs: found } : { name: item.name, ...found }
    for (const [index, program] of group.programs.entries()) {
      const place = memberPlace(item.node, index)
      const other = groupOf.get(program)
      if (!names.all.includes(program)) {
        if (names.complete)
          note(report, place, `unknown program ${quoted(program)} in group "${item.name}"${didYouMean(program, names.all)}`)
      } else if (other?.group === item.name) note(report, place, `program "${program}" is named twice in group "${item.name}"`)
      else if (other !== undefined) {
        note(report, place, `program "${program}" is in two groups; the other is "${other.group}", at ${shownPlace(report, other.place)}`)
      } else groupOf.set(program, { group: item.name, place })
    }
    if (names.all.includes(item.name) && !group.programs.includes(item.name)) {
      note(report, item.place, `group "${item.name}" bears the name of a program that is not in it`)
    }
    return [group]
  })
  const alone = programs.filter(program => !groupOf.has(program.name) && !groups.some(group => group.name === program.name))
  return [...groups, ...alone.map(({ name, options }) => ({ name, priority: options.priority, programs: [name] }))]
}

/** The copies of every program with their names and ids.  Throws nothing. */
export function copiesOf(programs: Program[], groups: Group[], report: Report): Copy[] {
  const taken = new Map<string, Copy>()
  let count = 0
  const copies = programs.flatMap(program => {
    const group = groups.find(each => each.programs.includes(program.name))
    count += program.options.numprocs
    if (count > INSTANCES_MAX)
      note(report, optionPlace(program, 'numprocs'), `the instances come to ${count}; expected at most ${INSTANCES_MAX} in all`)
    return group === undefined || count > INSTANCES_MAX ? [] : copiesOfOne(program, group, report)
  })
  return copies.filter(copy => {
    const other = taken.get(copy.id)
    if (other === undefined) {
      taken.set(copy.id, copy)
      return true
    }
    if (other.program !== copy.program) {
      const where = `program "${other.program.name}" at ${shownPlace(report, other.program.place)}`
      note(report, optionPlace(copy.program, 'process_name'), `process_name gives "${copy.id}", which ${where} has too`)
    }
    return false
  })
}

function copiesOfOne(program: Program, group: Group, report: Report): Copy[] {
  const { options } = program
  const pattern = options.process_name ?? (options.numprocs === 1 ? '${program}' : '${program}_${num}')
  const place = optionPlace(program, 'process_name')
  const copies: Copy[] = []
  for (let index = 0; index < options.numprocs; index++) {
    const num = options.numprocs_start + index
    const names = { ...program.source.scope.names, program: program.name, group: group.name, num: String(num).padStart(2, '0') }
    const { text: name, errors } = expand(pattern, { ...program.source.scope, names })
    for (const { message } of errors) note(report, place, `process_name ${message}`)
    if (errors.length > 0) return []
    if (!NAME.test(name)) {
      note(report, place, `process_name is ${quoted(name)}; ${NAME_EXPECTED}`)
      return []
    }
    if (copies.some(copy => copy.name === name)) {
      note(report, place, `process_name is ${quoted(pattern)}; with numprocs ${options.numprocs} it must hold \${num}`)
      return []
    }
    copies.push({ program, group, index, num, name, id: name === group.name ? name : `${group.name}:${name}` })
  }
  return copies
}

/** Where an option of the program stands; the program's own place where it does not.  Throws nothing. */
export function optionPlace(program: Item, ...path: (string | number)[]): Place {
  let place = program.place
  let node: Node = program.node
  for (const key of path) {
    const next: Node | undefined =
      node.kind === 'map' ? node.entries.get(String(key))?.node : node.kind === 'list' ? node.items[Number(key)] : undefined
    if (next === undefined) break
    node = next
    place = next.place
  }
  return place
}

function memberPlace(node: Node, index: number): Place {
  const list = node.kind === 'map' ? node.entries.get('programs')?.node : node
  return (list?.kind === 'list' ? list.items[index]?.place : undefined) ?? node.place
}

function checkName(kind: 'program' | 'group', item: Item, report: Report): boolean {
  if (NAME.test(item.name) && item.name !== 'all') return true
  const expected = NAME.test(item.name) ? 'expected another name: for guardctl "all" means everything' : NAME_EXPECTED
  note(report, item.place, `the ${kind} name is ${quoted(item.name)}; ${expected}`)
  return false
}
