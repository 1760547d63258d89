// What /proc tells of processes: names, parents, sockets, and whether one is ours.
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'

/** The name of guard-shim in /proc/PID/stat. */
const SHIM = 'guard-shim'
const ANCESTORS_MAX = 64

/** What the process was started as ("python3"), else the kernel's short name; '' where it is gone.  Throws nothing. */
export function processName(pid: number): string {
  const first = textOf(`/proc/${pid}/cmdline`).split('\0')[0] ?? ''
  return (first.startsWith('/') || /^[\w.+-]+$/.test(first) ? basename(first) : '') || (statOf(pid)?.name ?? '')
}

/** The process that holds each socket, by inode; only those whose descriptors we may see.  Throws nothing. */
export function socketHolders(): Map<string, number> {
  const holders = new Map<string, number>()
  for (const name of namesIn('/proc')) {
    if (!/^\d+$/.test(name)) continue
    for (const descriptor of namesIn(`/proc/${name}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${name}/fd/${descriptor}`))?.[1]
      if (inode !== undefined && !holders.has(inode)) holders.set(inode, Number(name))
    }
  }
  return holders
}

/** Does the process descend from a guard-shim whose directory lies in runDir?  Then this very configuration runs it.  Throws nothing. */
export function isOurs(pid: number, runDir: string): boolean {
  const root = realOf(runDir)
  let each = pid
  for (let step = 0; step < ANCESTORS_MAX && each > 1; step++) {
    const stat = statOf(each)
    if (stat === null) return false
    if (stat.name === SHIM && linkOf(`/proc/${each}/cwd`).startsWith(`${root}/`)) return true
    each = stat.parent
  }
  return false
}

/** A variable the process was started with; null where it has none or we may not look.  Throws nothing. */
export function startedWith(pid: number, variable: string): string | null {
  const entry = textOf(`/proc/${pid}/environ`)
    .split('\0')
    .find(each => each.startsWith(`${variable}=`))
  return entry === undefined ? null : entry.slice(variable.length + 1)
}

/** The name may hold blanks and brackets: it ends at the last ")". */
function statOf(pid: number): { name: string; parent: number } | null {
  const match = /^\d+ \(([\s\S]*)\) \S (\d+) /.exec(textOf(`/proc/${pid}/stat`))
  return match === null ? null : { name: match[1]!, parent: Number(match[2]) }
}

// Processes come and go while we look, and those of other accounts are closed to us: both read as nothing.

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
