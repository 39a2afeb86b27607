/**
 * Reads ten records of a ring buffer (`ring OBJECT`) or events of links (`net`) by a handler that throws now and then,
 * and makes system calls all the while. Prints as JSON what the handler was told, what nobody caught, and whether a call
 * failed by an error that is not its own.
 */
import { mapFromId, newMap } from '../map.ts'
import { codec, u32 } from '../layout.ts'
import { loadObject } from '../object.ts'
import { RingBuffer } from '../ring-buffer.ts'
import { testRun } from '../test-run.ts'
import { NetlinkNet } from '../../netlink/net.ts'
import { until } from '../../testdata/until.ts'

const told: string[] = []
const uncaught: string[] = []
process.on('uncaughtException', error => uncaught.push(error.message))

using map = newMap({ type: 'array', name: 'calls', keySize: 4, valueSize: 4, maxEntries: 1 }, codec(u32, u32))
let calls = 'all well'
/** Koffi's next call is the one that a kept error would come out of. */
function call(): void {
  try {
    map.update(0, 1)
    mapFromId(map.info.id, codec(u32, u32))?.[Symbol.dispose]()
  } catch (error) {
    calls = String(error)
  }
}

async function allTold(count: number): Promise<void> {
  await until(
    () => (call(), told.length >= count),
    () => `told ${told.join()}, uncaught ${uncaught.join()}`,
  )
}

async function readRing(path: string): Promise<void> {
  using object = loadObject(path)
  const produce = (repeat: number): unknown =>
    testRun(object.programFd('produce'), { data: new Uint8Array(64), repeat })
  using _ring = new RingBuffer(object.mapFd('events'), {
    onRecord: (view, at) => {
      const number = view.getBigUint64(at, true)
      told.push(`${number}`)
      if ([1n, 4n, 5n].includes(number)) throw new Error(`record ${number}`)
    },
  })
  for (const [burst, count] of [
    [1, 1],
    [1, 2],
    [6, 8],
    [2, 10],
  ] as const) {
    produce(burst)
    await allTold(count)
  }
}

async function watchLinks(): Promise<void> {
  using net = new NetlinkNet('/proc/self/ns/net')
  using _watch = net.watch(['link'], event => {
    if (event.kind !== 'link') return
    told.push(event.name)
    if (event.name !== 'b') throw new Error(`link ${event.name}`)
  })
  net.run(['a', 'b'].map(name => ({ op: 'link-add', link: { kind: 'bridge', name } })))
  await allTold(2)
  net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'c' } }])
  await allTold(3)
}

const [what, path = ''] = process.argv.slice(2)
await (what === 'ring' ? readRing(path) : watchLinks())
await until(
  () => uncaught.length >= (what === 'ring' ? 3 : 2),
  () => `uncaught ${uncaught.join()}`,
)
process.stdout.write(JSON.stringify({ told, uncaught, calls }))
