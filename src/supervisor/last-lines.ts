// The end of a log file, for the people who ask why a program died.
import { open } from 'node:fs/promises'

const WINDOW_BYTES = 8 * 1024
const LINE_CHARS = 500

/** The last lines of a file, newest last, empty ones left out, each cut to 500 characters; [] where the file cannot be read. */
export async function lastLines(path: string, count: number): Promise<string[]> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const start = Math.max(0, size - WINDOW_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(WINDOW_BYTES), 0, WINDOW_BYTES, start)
    const lines = buffer.toString('utf8', 0, bytesRead).split(/\r?\n/)
    // The window may have cut its first line in two.
    if (start > 0) lines.shift()
    return lines
      .filter(line => line.trim() !== '')
      .slice(-count)
      .map(line => line.slice(0, LINE_CHARS))
  } catch {
    // No file, no permission, a directory gone: there is nothing to show, and the caller has its own reason to tell.
    return []
  }
}
