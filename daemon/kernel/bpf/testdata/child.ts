/** For the tests of this folder: programs of testdata run as processes of their own. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Runs `testdata/NAME.ts` and answers what it printed; rejects when it fails or takes two minutes. */
export async function runChild(name: string, args: readonly string[], options: ChildOptions = {}): Promise<string> {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
  const command = [...(options.through ?? []), process.execPath, ...(options.nodeOptions ?? []), file, ...args]
  const [program = '', ...rest] = command
  const { stdout } = await promisify(execFile)(program, rest, { timeout: 120_000 })
  return stdout
}

export interface ChildOptions {
  readonly nodeOptions?: readonly string[]
  /** A command that runs the rest of its arguments, such as `unshare --net`. */
  readonly through?: readonly string[]
}
