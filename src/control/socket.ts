// The control socket's place in the file system: private from its first moment, and never taken from a living daemon.
import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { AppError } from '../core/error.js'
import { shortSocketPath } from './socket-path.js'

const CLAIM_TRIES = 10

/** Makes `server` listen at a unix socket path, mode 0600.
 *  path: absolute, in a directory that exists.  Returns the function that takes the name away again.
 *  Throws DAEMON_ALREADY_RUNNING where somebody answers there, SOCKET_FAILED where the system refuses.
 *  The socket listens under a name of its own first and is then linked to the real one: link(2) refuses a name that is taken, so of
 *  two daemons that start at once exactly one wins, and what can be seen at the real name always answers. */
export async function listenAt(server: Server, path: string): Promise<() => void> {
  const own = `${path}.${process.pid}`
  const short = await guarded(path, async () => {
    removeIfThere(own)
    const place = shortSocketPath(own)
    await listenPrivately(server, place.path).catch(error => {
      place.release()
      throw error
    })
    return place
  })
  try {
    await guarded(path, () => claim(own, path))
  } catch (error) {
    server.close()
    short.release()
    throw error
  } finally {
    removeIfThere(own)
  }
  const { dev, ino } = lstatSync(path, { bigint: true })
  return () => {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    // Only our own: a later daemon may have the name by now.
    if (found && found.dev === dev && found.ino === ino) removeIfThere(path)
    short.release()
  }
}

// bind(2) makes the file with the umask of that moment, and node binds inside this very call: no other code runs under it.
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const umask = process.umask(0o177)
    try {
      server.listen({ path }, () => {
        server.removeListener('error', reject)
        resolve()
      })
    } finally {
      process.umask(umask)
    }
  })
}

async function claim(own: string, path: string): Promise<void> {
  for (let attempt = 0; attempt < CLAIM_TRIES; attempt++) {
    if (linked(own, path)) return
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found && !found.isSocket()) throw new AppError('SOCKET_FAILED', `${path} is there and is no socket`)
    const state = found ? await stateOf(path) : 'absent'
    if (state === 'live') throw alreadyRunning(path)
    if (state === 'stale') await takeAside(path)
  }
  throw alreadyRunning(path)
}

// Between "nobody answers" and unlink(2) another daemon may have put its socket there; a rename takes whatever there is, so it is asked again.
async function takeAside(path: string): Promise<void> {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  const isLive = (await stateOf(aside)) === 'live'
  if (isLive) linked(aside, path)
  removeIfThere(aside)
  if (isLive) throw alreadyRunning(path)
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

// Only a refusal proves that nobody listens: anything else (no permission, a full backlog) is somebody's socket.
function stateOf(path: string): Promise<'live' | 'stale' | 'absent'> {
  return new Promise((resolve, reject) => {
    let short: ReturnType<typeof shortSocketPath>
    try {
      short = shortSocketPath(path)
    } catch (error) {
      return reject(error)
    }
    const socket = connect({ path: short.path })
    const done = (state: 'live' | 'stale' | 'absent'): void => {
      socket.destroy()
      short.release()
      resolve(state)
    }
    socket.once('connect', () => done('live'))
    socket.once('error', error => {
      const code = codeOf(error)
      done(code === 'ECONNREFUSED' ? 'stale' : code === 'ENOENT' ? 'absent' : 'live')
    })
  })
}

async function guarded<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('SOCKET_FAILED', `cannot listen at ${path}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

function alreadyRunning(path: string): AppError {
  return new AppError('DAEMON_ALREADY_RUNNING', `a daemon answers at ${path}`)
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
