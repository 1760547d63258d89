// CPU and memory of whole process trees, sampled only when somebody looks.
import { readdir, readFile } from 'node:fs/promises'
import pidusage from 'pidusage'
import type { Usage } from '../core/status.js'

/** roots: the program's pid of each running instance.  Everything below a root counts, and so do orphans of the tree, which hang below the
 *  shim like the root itself.  CPU is the mean since the last call; the first one after a start says 0. */
export async function sampleUsage(roots: { id: string; pid: number }[]): Promise<Usage[]> {
  const children = await childrenOf()
  const trees = roots.map(root => ({ ...root, pids: treeOf(root.pid, children) }))
  const all = [...new Set(trees.flatMap(tree => tree.pids))]
  // It throws when every one of them is gone by now.
  const samples: Partial<Record<number, pidusage.Status>> = all.length === 0 ? {} : await pidusage(all).catch(() => ({}))
  return trees.map(({ id, pid, pids }) => {
    const alive = pids.map(each => samples[each]).filter(sample => sample != null)
    return {
      id,
      pid,
      processes: alive.length,
      cpuPercent: alive.reduce((sum, sample) => sum + sample.cpu, 0),
      rssBytes: alive.reduce((sum, sample) => sum + sample.memory, 0),
    }
  })
}

/** Lets go of the descriptors that pidusage keeps on /proc. */
export function endUsage(): void {
  pidusage.clear()
}

/** Parent pid → child pids, from one look through /proc. */
async function childrenOf(): Promise<Map<number, number[]>> {
  const children = new Map<number, number[]>()
  const names = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  await Promise.all(
    names.map(async name => {
      const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '')
      // The command name may hold spaces and brackets; what follows its last bracket does not.
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      if (parent > 0) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    }),
  )
  return children
}

function treeOf(root: number, children: Map<number, number[]>): number[] {
  const shim = [...children].find(([, pids]) => pids.includes(root))?.[0]
  const found: number[] = []
  const queue = [root, ...(shim === undefined || shim === 1 ? [] : (children.get(shim) ?? []))]
  for (const pid of queue) {
    if (found.includes(pid)) continue
    found.push(pid)
    queue.push(...(children.get(pid) ?? []))
  }
  return found
}
