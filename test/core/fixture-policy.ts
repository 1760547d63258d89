// supervisord's defaults and ours as a Policy, for tests that change one field.
import type { Policy } from '../../src/core/spec.js'

export const defaultPolicy: Policy = {
  autorestart: 'unexpected',
  exitcodes: [0],
  startMs: 1_000,
  startRetries: 3,
  crashRetries: 10,
  backoffBaseMs: 1_000,
  backoffMaxMs: 60_000,
  backoffResetMs: 60_000,
  fatalRetryMs: 300_000,
  stopSignal: 'TERM',
  stopWaitMs: 10_000,
  stopAsGroup: false,
  killAsGroup: false,
}
