/** What a lab or a test could leave behind on the machine, in a form that can be compared before and after. */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'

export interface MachineTraces {
  /** Of the namespace this process stands in. */
  readonly links: readonly string[]
  readonly rules: string
  readonly routes: string
  /** Names of the labs' network namespaces. */
  readonly namespaces: readonly string[]
  /** Below the labs' folders: bpf file systems, and what a container runtime mounts. */
  readonly mounts: readonly string[]
  readonly cgroups: readonly string[]
}

/** `labs` names the labs whose traces count: others may be up meanwhile. */
export function traces(...labs: readonly string[]): MachineTraces {
  const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' })
  return {
    links: ip('-o', 'link')
      .trimEnd()
      .split('\n')
      .map(line => line.split(':')[1]?.trim() ?? line),
    rules: ip('rule') + ip('-6', 'rule'),
    routes: ip('route', 'show', 'table', 'all') + stableRoutes(ip('-6', 'route', 'show', 'table', 'all')),
    namespaces: labs.flatMap(lab => globSync(`/run/netns/cw-${lab}-*`)).sort(),
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter(line => labs.some(lab => line.includes(`/causeway-lab/${lab}/`))),
    cgroups: labs.flatMap(lab => globSync(`/sys/fs/cgroup/{,*/}causeway-lab/${lab}/**/`)).sort(),
  }
}

/** Learnt IPv6 routes count their lifetime down. */
function stableRoutes(text: string): string {
  return text.replace(/ expires \d+sec/g, '')
}
