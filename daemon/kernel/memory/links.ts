/** Links of the in-memory kernel: creating them (pairs across namespaces included) and changing them. */
import type { LinkCommon, LinkInfo, LinkRef, LinkSizes, LinkSpec, NetRequest } from '../kernel.ts'
import type { NamespaceAt } from './apply.ts'
import { defaultSizes, type MemoryLink, type Namespace } from './namespace.ts'
import { refuse } from './refuse.ts'

type LinkSet = Extract<NetRequest, { readonly op: 'link-set' }>

export function addLink(ns: Namespace, spec: LinkSpec, namespaceAt: NamespaceAt): void {
  checkName(spec.name)
  if (spec.kind !== 'veth' && spec.kind !== 'netkit') {
    const vxlan = spec.kind === 'vxlan' ? { vxlan: { port: spec.port, external: spec.external } } : {}
    change(ns, ns.add({ ...created(spec.kind, spec), ...vxlan }), spec)
    return
  }
  const other = spec.peer.netns === undefined ? ns : namespaceAt(spec.peer.netns)
  checkName(spec.peer.name)
  if (ns.named(spec.name)) throw refuse('EEXIST', `add link ${spec.name}`, 'File exists')
  const peer = other.add(created(spec.kind, spec.peer))
  const link = ns.add(created(spec.kind, spec))
  peer.peer = { namespace: ns, link }
  link.peer = { namespace: other, link: peer }
  change(ns, link, spec)
  change(other, peer, spec.peer)
}

export function setLink(ns: Namespace, request: LinkSet): void {
  const link = ns.require(request.link)
  if (request.rename !== undefined && request.rename !== link.name) {
    checkName(request.rename)
    if (ns.named(request.rename)) throw refuse('EEXIST', `rename ${link.name} to ${request.rename}`)
    link.name = request.rename
  }
  change(ns, link, request)
  ns.notify('link', { kind: 'link', gone: false, index: link.index, name: link.name })
}

/** A link as `Net.link()` reports it. */
export function describeLink(link: MemoryLink): LinkInfo {
  const { index, name, kind, mac, alias, group, up, loopback, master, vxlan } = link
  const carrier = up && (link.peer === undefined || link.peer.link.up)
  const peerIndex = link.peer?.link.index ?? 0
  const own = vxlan === undefined ? {} : { vxlan }
  return { ...link.sizes, index, name, kind, mac, alias, group, up, carrier, loopback, master, peerIndex, ...own }
}

function created(kind: string, spec: LinkCommon): Parameters<Namespace['add']>[0] {
  const mac = spec.mac === undefined ? {} : { mac: spec.mac.toLowerCase() }
  return { name: spec.name, kind, loopback: false, sizes: { ...defaultSizes }, ...mac }
}

function change(ns: Namespace, link: MemoryLink, wanted: Partial<LinkCommon>): void {
  if (wanted.alias !== undefined && Buffer.byteLength(wanted.alias) > 255) throw refuse('ERANGE', `alias ${link.name}`)
  if (wanted.mac !== undefined) link.mac = wanted.mac.toLowerCase()
  if (wanted.alias !== undefined) link.alias = wanted.alias
  if (wanted.group !== undefined) link.group = wanted.group
  link.sizes = { ...link.sizes, ...sizesOf(wanted) }
  if (wanted.master !== undefined) enslave(ns, link, wanted.master)
  if (wanted.up !== undefined && wanted.up !== link.up) setUp(ns, link, wanted.up)
}

/** A bridge takes the lowest MAC and MTU of its ports (br_if.c). */
function enslave(ns: Namespace, link: MemoryLink, master: LinkRef): void {
  link.master = master === 0 ? 0 : ns.require(master).index
  const bridge = ns.links.get(link.master)
  const ports = [...ns.links.values()].filter(port => port.master === link.master)
  if (!bridge) return
  bridge.mac = ports.map(port => port.mac).sort()[0] ?? bridge.mac
  bridge.sizes = { ...bridge.sizes, mtu: Math.min(...ports.map(port => port.sizes.mtu)) }
}

function setUp(ns: Namespace, link: MemoryLink, up: boolean): void {
  link.up = up
  if (!up) {
    ns.flush(link)
    return
  }
  if (!link.loopback) return
  const own = { link: link.index, scope: 'host', dynamic: false } as const
  ns.addresses.push({ ...own, family: 4, address: '127.0.0.1', prefixLength: 8 })
  ns.addresses.push({ ...own, family: 6, address: '::1', prefixLength: 128 })
}

/** Sizes given and not zero: zero and absent both leave what is there. A small size holds for IPv4, too (net/core/dev.h). */
function sizesOf(wanted: LinkSizes): Partial<Required<LinkSizes>> {
  const small = (size = 0): number => (size <= 65_536 ? size : 0)
  const all = {
    mtu: wanted.mtu,
    gsoMaxSize: wanted.gsoMaxSize,
    groMaxSize: wanted.groMaxSize,
    gsoIpv4MaxSize: wanted.gsoIpv4MaxSize || small(wanted.gsoMaxSize),
    groIpv4MaxSize: wanted.groIpv4MaxSize || small(wanted.groMaxSize),
  }
  return Object.fromEntries(Object.entries(all).filter(([, size]) => (size ?? 0) !== 0))
}

/** IFNAMSIZ is 16 with its final zero (net/if.h). */
function checkName(name: string): void {
  if (name === '' || name.length > 15 || /[/\s]/.test(name)) throw refuse('ERANGE', `name a link ${name}`)
}
