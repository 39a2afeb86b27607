/** Reads, as a new process, what another one pinned in the folder on the command line. Prints it as JSON. */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { codec, u32, u64 } from '../layout.ts'
import { linkFromPin } from '../link.ts'
import { mapFromPin } from '../map.ts'
import { getPin, listPins } from '../pin.ts'
import { programInfo } from '../program.ts'

const [dir = ''] = process.argv.slice(2)
using map = mapFromPin(join(dir, 'map'), codec(u32, u64))
using link = linkFromPin(join(dir, 'link'))
const program = getPin(join(dir, 'program'))
const result = {
  pins: listPins(dir).map(({ name, kind }) => `${name}: ${kind}`),
  value: map?.lookup(1)?.toString(),
  link: link?.info(),
  program: program === undefined ? undefined : programInfo(program).name,
}
if (program !== undefined) closeSync(program)
process.stdout.write(JSON.stringify(result))
