// What /proc tells: start times, CPU, memory, children.
import { readdirSync, readFileSync } from 'node:fs'

/** CLK_TCK, 100 on every Linux there is for user space. */
const TICK_MS = 10

export interface ProcessFacts {
  pid: number
  parent: number
  /** By the clock that starts with the machine, in steps of 10 ms. */
  startedMs: number
  command: string
}

/** null: there is no such process (any more), or it is a zombie. */
export function facts(pid: number): ProcessFacts | null {
  const stat = read(`/proc/${pid}/stat`)
  const command = read(`/proc/${pid}/cmdline`)
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (state === undefined || state === '' || state === 'Z' || state === 'X') return null
  return { pid, parent: Number(fields[0]), startedMs: Number(fields[18]) * TICK_MS, command: command.replaceAll('\0', ' ').trim() }
}

/** Every process there is. */
export function everyone(): ProcessFacts[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => facts(Number(name)))
    .filter(found => found !== null)
}

/** CPU time of a process so far, all its threads, in ms with ns behind the point. */
export function cpuMs(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const ns = tasks.reduce((sum, task) => sum + Number(read(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0]), 0)
  return ns / 1e6
}

export function rssMb(pid: number): number {
  return field(read(`/proc/${pid}/status`), 'VmRSS') / 1024
}

/** Memory that only this process has. */
export function privateMb(pid: number): number {
  const rollup = read(`/proc/${pid}/smaps_rollup`)
  return (field(rollup, 'Private_Clean') + field(rollup, 'Private_Dirty')) / 1024
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN)
}

/** '' where the process has gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
