// An answer that goes on, until its end, Ctrl-C or a reader that left.
import type { RemoteCommand } from '../command-table.js'
import type { Call } from './call.js'
import { openStream, type Params } from './client.js'
import { Failure } from './failure.js'

/** Hands every piece of the answer to `take`, one at a time.  Returns how it ended: by itself, or because we were asked to leave.
 *  Throws Failure; DAEMON_NOT_RUNNING where the connection breaks off in the middle. */
export async function takeStream(
  call: Call,
  request: { command: RemoteCommand; params: Params },
  take: (piece: Buffer) => Promise<void>,
): Promise<'ended' | 'left'> {
  const leaving = new AbortController()
  const leave = (): void => leaving.abort()
  // Without -f Ctrl-C keeps its usual meaning: the process ends by the signal.
  if (call.line.follow) process.once('SIGINT', leave)
  call.terminal.onGone(leave)
  try {
    const reply = await openStream(call.socket, request.command, request.params, leaving.signal)
    for await (const piece of reply) await take(piece as Buffer)
    if (call.line.follow && !leaving.signal.aborted) call.terminal.note('the daemon has ended; so does this')
    return 'ended'
  } catch (error) {
    if (leaving.signal.aborted) return 'left'
    if (error instanceof Failure) throw error
    throw new Failure('DAEMON_NOT_RUNNING', `unix://${call.socket} broke off (${error instanceof Error ? error.message : error})`)
  } finally {
    process.removeListener('SIGINT', leave)
  }
}
