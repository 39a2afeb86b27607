/**
 * Lets a test end the daemon at an exact point: CAUSEWAY_TEST_KILL_AT=STEP[:N] makes the process SIGKILL itself at the
 * N-th passing of that step (the first by default). Without the variable the hook does nothing.
 */
import { ADD_STEPS, DEL_STEPS, type Fault } from './steps.ts'

/** The hook for that environment; throws RangeError for a step that does not exist. */
export function faultFrom(env: Readonly<Record<string, string | undefined>>): Fault {
  const wish = env['CAUSEWAY_TEST_KILL_AT']
  if (wish === undefined || wish === '') return () => {}
  const [step = '', nth = '1'] = wish.split(':')
  const steps: readonly string[] = [...ADD_STEPS, ...DEL_STEPS]
  if (!steps.includes(step) || !/^[1-9]\d*$/.test(nth)) {
    throw new RangeError(`CAUSEWAY_TEST_KILL_AT=${wish}: not STEP[:N] with STEP one of ${steps.join(', ')}`)
  }
  let left = Number(nth)
  return at => {
    if (at === step && --left === 0) process.kill(process.pid, 'SIGKILL')
  }
}
