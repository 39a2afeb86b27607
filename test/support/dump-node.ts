/** What the network namespace of a lab's node holds, to be compared from one time to another. */
import { execFileSync } from 'node:child_process'
import type { NodeLayout } from '../../deploy/lab/layout.ts'

const SYSCTLS = [
  'ipv4/ip_forward',
  'ipv4/conf/all/rp_filter',
  'ipv4/conf/default/rp_filter',
  'ipv6/conf/all/forwarding',
]

/** Everything that a daemon could leave behind there, as text. */
export function dumpNode({ netns }: Pick<NodeLayout, 'netns'>): string {
  const run = (...command: readonly string[]): string =>
    execFileSync('nsenter', [`--net=${netns}`, ...command], { encoding: 'utf8' })
  const links = (JSON.parse(run('ip', '-j', '-d', 'link')) as Record<string, unknown>[]).map(
    l =>
      `${String(l['ifname'])} mtu ${String(l['mtu'])} ${String(l['qdisc'])} ${String(l['flags'])} ${String(l['ifalias'])}`,
  )
  return [
    ...links.sort(),
    run('tc', 'qdisc', 'show'),
    run('ip', 'address', 'show', 'scope', 'global').replace(/^\d+: /gm, ''),
    run('ip', '-4', 'route', 'show', 'table', 'all'),
    run('ip', '-6', 'route', 'show', 'table', 'all').replace(/^.*fe80::.*\n/gm, ''),
    run('ip', 'rule'),
    run('ip', '-6', 'rule'),
    run('ip', 'neigh', 'show', 'nud', 'permanent'),
    run('cat', ...SYSCTLS.map(name => `/proc/sys/net/${name}`)),
  ].join('\n')
}
