// What a proxy looks like to this bench.
import type { ChildProcess } from 'node:child_process'

/** What every request to every peer carries: ours asks for it and keeps it, the others pass it on. */
export const AUTHORIZATION = 'Bearer fifteen-letters'

/** What the client speaks and what the origin speaks: the same on both sides. */
export type Protocol = 'http1' | 'h2c'

export interface Peer {
  name: string
  /** null: it comes with the repository. */
  debianPackage: string | null
  protocols: Protocol[]
  installed(): boolean
  /** What of the visible job it cannot do, for the notes; the check finds the rest. */
  start(setup: Setup): Promise<RunningPeer>
}

/** Everything a peer needs for one configuration. */
export interface Setup {
  protocol: Protocol
  /** Free on 127.0.0.1. */
  port: number
  originPort: number
  /** Its own and empty. */
  directory: string
  /** Absolute; null: no access log. */
  accessLog: string | null
}

export interface RunningPeer {
  /** What a request path begins with. It is stripped where the peer can do so. */
  prefix: string
  /** The processes whose CPU and memory count. */
  pids(): number[]
  stop(): Promise<void>
}

export type Child = ChildProcess & { pid: number }

/** outFile: its stdout and stderr. */
export type ProxyChild = Child & { outFile: string }
