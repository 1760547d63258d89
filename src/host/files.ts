// Configuration files on the disk: bounded reads, patterns, what a path is.
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The largest configuration file. */
export const FILE_BYTES_MAX = 2 ** 20

/** The text of a regular file of at most maxBytes in UTF-8, or why it cannot be had in words.  Throws nothing. */
export function readText(path: string, maxBytes = FILE_BYTES_MAX): { text: string } | { error: string } {
  let descriptor: number | null = null
  try {
    // Not blocking: opening a pipe nobody writes to would wait for ever.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) return { error: stat.isDirectory() ? 'it is a directory' : 'it is no regular file' }
    const bytes = readUpTo(descriptor, maxBytes + 1)
    if (bytes.length > maxBytes) return { error: `it is larger than ${maxBytes / 1024} KB` }
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch (error) {
    return { error: wordsFor(error) }
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

/** Throws nothing. */
export function kindOf(path: string): 'directory' | 'file' | 'missing' {
  try {
    return statSync(path).isDirectory() ? 'directory' : 'file'
  } catch {
    // Not there and not to be looked at come to the same: a program cannot be started in it.
    return 'missing'
  }
}

/** Files that match a pattern with `*` and `?` in any part, absolute and sorted; names that start with a dot match only where the pattern says the dot.
 *  pattern: relative to baseDir, or absolute.  What cannot be read matches nothing.  Throws nothing. */
export function globFiles(pattern: string, baseDir: string): string[] {
  const parts = resolve(baseDir, pattern).split('/').slice(1)
  let found = ['/']
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1
    found = found.flatMap(directory => (/[*?]/.test(part) ? matchesIn(directory, part) : [join(directory, part)]))
    found = found.filter(path => kindOf(path) === (isLast ? 'file' : 'directory'))
  }
  return found.sort()
}

function matchesIn(directory: string, part: string): string[] {
  try {
    return readdirSync(directory)
      .filter(name => (part.startsWith('.') || !name.startsWith('.')) && matchesName(name, part))
      .map(name => join(directory, name))
  } catch {
    // A directory that cannot be listed matches nothing, as in a shell.
    return []
  }
}

/** `*`: any characters, `?`: one.  Goes back to the last star only, so it takes name length times pattern length at most. */
export function matchesName(name: string, pattern: string): boolean {
  let at = 0
  let next = 0
  let star = -1
  let afterStar = 0
  while (at < name.length) {
    if (pattern[next] === '*') {
      star = next++
      afterStar = at
    } else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === name[at])) {
      at++
      next++
    } else if (star >= 0) {
      next = star + 1
      at = ++afterStar
    } else return false
  }
  while (pattern[next] === '*') next++
  return next === pattern.length
}

function readUpTo(descriptor: number, count: number): Buffer {
  const buffer = Buffer.alloc(count)
  let length = 0
  for (;;) {
    const read = readSync(descriptor, buffer, length, count - length, null)
    length += read
    if (read === 0 || length === count) return buffer.subarray(0, length)
  }
}

function wordsFor(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return WORDS[code] ?? `it cannot be read (${code || String(error)})`
}

const WORDS: Record<string, string> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'no permission to read it',
  ELOOP: 'its links go round in a circle',
  ENXIO: 'it is no regular file',
  ENAMETOOLONG: 'its name is too long',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
}
