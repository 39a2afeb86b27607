/** Network configurations of others beside ours, which runtimes would take in its place, and setting them aside. */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** What runtimes look for (libcni, ConfFiles). */
const CONF = /\.(conf|conflist|json)$/
const ASIDE = '.set-aside-by-causeway'

/** Names of those that runtimes would read, in the order in which they do; none where there is no directory. */
export function otherConfs(directory: string, own: string): string[] {
  return namesIn(directory).filter(name => CONF.test(name) && !name.startsWith('.') && name !== own)
}

/** Renames each, in place of what was set aside under that name before. Returns their names. Throws the file system's error. */
export function setAside(directory: string, own: string): string[] {
  const names = otherConfs(directory, own)
  for (const name of names) {
    try {
      renameSync(join(directory, name), join(directory, `${name}${ASIDE}`))
    } catch (error) {
      // Gone meanwhile: whoever writes it works on it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return names
}

/** Gives what was set aside its name back; where somebody has written a new one since, that one stays. */
export function putBack(directory: string): void {
  for (const aside of namesIn(directory).filter(name => name.endsWith(ASIDE))) {
    const name = join(directory, aside.slice(0, -ASIDE.length))
    if (existsSync(name)) rmSync(join(directory, aside))
    else renameSync(join(directory, aside), name)
  }
}

/** Of files; runtimes leave folders out. */
function namesIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    return entries.flatMap(entry => (entry.isDirectory() ? [] : entry.name)).toSorted()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
