// Absolute POSIX paths without node:path, which core may not import.

/** path as seen from the directory base, without `.`, `..` and doubled slashes.
 *  base: absolute.  path: absolute or relative.  Returns an absolute path without a slash at its end.  Throws nothing. */
export function resolvePath(base: string, path: string): string {
  const parts: string[] = []
  for (const part of (path.startsWith('/') ? path : `${base}/${path}`).split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** The directory an absolute path lies in.  Throws nothing. */
export function directoryOf(path: string): string {
  return resolvePath(path, '..')
}

/** path as people read it: relative where it lies inside root, else as it is.  Both absolute.  Throws nothing. */
export function shownFrom(root: string, path: string): string {
  const inside = root === '/' ? '/' : `${root}/`
  return path.startsWith(inside) && path !== inside ? path.slice(inside.length) : path
}
