// Changes of the configuration as people are told of them.
import type { Plan } from './config/plan.js'
import type { Config } from './spec.js'

/** Group names. */
export interface ConfigChanges {
  added: string[]
  changed: string[]
  removed: string[]
}

export interface UpdateReport {
  /** In the order done: group name and what happened to it. */
  groups: { name: string; change: 'added' | 'updated' | 'removed' | 'stopped' }[]
  /** Instance ids that were started anew because their own configuration changed. */
  restarted: string[]
  /** Changes taken over without a restart, in words ("web: stdout_logfile_maxbytes"). */
  applied: string[]
}

export interface Available {
  name: string
  group: string
  /** 'in use' or 'avail' in supervisorctl's words. */
  inUse: boolean
  autostart: boolean
  groupPriority: number
  priority: number
}

/** restarted: ids that were up and are started anew. */
export function updateReport({ groups, words }: Plan, restarted: string[]): UpdateReport {
  const told = (names: string[], change: UpdateReport['groups'][number]['change']) => names.map(name => ({ name, change }))
  return {
    groups: [...told(groups.removed, 'removed'), ...told(groups.changed, 'updated'), ...told(groups.added, 'added')],
    restarted,
    applied: words,
  }
}

/** files: the configuration as last read.  active: what the daemon acts on. */
export function available(files: Config, active: Config): Available[] {
  return files.instances.map(({ id, name, group, autostart, priority }) => ({
    name,
    group,
    inUse: active.instances.some(each => each.id === id),
    autostart,
    groupPriority: files.groups.find(each => each.name === group)?.priority ?? priority,
    priority,
  }))
}
