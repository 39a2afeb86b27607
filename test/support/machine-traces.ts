/** What a lab or a test could leave behind on the machine, in a form that can be compared before and after. */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'

export interface MachineTraces {
  /** Of the namespace this process stands in. */
  readonly links: readonly string[]
  readonly rules: string
  readonly routes: string
  /** Names of network namespaces that the project makes. */
  readonly namespaces: readonly string[]
  /** bpf file systems and their mount points. */
  readonly bpffs: readonly string[]
  readonly cgroups: readonly string[]
}

export function traces(): MachineTraces {
  const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' })
  return {
    links: ip('-o', 'link')
      .trimEnd()
      .split('\n')
      .map(line => line.split(':')[1]?.trim() ?? line),
    rules: ip('rule') + ip('-6', 'rule'),
    routes: ip('route', 'show', 'table', 'all') + stableRoutes(ip('-6', 'route', 'show', 'table', 'all')),
    namespaces: globSync('/run/netns/cw-*').sort(),
    bpffs: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter(line => line.split(' ')[2] === 'bpf' && line.includes('causeway-lab')),
    cgroups: globSync('/sys/fs/cgroup/{,*/}causeway-lab/**/').sort(),
  }
}

/** Learnt IPv6 routes count their lifetime down. */
function stableRoutes(text: string): string {
  return text.replace(/ expires \d+sec/g, '')
}
