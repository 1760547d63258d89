// Who starts before whom, and who must be gone before whom may stop.
import type { GroupSpec, InstanceSpec } from './spec.js'

/** Instances in the order of their starts: each tier may begin when the one before has been spawned.
 *  Priority of the group, then of the program, lowest first; a program never stands in an earlier tier than one it depends on. */
export function startTiers(instances: InstanceSpec[], groups: GroupSpec[]): InstanceSpec[][] {
  const rank = ranks(instances, groups)
  const tiers = new Map<number, InstanceSpec[]>()
  for (const instance of instances) {
    const own = rank.get(instance.program) as number
    tiers.set(own, [...(tiers.get(own) ?? []), instance])
  }
  return [...tiers].sort(([a], [b]) => a - b).map(([, tier]) => tier)
}

/** The ids that must be gone before each instance may be stopped, among the instances given: higher tiers, and those that depend on it. */
export function stopBlockers(instances: InstanceSpec[], groups: GroupSpec[]): Map<string, string[]> {
  const rank = ranks(instances, groups)
  const goesFirst = (other: InstanceSpec, instance: InstanceSpec): boolean =>
    (rank.get(other.program) as number) > (rank.get(instance.program) as number) ||
    other.dependsOn.some(dependency => dependency.program === instance.program)
  return new Map(instances.map(instance => [instance.id, instances.filter(other => goesFirst(other, instance)).map(other => other.id)]))
}

/** Dependencies win over priorities: a program's rank is never lower than that of one it depends on.  Config has refused cycles. */
function ranks(instances: InstanceSpec[], groups: GroupSpec[]): Map<string, number> {
  const groupPriority = new Map(groups.map(group => [group.name, group.priority]))
  const key = (instance: InstanceSpec): [number, number] => [groupPriority.get(instance.group) ?? instance.priority, instance.priority]
  const sorted = [...instances].sort((a, b) => key(a)[0] - key(b)[0] || key(a)[1] - key(b)[1])
  const own = new Map<string, number>()
  let place = -1
  let last = ''
  for (const instance of sorted) {
    const text = key(instance).join()
    if (text !== last) place++
    last = text
    if (!own.has(instance.program)) own.set(instance.program, place)
  }
  const programs = new Map(instances.map(instance => [instance.program, instance]))
  const lifted = new Map<string, number>()
  const lift = (program: string): number => {
    const known = lifted.get(program)
    if (known !== undefined) return known
    const below = programs.get(program)?.dependsOn ?? []
    const rank = Math.max(own.get(program) ?? 0, ...below.filter(to => programs.has(to.program)).map(to => lift(to.program)))
    lifted.set(program, rank)
    return rank
  }
  for (const program of programs.keys()) lift(program)
  return lifted
}
