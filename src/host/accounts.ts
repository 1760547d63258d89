// Accounts of this machine, from /etc/passwd.
import { readText } from './files.js'

const PASSWD_BYTES_MAX = 16 * 2 ** 20

export interface Account {
  uid: number
  name: string
  /** null where nobody knows. */
  home: string | null
}

/** An account by name or number.  A number needs no entry.  passwd: the text of /etc/passwd.  null: there is no such name.  Throws nothing. */
export function findAccount(user: string, passwd: string): Account | null {
  const isNumber = /^\d{1,10}$/.test(user)
  for (const line of passwd.split('\n')) {
    const [name, , uid, , , home] = line.split(':')
    if (name === '' || uid === undefined || (name !== user && !(isNumber && uid === user))) continue
    return { uid: Number(uid), name: name!, home: home || null }
  }
  return isNumber ? { uid: Number(user), name: user, home: null } : null
}

/** '' where it cannot be read.  Throws nothing. */
export function readPasswd(): string {
  const found = readText('/etc/passwd', PASSWD_BYTES_MAX)
  return 'text' in found ? found.text : ''
}
