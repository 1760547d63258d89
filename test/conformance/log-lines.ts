// Reads a log that a proxy is still writing.
import { existsSync, readFileSync } from 'node:fs'

/** The whole lines of a log, oldest first; none where there is no file yet.  A line that is half written (the kernel lets a reader see a write page by page) is not there yet. */
export function logLines(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
}
