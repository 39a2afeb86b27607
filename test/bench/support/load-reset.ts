/** Programs that run in front of one whose time is taken by test runs, and give it its packet back each time. */
import { join, resolve } from 'node:path'
import { type LoadedObject, loadObject } from '../../../daemon/kernel/bpf/object.ts'
import { compileIfStale } from '../../../deploy/setup/compile-bpf.mjs'

const BENCH = resolve(import.meta.dirname, '..')
const ROOT = resolve(BENCH, '../..')

/** Compiled where it is stale; the caller owns it. */
export async function loadReset(name: 'reset' | 'reset-xdp'): Promise<LoadedObject> {
  const output = join(ROOT, `build/bench/${name}.o`)
  await compileIfStale({ root: ROOT, source: join(BENCH, `${name}.bpf.c`), output })
  return loadObject(output)
}
