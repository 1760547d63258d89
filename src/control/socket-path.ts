// Unix socket paths longer than the kernel takes: the same file by a short name.
import { closeSync, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'

/** sun_path is 108 bytes with its closing zero (unix(7)). Node cuts a longer path short without a word. */
export const MAX_SOCKET_PATH_BYTES = 107

/** A path of the same socket that fits; hold it until the socket is connected, or for as long as it listens.
 *  path: absolute.  The directory must exist where the path is too long.  Throws the system's error (ENOENT, EACCES). */
export function shortSocketPath(path: string): { path: string; release(): void } {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path, release: () => undefined }
  const directory = openSync(dirname(path), 'r')
  return { path: `/proc/self/fd/${directory}/${basename(path)}`, release: () => closeSync(directory) }
}
