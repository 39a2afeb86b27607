/**
 * Fills the ring buffer whose program and state are pinned in the folder on the command line, in bursts and without
 * regard to the reader, until the given number of records has found room.
 */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { codec, type Layout, u32 } from '../layout.ts'
import { mapFromPin } from '../map.ts'
import { getPin } from '../pin.ts'
import { testRun } from '../test-run.ts'

const BURST = 2000
const [dir = '', wanted = '0'] = process.argv.slice(2)
/** `struct state` of ring.bpf.c, its first member. */
const written: Layout<bigint> = {
  size: 16,
  decode: (view, at) => view.getBigUint64(at, true),
  encode: () => undefined,
}
const program = getPin(join(dir, 'produce'))
using state = mapFromPin(join(dir, 'state'), codec(u32, written))
if (program === undefined || !state) throw new Error(`nothing is pinned in ${dir}`)
while ((state.lookup(0) ?? 0n) < BigInt(wanted)) testRun(program, { data: new Uint8Array(64), repeat: BURST })
closeSync(program)
