/** The project's files as text, for tests that hold them to the house's rules. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** What is installed or built, and the history. */
const NOT_OURS = new Set(['node_modules', 'build', '.git'])

export interface SourceFile {
  /** Relative to the root of the project, with slashes. */
  readonly path: string
  readonly text: string
}

/** All files of the project whose path matches. */
export function sourceFiles(matches: RegExp): SourceFile[] {
  return walk('')
    .filter(path => matches.test(path))
    .map(path => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
}

/** Names of the folders directly below one of the project's. */
export function foldersIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !NOT_OURS.has(entry.name))
    .map(entry => entry.name)
}

/** What a TypeScript or JavaScript file imports: paths of the project, and other names as they are written. */
export function importsOf({ path, text }: SourceFile): string[] {
  const names = [...text.matchAll(/^(?:import|export|\} from)\b[^'\n]*'([^'\n]+)'|\bimport\('([^'\n]+)'\)/gm)]
  return names
    .map(match => match[1] ?? match[2] ?? '')
    .map(name => (name.startsWith('.') ? normalize(join(dirname(path), name)) : name))
}

function walk(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (NOT_OURS.has(entry.name)) return []
    if (entry.isDirectory()) return walk(path)
    return entry.isFile() && !/\.(o|log)$/.test(entry.name) ? [path] : []
  })
}
