/**
 * Lets a test end the daemon at an exact point: CAUSEWAY_TEST_KILL_AT=STEP[:N] makes the process SIGKILL itself at the
 * N-th passing of that step (the first by default). With CAUSEWAY_TEST_KILL_AT=@FILE the file says so, which may be
 * written while the daemon runs; it counts down and is gone when the daemon dies, so that the next one lives. Without
 * the variable the hook does nothing.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { ADD_STEPS, DEL_STEPS, type Fault } from './steps.ts'

const VARIABLE = 'CAUSEWAY_TEST_KILL_AT'
const STEPS: readonly string[] = [...ADD_STEPS, ...DEL_STEPS]

interface Wish {
  readonly step: string
  readonly nth: number
}

/** The hook for that environment; throws RangeError for a step that does not exist. */
export function faultFrom(env: Readonly<Record<string, string | undefined>>): Fault {
  const text = env[VARIABLE]
  if (text === undefined || text === '') return () => {}
  if (text.startsWith('@')) return at => atFileWish(text.slice(1), at)
  const { step, nth } = parse(text)
  let left = nth
  return at => {
    if (at === step && --left === 0) die()
  }
}

function atFileWish(file: string, at: string): void {
  const text = read(file)
  if (text === undefined) return
  const { step, nth } = parse(text)
  if (at !== step) return
  if (nth > 1) return writeFileSync(file, `${step}:${nth - 1}`)
  rmSync(file)
  die()
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function parse(text: string): Wish {
  const [step = '', nth = '1'] = text.trim().split(':')
  if (STEPS.includes(step) && /^[1-9]\d*$/.test(nth)) return { step, nth: Number(nth) }
  throw new RangeError(`${VARIABLE}=${text}: not STEP[:N] with STEP one of ${STEPS.join(', ')}`)
}
