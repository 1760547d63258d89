// Events in words, for the daemon's log and `events -f`.
import type { GuardEvent } from './events.js'

/** One line without time: how serious, and what happened. */
export function eventText(event: GuardEvent): { level: 'INFO' | 'WARN' | 'ERROR'; text: string } {
  switch (event.kind) {
    case 'state': {
      const pid = event.pid === 0 ? '' : ` pid ${event.pid}`
      const reason = event.reason === '' ? '' : `: ${event.reason}`
      const level = event.to === 'FATAL' ? 'ERROR' : event.to === 'BACKOFF' ? 'WARN' : 'INFO'
      return { level, text: `${event.id} ${event.from} → ${event.to}${pid}${reason}` }
    }
    case 'exit': {
      const { pid, code, signal, userMs, systemMs } = event.exit
      const level = event.expected ? 'INFO' : 'WARN'
      if (signal === null && code === null) return { level, text: `${event.id} pid ${pid} was lost with its shim` }
      const how = signal !== null ? `signal ${signal}` : `exit status ${code}`
      return { level, text: `${event.id} pid ${pid} ended by ${how} after ${Math.round(userMs + systemMs)} ms of CPU` }
    }
    case 'ready': {
      const reason = event.reason === '' ? '' : `: ${event.reason}`
      return event.ready ? { level: 'INFO', text: `${event.id} is ready` } : { level: 'WARN', text: `${event.id} is not ready${reason}` }
    }
    case 'log_lost':
      return { level: 'ERROR', text: `${event.id} lost ${event.bytes} bytes of its ${event.stream}: ${event.error}` }
    case 'rotated':
      return { level: 'INFO', text: `${event.id} rotated its ${event.stream} log` }
    case 'config':
      return { level: 'INFO', text: `config: ${event.name} ${event.change}` }
    case 'proxy':
      return { level: 'INFO', text: `proxy: ${event.message}` }
    case 'daemon':
      return { level: 'INFO', text: event.message }
    default:
      return event satisfies never
  }
}
