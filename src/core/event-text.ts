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
      const how = signal !== null ? `signal ${signal}` : code !== null ? `exit status ${code}` : 'its shim'
      const level = event.expected ? 'INFO' : 'WARN'
      return { level, text: `${event.id} pid ${pid} ended by ${how} after ${Math.round(userMs + systemMs)} ms of CPU` }
    }
    case 'ready':
      return { level: event.ready ? 'INFO' : 'WARN', text: `${event.id} is ${event.ready ? 'ready' : event.reason || 'not ready'}` }
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
