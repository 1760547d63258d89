// The table of `top`: one line per instance with what it uses.
import type { InstanceStatus, Usage } from '../../core/status.js'
import { printable } from '../printable.js'
import { uptimeText } from './status-lines.js'

const HEAD = ['NAME', 'STATE', 'PID', 'CPU%', 'MEMORY', 'PROCS', 'RESTARTS', 'UPTIME']
const IS_TEXT = [true, true, false, false, false, false, false, true]

/** The table's lines, the head first; every line cut at `columns`.  Throws nothing. */
export function topTable(instances: readonly InstanceStatus[], usage: readonly Usage[], columns: number): string[] {
  const byId = new Map(usage.map(one => [one.id, one]))
  const rows = [HEAD, ...instances.map(instance => cellsOf(instance, byId.get(instance.id)))]
  const widths = HEAD.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  return rows.map(row => lineOf(row, widths).slice(0, columns))
}

/** The line above the table.  Throws nothing. */
export function topSummary(instances: readonly InstanceStatus[], usage: readonly Usage[]): string {
  const running = instances.filter(instance => instance.state === 'RUNNING').length
  const shown = new Set(instances.map(instance => instance.id))
  const used = usage.filter(one => shown.has(one.id))
  const cpu = used.reduce((sum, one) => sum + one.cpuPercent, 0)
  const memory = used.reduce((sum, one) => sum + one.rssBytes, 0)
  return `${running} of ${instances.length} running, CPU ${cpu.toFixed(1)}%, memory ${sizeText(memory)}`
}

function cellsOf(instance: InstanceStatus, used: Usage | undefined): string[] {
  const isUp = instance.pid !== 0
  const state = instance.state === 'RUNNING' && !instance.ready ? 'RUNNING (not ready)' : instance.state
  return [
    printable(instance.id),
    state,
    isUp ? String(instance.pid) : '-',
    isUp && used ? used.cpuPercent.toFixed(1) : '-',
    isUp && used ? sizeText(used.rssBytes) : '-',
    isUp && used ? String(used.processes) : '-',
    String(instance.restarts),
    isUp ? uptimeText(instance.uptimeMs) : printable(instance.reason),
  ]
}

function lineOf(cells: string[], widths: number[]): string {
  return cells
    .map((cell, column) => (IS_TEXT[column] ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
    .join('  ')
    .trimEnd()
}

/** `512 B`, `3.4 MB`; powers of 1024, as in the configuration.  Throws nothing. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}
