/**
 * Rules that translate services as kube-proxy writes them, for nftables and for iptables: a service's address and port lead
 * to its chain, that to the chain of an endpoint, and that to the endpoint. All services have one endpoint here.
 *
 * Source: Kubernetes, pkg/proxy/nftables/README.md and pkg/proxy/iptables/proxier.go.
 */

export interface RuleService {
  readonly address: string
  readonly port: number
  /** The endpoint's port. */
  readonly targetPort: number
}

/** Input of `nft -f -`. */
export function nftRules(services: readonly RuleService[], endpoint: string): string {
  const elements = services.map((s, i) => `${s.address} . tcp . ${s.port} : goto service-${i}`)
  const chains = services.flatMap(({ targetPort }, i) => [
    `chain endpoint-${i} { ip saddr ${endpoint} jump mark-for-masquerade; meta l4proto tcp dnat to ${endpoint}:${targetPort}; }`,
    `chain service-${i} { numgen random mod 1 vmap { 0 : goto endpoint-${i} }; }`,
  ])
  return [
    'table ip kube-proxy {',
    'chain mark-for-masquerade { mark set mark or 0x4000; }',
    ...chains,
    'map service-ips { type ipv4_addr . inet_proto . inet_service : verdict;',
    `elements = { ${elements.join(', ')} }`,
    '}',
    'chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }',
    'chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }',
    'chain nat-output { type nat hook output priority -100; jump services; }',
    'chain nat-postrouting { type nat hook postrouting priority srcnat;',
    'mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random; }',
    '}',
    '',
  ].join('\n')
}

/** Input of `iptables-restore`. */
export function iptablesRules(services: readonly RuleService[], endpoint: string): string {
  const names = services.flatMap((_, i) => [`:KUBE-SVC-${i} - [0:0]`, `:KUBE-SEP-${i} - [0:0]`])
  const rules = services.flatMap((s, i) => [
    `-A KUBE-SERVICES -d ${s.address}/32 -p tcp -m tcp --dport ${s.port} -j KUBE-SVC-${i}`,
    `-A KUBE-SVC-${i} -j KUBE-SEP-${i}`,
    `-A KUBE-SEP-${i} -s ${endpoint}/32 -j KUBE-MARK-MASQ`,
    `-A KUBE-SEP-${i} -p tcp -m tcp -j DNAT --to-destination ${endpoint}:${s.targetPort}`,
  ])
  return [
    '*nat',
    ':KUBE-SERVICES - [0:0]',
    ':KUBE-MARK-MASQ - [0:0]',
    ':KUBE-POSTROUTING - [0:0]',
    ...names,
    '-A PREROUTING -j KUBE-SERVICES',
    '-A OUTPUT -j KUBE-SERVICES',
    '-A POSTROUTING -j KUBE-POSTROUTING',
    '-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
    '-A KUBE-POSTROUTING -j MASQUERADE --random-fully',
    ...rules,
    'COMMIT',
    '',
  ].join('\n')
}
