/** What came of a run's files, for programs: one JSON object a line in `results.jsonl`, and each file's TAP in `tap/`. */
import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { FileResult } from './run-file.ts'

const RESULTS = 'results.jsonl'

export class ResultsFolder {
  readonly #folder: string

  /** Empties it of an earlier run's results. */
  constructor(folder: string) {
    this.#folder = folder
    rmSync(join(folder, RESULTS), { force: true })
    rmSync(join(folder, 'tap'), { recursive: true, force: true })
    mkdirSync(join(folder, 'tap'), { recursive: true })
  }

  /** Where a file's TAP goes; the path is relative to the project. */
  tapOf(file: string): string {
    return join(this.#folder, 'tap', `${file.replaceAll('/', '-')}.tap`)
  }

  add(result: FileResult): void {
    appendFileSync(join(this.#folder, RESULTS), `${JSON.stringify(result)}\n`)
  }
}

/** What a run has left in the folder so far; a last line that is not whole yet is left out. */
export function readResults(folder: string): FileResult[] {
  const text = readWhole(join(folder, RESULTS))
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
  return lines.filter(line => line !== '').map(line => JSON.parse(line) as FileResult)
}

function readWhole(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
