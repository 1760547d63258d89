// What the daemon tells its listeners: `events -f`, the daemon's log, later XML-RPC listeners.

import type { State } from './instance.js'
import type { ExitRecord } from './status.js'

export type GuardEvent = { atMs: number } & (
  | { kind: 'state'; id: string; from: State; to: State; pid: number; reason: string }
  | { kind: 'exit'; id: string; expected: boolean; exit: ExitRecord }
  | { kind: 'ready'; id: string; ready: boolean; reason: string }
  | { kind: 'log_lost'; id: string; stream: 'stdout' | 'stderr'; bytes: number; error: string }
  | { kind: 'rotated'; id: string; stream: 'stdout' | 'stderr' }
  | { kind: 'config'; change: 'added' | 'changed' | 'removed' | 'applied'; name: string }
  | { kind: 'proxy'; message: string }
  | { kind: 'daemon'; message: string }
)
