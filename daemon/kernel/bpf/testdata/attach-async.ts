/**
 * Run in a network namespace of its own, in which the threads of libuv's pool are then born: attaches a program of the
 * object named on the command line to every hook of a kind (`xdp` or `tcx`) of some devices from threads. Prints what it
 * saw as JSON, with how long the process waited while links were made and detached, and how often its loop turned.
 */
import { attachAsync, type Hook } from '../link.ts'
import { loadObject } from '../object.ts'
import { NetlinkNet } from '../../netlink/net.ts'

const PAIRS = 4

const [path = '', kind] = process.argv.slice(2)
using object = loadObject(path, { only: ['pass', 'xdp_old'] })
using net = new NetlinkNet('/proc/self/ns/net')
for (let i = 0; i < PAIRS; i++) {
  net.run([{ op: 'link-add', link: { kind: 'veth', name: `cw-a${i}`, peer: { name: `cw-b${i}` } } }])
}

const program = object.programFd(kind === 'tcx' ? 'pass' : 'xdp_old')
const devices = net.links().filter(link => link.kind === 'veth')
const hooks = devices.flatMap(({ index }) => hooksOf(index))
const turns: { readonly count: number; readonly waitedMs: number }[] = []
const links = await countingTurns(() => Promise.all(hooks.map(hook => attachAsync(program, hook))))
const ifindexes = links.map(link => link.info().ifindex)
const failure: unknown = await attachAsync(program, hooksOf(9999)[0]).catch((error: unknown) => error)
await countingTurns(() => Promise.all(links.map(link => link.detachAsync())))
const after = links.map(link => link.info().ifindex)
await Promise.all(links.map(link => link[Symbol.asyncDispose]()))
const expected = devices.flatMap(({ index }) => hooksOf(index).map(() => index))
process.stdout.write(JSON.stringify({ ifindexes, expected, after, failure: String(failure), turns }))

function hooksOf(ifindex: number): [Hook, ...Hook[]] {
  if (kind !== 'tcx') return [{ kind: 'xdp', ifindex, mode: 'generic' }]
  return [
    { kind: 'tcx', ifindex, side: 'ingress' },
    { kind: 'tcx', ifindex, side: 'egress' },
  ]
}

async function countingTurns<T>(work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const cpu = process.cpuUsage()
  let count = 0
  const tick = (): void => void (count++, (immediate = setImmediate(tick)))
  let immediate = setImmediate(tick)
  try {
    return await work()
  } finally {
    clearImmediate(immediate)
    const { user, system } = process.cpuUsage(cpu)
    turns.push({ count, waitedMs: performance.now() - started - (user + system) / 1000 })
  }
}
