// supervisorctl's status lines, and what we show below them.
import type { InstanceStatus } from '../../core/status.js'
import { printable } from '../printable.js'

const NAME_COLUMNS = 30
const STATE_COLUMNS = 10
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** One line per instance, with the last log lines below one that is FATAL and lost output below any.  Throws nothing. */
export function statusLines(instances: readonly InstanceStatus[]): string[] {
  const width = Math.max(NAME_COLUMNS, ...instances.map(instance => instance.id.length)) + 3
  return instances.flatMap(instance => {
    const head = `${instance.id.padEnd(width)}${instance.state.padEnd(STATE_COLUMNS)}${describe(instance)}`
    return [head, ...detailsOf(instance)]
  })
}

/** What stands behind the state.  Throws nothing. */
export function describe(instance: InstanceStatus): string {
  const reason = printable(instance.reason)
  switch (instance.state) {
    case 'RUNNING': {
      const unready = instance.ready ? '' : `, not ready${reason === '' ? '' : ` (${reason})`}`
      return `pid ${instance.pid}, uptime ${uptimeText(instance.uptimeMs)}${unready}`
    }
    case 'BACKOFF':
    case 'FATAL':
      return reason === '' ? `unknown error (try "tail ${instance.id}")` : reason
    case 'STOPPED':
    case 'EXITED':
      return instance.startedAtMs === 0 ? 'Not started' : clockText(new Date(instance.stoppedAtMs))
    case 'STARTING':
    case 'STOPPING':
      return ''
    default:
      return instance.state satisfies never
  }
}

/** `H:MM:SS`, with `N day(s), ` before it from the first day on.  ms >= 0.  Throws nothing. */
export function uptimeText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const days = Math.floor(seconds / 86_400)
  const clock = `${Math.floor((seconds % 86_400) / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return days === 0 ? clock : `${days} day${days === 1 ? '' : 's'}, ${clock}`
}

/** `Nov 05 09:07 PM`, in the zone of whoever looks.  Throws nothing. */
export function clockText(date: Date): string {
  const hours = date.getHours()
  return `${MONTHS[date.getMonth()]} ${two(date.getDate())} ${two(hours % 12 || 12)}:${two(date.getMinutes())} ${hours < 12 ? 'AM' : 'PM'}`
}

function detailsOf(instance: InstanceStatus): string[] {
  const lost =
    instance.logLost.bytes === 0 ? [] : [`    ! ${instance.logLost.bytes} bytes of log lost: ${printable(instance.logLost.error)}`]
  const last = instance.state === 'FATAL' ? instance.lastLines.map(line => `    | ${printable(line)}`) : []
  return [...last, ...lost]
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
