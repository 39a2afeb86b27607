/** For the tests of this folder: the same two namespaces on Linux and in memory, and what was made of them as text. */
import { closeSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadInstructions } from '../../bpf/program.ts'
import { CAUSEWAY_PROTOCOL, type FilterPlace, type Kernel, type Net, type NetRequest } from '../../kernel.ts'
import { LinuxKernel } from '../../linux.ts'
import { createNetns, deleteNetns } from '../../netns/create.ts'
import { Machine } from '../machine.ts'

export interface Place {
  readonly kernel: Kernel
  readonly node: Net
  readonly pod: Net
  readonly podPath: string
  /** Ends the pod's namespace. */
  endPod(): void
  /** A descriptor of a program that can be a filter. */
  readonly programFd: number
}

export function inMemory(): Place & Disposable {
  const machine = new Machine()
  machine.addNamespace('/node')
  machine.addNamespace('/pod')
  const kernel = machine.process()
  const [node, pod] = [kernel.openNet('/node'), kernel.openNet('/pod')]
  const endPod = (): void => machine.removeNamespace('/pod')
  return { kernel, node, pod, podPath: '/pod', programFd: 7, endPod, [Symbol.dispose]: () => {} }
}

export function onLinux(): Place & Disposable {
  const stack = new DisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cw-compliance-'))
  stack.defer(() => rmSync(directory, { recursive: true }))
  const path = (name: string): string => {
    const at = join(directory, name)
    createNetns(at)
    stack.defer(() => deleteNetns(at))
    return at
  }
  const podPath = path('pod')
  const kernel = stack.use(new LinuxKernel())
  const node = stack.use(kernel.openNet(path('node')))
  const pod = stack.use(kernel.openNet(podPath))
  const programFd = stack.adopt(loadInstructions('sched-cls', undefined), closeSync)
  const endPod = (): void => {
    pod[Symbol.dispose]()
    deleteNetns(podPath)
  }
  return { kernel, node, pod, podPath, programFd, endPod, [Symbol.dispose]: () => stack.dispose() }
}

/** A namespace as lines, links by name. */
function dump(net: Net): string[] {
  const links = net.links()
  const name = (index: number): string => links.find(link => link.index === index)?.name ?? String(index)
  const peers = (index: number): string => (index === 0 ? '' : ` peer ${index}`)
  const sizes = (l: (typeof links)[number]): string =>
    l.loopback ? '' : ` ${l.mtu} ${l.gsoMaxSize} ${l.groMaxSize} ${l.gsoIpv4MaxSize} ${l.groIpv4MaxSize}`
  const ours = (protocol: number): boolean => protocol === CAUSEWAY_PROTOCOL
  return [
    ...links.map(
      l =>
        `link ${l.index} ${l.name} ${l.kind} ${l.up ? 'up' : 'down'} carrier ${l.up && l.carrier} group ${l.group}` +
        ` alias '${l.alias}' master ${name(l.master)}${peers(l.peerIndex)}${sizes(l)}` +
        (l.mac.startsWith('02:00') ? ` ${l.mac}` : ''),
    ),
    ...net
      .addresses()
      .filter(a => !a.address.startsWith('fe80:'))
      .map(a => `address ${a.family} ${a.address}/${a.prefixLength} ${a.scope} dev ${name(a.link)}`),
    ...net
      .routes()
      .filter(r => ours(r.protocol))
      .map(
        r =>
          `route ${r.type} ${r.family} ${r.dst} via ${r.via} dev ${name(r.link)} mtu ${r.mtu} metric ${r.metric}` +
          ` table ${r.table} scope ${r.scope} src ${r.src} onlink ${r.onlink === true}`,
      ),
    ...net
      .neighbours()
      .filter(n => n.permanent && n.mac.startsWith('02:'))
      .map(n => `neighbour ${n.address} ${n.mac} dev ${name(n.link)}`),
    ...net
      .qdiscs()
      .filter(q => q.kind === 'clsact')
      .map(q => `clsact ${name(q.link)} ${q.ingressBlock} ${q.egressBlock}`),
    ...net
      .rules()
      .filter(r => ours(r.protocol ?? 0))
      .map(r => `rule ${r.family} ${r.priority} ${r.from} ${r.to} ${r.mark?.value}/${r.mark?.mask} table ${r.table}`),
    ...places(net).flatMap(at => net.filters(at).map(f => `filter ${JSON.stringify(at)} ${f.priority} ${f.name}`)),
  ].sort()
}

/** Where the cases put filters. */
function places(net: Net): FilterPlace[] {
  const sides = (['ingress', 'egress'] as const).map(side => ({ link: 'cw0', side }))
  return net.link('cw0') === undefined ? [{ block: 71 }] : [{ block: 71 }, ...sides]
}

/** The code of each refusal, `ok` where there was none, then both dumps. */
export function outcome(place: Place, steps: readonly Step[]): string[] {
  const codes = steps.map(step => {
    try {
      const net = place[step.in]
      net.run(step.run(place))
      return 'ok'
    } catch (error) {
      return (error as { code?: string }).code ?? String(error)
    }
  })
  return [codes.join(' '), 'node:', ...dump(place.node), 'pod:', ...dump(place.pod)]
}

export interface Step {
  readonly in: 'node' | 'pod'
  readonly run: (place: Pick<Place, 'podPath' | 'programFd'>) => NetRequest[]
}
export const node = (...requests: NetRequest[]): Step => ({ in: 'node', run: () => requests })
export const pod = (...requests: NetRequest[]): Step => ({ in: 'pod', run: () => requests })
