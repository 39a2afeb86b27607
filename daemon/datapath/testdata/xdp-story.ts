/**
 * What becomes of a program in front of the stack, told line by line; in a network namespace of its own, for attaching
 * goes by threads. Arguments: the compiled object, a directory on a bpffs.
 */
import { listPins } from '../../kernel/bpf/pin.ts'
import { linkFromPin } from '../../kernel/bpf/link.ts'
import { loadObject } from '../../kernel/bpf/object.ts'
import { programInfo } from '../../kernel/bpf/program.ts'
import { LinuxKernel } from '../../kernel/linux.ts'
import { type XdpMode, XdpHooks } from '../xdp-hooks.ts'

const [path = '', directory = ''] = process.argv.slice(2)
using kernel = new LinuxKernel()
const { net } = kernel
net.run([
  { op: 'link-add', link: { kind: 'veth', name: 'a', peer: { name: 'b' } } },
  { op: 'link-add', link: { kind: 'bridge', name: 'br' } },
])
const index = (name: string): number => net.link(name)?.index ?? 0
const [a, br] = [index('a'), index('br')]
using old = loadObject(path)
using fresh = loadObject(path)
const oldId = programInfo(old.programFd('uplink_xdp')).id

const links = new Set<number>()
/** Where which program is, and whether by a link that is known. */
function attached(): string {
  const text = listPins(directory).map(({ name, path: pin }) => {
    using link = linkFromPin(pin)
    const { id = 0, programId = 0, ifindex = 0 } = link?.info() ?? {}
    const way = links.has(id) ? 'kept' : 'made'
    links.add(id)
    return `${name.split('_')[0]} on ${net.link(ifindex)?.name}: ${programId === oldId ? 'old' : 'fresh'}, ${way}`
  })
  return text.length === 0 ? 'nothing' : text.join('; ')
}

async function tell(what: string, mode: XdpMode, devices: readonly number[], object = fresh): Promise<void> {
  const hooks = new XdpHooks(net, { directory, mode })
  await hooks.apply(devices, object.programFd('uplink_xdp'))
  const fact = hooks.fact.replaceAll(/\d+/g, 'N')
  const problems = hooks.problems.map(text => ` ! ${text.replaceAll(/\d+/g, 'N')}`).join('')
  console.log(`${what}: ${fact} = ${attached()}${problems}`)
}

await tell('attached', 'native', [a], old)
await tell('replaced by the next daemon', 'native', [a])
await tell('another mode', 'generic', [a])
await tell('not on a veth', 'auto', [a])
await tell('by name to what has no driver for it', 'native', [a, br])
await tell('without being asked for', 'auto', [br])
await tell('gone', 'native', [4711])
await tell('off', 'off', [a])
