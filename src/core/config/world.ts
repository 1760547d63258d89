// What the machine has to tell while a configuration is read; core asks only through this, so every answer can be faked.

export interface World {
  env: Readonly<Record<string, string | undefined>>
  /** Processors this process may use; for `workers: auto`. */
  cpus: number
  /** Where things live when nobody says; absolute.  configFile: absolute. */
  defaults(configFile: string): { runDir: string; stateDir: string; logDir: string }
  /** The text of a file, or why it cannot be had in words ("no such file"). */
  read(path: string): { text: string } | { error: string }
  /** Files that match, absolute and sorted.  pattern: with `*` and `?`, relative to baseDir or absolute. */
  glob(pattern: string, baseDir: string): string[]
  kind(path: string): 'directory' | 'file' | 'missing'
  /** An account by name or number; null: there is none.  home: null where nobody knows. */
  user(name: string): { uid: number; gid: number; name: string; home: string | null } | null
  /** Who listens there, in words ("nginx (pid 812)"); null: nobody, or a program this very configuration runs. */
  portHolder(question: { host: string; port: number; runDir: string }): string | null
  /** A port for `port: auto`; the same one for the same id as long as it can be had; null: none left. */
  freePort(question: { instanceId: string; host: string; runDir: string; reserved: ReadonlySet<number> }): number | null
}
