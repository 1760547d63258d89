// Programs of other makers that the suite uses where they are installed; where CI=true they must be.
import { spawnSync } from 'node:child_process'

/** For `it(..., { skip })`: false where the program runs, else what to install.  Throws where CI=true and it is missing. */
export function missing(argv: string[], debianPackage: string): string | false {
  const { error, status } = spawnSync(argv[0]!, argv.slice(1), { stdio: 'ignore' })
  if (error === undefined && status === 0) return false
  if (process.env.CI === 'true') throw new Error(`${argv.join(' ')} does not run: apt-get install ${debianPackage}`)
  return `needs ${debianPackage} (apt-get install ${debianPackage})`
}
