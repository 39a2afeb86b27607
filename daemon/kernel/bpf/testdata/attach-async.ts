/**
 * Run in a network namespace of its own, in which the threads of libuv's pool are then born: attaches a program of the
 * object named on the command line to both sides of devices from threads. Prints what it saw as JSON.
 */
import { attachAsync } from '../link.ts'
import { loadObject } from '../object.ts'
import { NetlinkNet } from '../../netlink/net.ts'

const DEVICES = 4
const TICK_MS = 1

const [path = ''] = process.argv.slice(2)
using object = loadObject(path, { only: ['pass'] })
using net = new NetlinkNet('/proc/self/ns/net')
for (let i = 0; i < DEVICES; i++) {
  net.run([{ op: 'link-add', link: { kind: 'veth', name: `cw-a${i}`, peer: { name: `cw-b${i}` } } }])
}

const lag = watchLag()
const devices = net.links().filter(link => link.kind === 'veth')
const attached = devices.flatMap(({ index }) => [
  attachAsync(object.programFd('pass'), { kind: 'tcx', ifindex: index, side: 'ingress' }),
  attachAsync(object.programFd('pass'), { kind: 'tcx', ifindex: index, side: 'egress' }),
])
const links = await Promise.all(attached)
const infos = links.map(link => link.info())
const failure: unknown = await attachAsync(object.programFd('pass'), {
  kind: 'tcx',
  ifindex: 9999,
  side: 'ingress',
}).catch((error: unknown) => error)
await Promise.all(links.map(link => link.detachAsync()))
const after = links.map(link => link.info().ifindex)
await Promise.all(links.map(link => link[Symbol.asyncDispose]()))
process.stdout.write(
  JSON.stringify({
    ifindexes: infos.map(info => info.ifindex),
    expected: devices.flatMap(({ index }) => [index, index]),
    after,
    failure: String(failure),
    maxLagMs: lag.stop(),
  }),
)

/** The longest the event loop was kept from its timers. */
function watchLag(): { stop(): number } {
  let last = performance.now()
  let worst = 0
  const look = (): void => {
    const now = performance.now()
    worst = Math.max(worst, now - last - TICK_MS)
    last = now
  }
  const timer = setInterval(look, TICK_MS)
  return {
    stop: () => {
      clearInterval(timer)
      look()
      return worst
    },
  }
}
