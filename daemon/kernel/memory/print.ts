/** The in-memory kernel as text: one line an object, sorted, links named instead of numbered. */
import type { Namespace } from './namespace.ts'

export function printNamespace(ns: Namespace): string {
  const name = (index: number) => ns.links.get(index)?.name ?? `#${index}`
  const links = [...ns.links.values()].map(l => {
    const alias = l.alias === '' ? '' : ` alias ${l.alias}`
    return `link ${l.name} ${l.kind} mtu ${l.sizes.mtu} ${l.up ? 'up' : 'down'}${alias}`
  })
  const addresses = ns.addresses.map(a => `address ${a.address}/${a.prefixLength} dev ${name(a.link)}`)
  const routes = ns.routes.map(r => {
    const via = r.via === undefined ? '' : ` via ${r.via}`
    const mtu = r.mtu === undefined ? '' : ` mtu ${r.mtu}`
    return `route ${r.dst}${via} dev ${name(r.link)}${mtu} proto ${r.protocol}`
  })
  const neighbours = ns.neighbours.map(n => `neighbour ${n.address} mac ${n.mac} dev ${name(n.link)}`)
  const qdiscs = ns.qdiscs.map(q => `${q.kind} ${name(q.link)} blocks ${q.ingressBlock} ${q.egressBlock}`)
  const filters = ns.filters.map(f => `filter ${f.place} priority ${f.priority} ${f.name}`)
  const rules = ns.rules.map(r => `rule ${JSON.stringify(r)}`)
  const lines = [...links, ...addresses, ...routes, ...neighbours, ...qdiscs, ...filters, ...rules]
  return lines
    .sort()
    .map(line => `  ${line}\n`)
    .join('')
}
