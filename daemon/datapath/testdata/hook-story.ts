/**
 * Run in a network namespace of its own, in which the threads of libuv's pool are then born: what `DeviceHooks` does with
 * tcx links. Arguments: an object with the program `count`, a directory on a bpffs, and one elsewhere. Prints a line a step.
 */
import { linkFromPin } from '../../kernel/bpf/link.ts'
import { loadObject } from '../../kernel/bpf/object.ts'
import { listPins } from '../../kernel/bpf/pin.ts'
import { programInfo } from '../../kernel/bpf/program.ts'
import { NetlinkNet } from '../../kernel/netlink/net.ts'
import { type DeviceHook, DeviceHooks, type DeviceProgram, hookedDevices, removeDeviceHooks } from '../device-hooks.ts'

const [object = '', pins = '', elsewhere = ''] = process.argv.slice(2)
using old = loadObject(object)
using fresh = loadObject(object)
using net = new NetlinkNet('/proc/self/ns/net')
for (const name of ['a', 'b', 'c']) {
  net.run([{ op: 'link-add', link: { kind: 'veth', name, peer: { name: `${name}-peer` } } }])
}
const devices = new Map(net.links().map(link => [link.name, link.index]))
const indexOf = (name: string): number => devices.get(name) ?? 0
const hook = (program: DeviceProgram, name: string): DeviceHook => ({ program, device: indexOf(name) })

/** What is pinned: device, program, which of the two objects, and whether the link is one of before. */
const known = new Set<number>()
function attached(): string {
  const lines = listPins(pins).map(({ name, path }) => {
    using link = linkFromPin(path)
    const { ifindex = 0, programId = 0, id = 0 } = link?.info() ?? {}
    const age = known.has(id) ? 'kept' : 'made'
    known.add(id)
    const device = [...devices].find(([, index]) => index === ifindex)?.[0] ?? 'gone'
    const set = programId === programInfo(old.programFd('count')).id ? 'old' : 'fresh'
    return `${name.replace(/_\d+$/, '')} on ${device}: ${set}, ${age}`
  })
  return lines.sort().join('; ') || 'nothing'
}
async function step(what: string, act: () => Promise<void> | void): Promise<void> {
  let outcome = ''
  try {
    await act()
  } catch (error) {
    outcome = ` [${String(error)
      .replace(/device \d+/, 'device N')
      .replace(elsewhere, 'DIR')
      .replace(/_\d+:/, '_N:')}]`
  }
  process.stdout.write(`${what}:${outcome} ${attached()}\n`)
}

const all = [hook('uplink_in', 'a'), hook('overlay_in', 'b'), hook('overlay_out', 'b')]
const first = new DeviceHooks(net, { tcx: true, directory: pins })
await step('attached', () => first.apply(all, () => old.programFd('count')))
const next = new DeviceHooks(net, { tcx: true, directory: pins })
await step('replaced by the next daemon', () => next.apply(all, () => fresh.programFd('count')))
net.run([{ op: 'link-delete', link: 'a' }])
const moved = [hook('uplink_in', 'a'), hook('uplink_in', 'c')]
await step('one device gone', () => next.apply(moved, () => fresh.programFd('count')))
await step('known to be gone', () => next.apply(moved.slice(1), () => fresh.programFd('count')))
await step('wanted nowhere', () => next.apply([], () => fresh.programFd('count')))
await step('wanted again at once, and again', async () => {
  for (let time = 0; time < 10; time++)
    for (const hooks of [moved.slice(1), [], moved.slice(1)]) await next.apply(hooks, () => fresh.programFd('count'))
})
const found = hookedDevices(net, pins, 'uplink_in').map(index => net.link(index)?.name)
process.stdout.write(`found: ${found.join(',')}\n`)
await step('removed', () => removeDeviceHooks(net, pins))
const lost = new DeviceHooks(net, { tcx: true, directory: elsewhere })
for (const attempt of ['not pinned', 'not pinned again'])
  await step(attempt, () => lost.apply([hook('uplink_in', 'c')], () => old.programFd('count')))
