// What every request of a worker is served with: the table, the waiting room, the log.
import type { AccessEntry } from '../core/access-line.js'
import type { AccessRules } from '../core/address.js'
import type { ProxySpec } from '../core/spec.js'
import type { Hold } from './hold.js'
import type { Roll } from './roll.js'
import type { Routes } from './routes.js'

export interface Traffic {
  readonly routes: Routes
  readonly hold: Hold
  readonly settings: ProxySpec
  /** The whole door's; null: everybody may come in. */
  readonly access: AccessRules | null
  /** The daemon's version, for /health. */
  readonly version: string
  /** True once the worker is on its way out. */
  isDraining(): boolean
  /** Requests that are not over. */
  readonly roll: Roll
  /** Does the access log tell how many messages a gRPC call had? */
  readonly countsMessages: boolean
  /** Writes one line of the access log. */
  record(entry: AccessEntry): void
}
