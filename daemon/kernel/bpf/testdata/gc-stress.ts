/**
 * Run with --expose-gc: works maps, objects and asynchronous calls while the garbage collector is forced to run, so that
 * memory the kernel is given and nobody keeps would be gone. Links are of a kind, `xdp` or `tcx`. Prints `done`; a mistake ends it by a signal or an error.
 */
import { attachAsync, type Hook } from '../link.ts'
import { bytes, codec, u32 } from '../layout.ts'
import { newMap } from '../map.ts'
import { loadObject, loadObjectAsync } from '../object.ts'
import { NetlinkNet } from '../../netlink/net.ts'
import { testRun } from '../test-run.ts'

const ROUNDS = 12
const [maps = '', refused = '', kind] = process.argv.slice(2)
const collect = globalThis.gc
if (!collect) throw new Error('needs --expose-gc')

using net = new NetlinkNet('/proc/self/ns/net')
net.run([{ op: 'link-add', link: { kind: 'veth', name: 'cw-a', peer: { name: 'cw-b' } } }])
const ifindex = net.link('cw-a')?.index ?? 0
const hook: Hook = kind === 'tcx' ? { kind, ifindex, side: 'ingress' } : { kind: 'xdp', ifindex, mode: 'generic' }
const program = kind === 'tcx' ? 'pass' : 'bounce'

for (let round = 0; round < ROUNDS; round++) {
  const loading = loadObjectAsync(maps, { constants: { answer: round } })
  collect()
  using object = await loading
  const attaching = attachAsync(object.programFd(program), hook)
  workMap(round)
  await collect({ execution: 'async' })
  if (testRun(object.programFd('constants'), { data: new Uint8Array(64) }).retval !== round - 1) throw new Error('torn')
  collect()
  const link = await attaching
  const closing = link[Symbol.asyncDispose]()
  collect()
  await closing
  refuse()
}
process.stdout.write('done')

function workMap(round: number): void {
  using map = newMap(
    { type: 'hash', name: 'stress', keySize: 4, valueSize: 64, maxEntries: 5000 },
    codec(u32, bytes(64)),
  )
  map.updateBatch(Array.from({ length: 5000 }, (_, i) => [i, new Uint8Array(64).fill(i + round)] as const))
  let count = 0
  for (const [key, value] of map.entries()) {
    if (count++ % 1000 === 0) collect?.()
    if (value[63] !== ((key + round) & 255)) throw new Error(`entry ${key} is torn`)
  }
  map.deleteBatch(Array.from({ length: 5000 }, (_, i) => i))
}

function refuse(): void {
  try {
    loadObject(refused)
  } catch {
    collect?.({ type: 'minor' })
  }
}
