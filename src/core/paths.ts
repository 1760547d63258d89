// Where things live when nobody says: the rules config loading and guardctl share.

/** Where the control socket and the shims' directories are, when neither GUARD_RUN_DIR nor guard.run_dir says.
 *  configFile: absolute.  xdgRuntimeDir: the variable's value, null where it is unset or empty.  local: see isLocal.
 *  Returns an absolute path.  Throws nothing.
 *  Local mode comes first, for root too: in a container everybody is root, and two checkouts must not meet in /run. */
export function defaultRunDir(input: { isRoot: boolean; local: boolean; xdgRuntimeDir: string | null; configFile: string }): string {
  if (input.local) return `${parentOf(input.configFile)}/.guard`
  if (input.isRoot || input.xdgRuntimeDir === null) return '/run/autodl-guard'
  return `${input.xdgRuntimeDir.replace(/\/+$/, '')}/autodl-guard`
}

/** Local mode: a configuration that is not the machine's own (below /etc) keeps its sockets and logs beside itself.
 *  configFile: absolute and normalized.  Throws nothing. */
export function isLocal(configFile: string): boolean {
  return !configFile.startsWith('/etc/')
}

/** The control socket inside a run directory.  Throws nothing. */
export function socketPath(runDir: string): string {
  return `${runDir.replace(/\/+$/, '')}/guard.sock`
}

function parentOf(file: string): string {
  const cut = file.lastIndexOf('/')
  return cut <= 0 ? '' : file.slice(0, cut)
}
