// supervisorctl's argument forms: what `name`, `group:name`, `group:*`, `group:` and `all` stand for.
import type { InstanceStatus } from '../core/status.js'

/** What one argument stands for.  `name`: as answers about it are headed. */
export type Target =
  | { kind: 'process'; name: string; id: string }
  | { kind: 'group'; name: string; ids: string[] }
  | { kind: 'none'; what: 'process' | 'group'; name: string; hint: string }

/** One argument, which is not `all`.  Returns the ids in the order of `instances`.  Throws nothing.
 *  A name without a colon is the instance whose group bears the same name, never a whole group: supervisorctl's rule. */
export function resolveName(argument: string, instances: readonly InstanceStatus[]): Target {
  const colon = argument.indexOf(':')
  const group = colon < 0 ? argument : argument.slice(0, colon)
  const name = colon < 0 ? argument : argument.slice(colon + 1)
  if (colon >= 0 && (name === '' || name === '*')) {
    const ids = instances.filter(instance => instance.group === group).map(instance => instance.id)
    return ids.length > 0 ? { kind: 'group', name: group, ids } : { kind: 'none', what: 'group', name: group, hint: '' }
  }
  const found = instances.find(instance => instance.group === group && instance.name === name)
  if (found) return { kind: 'process', name: found.id, id: found.id }
  return { kind: 'none', what: 'process', name: group === name ? name : `${group}:${name}`, hint: hintFor(argument, instances) }
}

/** supervisord's order of listing: by group, then by name.  Throws nothing. */
export function byName(a: { group: string; name: string }, b: { group: string; name: string }): number {
  return compareText(a.group, b.group) || compareText(a.name, b.name)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function hintFor(argument: string, instances: readonly InstanceStatus[]): string {
  if (instances.some(instance => instance.group === argument)) return `${argument} is a group: say ${argument}:*`
  const inGroup = instances.find(instance => instance.name === argument || instance.program === argument)
  return inGroup ? `did you mean ${inGroup.id}?` : ''
}
