// Accounts of this machine, from /etc/passwd.
import { readText } from './files.js'

const PASSWD_BYTES_MAX = 16 * 2 ** 20

export interface Account {
  uid: number
  gid: number
  name: string
  /** null where nobody knows. */
  home: string | null
}

/** An account by name or number, as the shim looks it up: digits are a number, and a number needs an entry too, for its group.
 *  passwd: the text of /etc/passwd.  null: there is none.  Throws nothing. */
export function findAccount(user: string, passwd: string): Account | null {
  const isNumber = /^\d{1,10}$/.test(user)
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid, , home] = line.split(':')
    if (name === undefined || name === '' || uid === undefined || (isNumber ? uid !== user : name !== user)) continue
    return { uid: Number(uid), gid: Number(gid), name, home: home || null }
  }
  return null
}

/** '' where it cannot be read.  Throws nothing. */
export function readPasswd(): string {
  const found = readText('/etc/passwd', PASSWD_BYTES_MAX)
  return 'text' in found ? found.text : ''
}
