/** What a lab or a test could leave behind on the machine, in a form that can be compared before and after. */
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'

export interface MachineTraces {
  /** Of the namespace this process stands in, like all up to `namespaces`. */
  readonly links: string
  readonly addresses: string
  readonly qdiscs: string
  readonly rules: string
  readonly routes: string
  /** Below the path that a daemon pins to by default, which none of a lab's does. */
  readonly pins: readonly string[]
  /** Names of the labs' network namespaces. */
  readonly namespaces: readonly string[]
  /** Below the labs' folders: bpf file systems, and what a container runtime mounts. */
  readonly mounts: readonly string[]
  readonly cgroups: readonly string[]
  readonly folders: readonly string[]
}

/** `labs` names the labs whose traces count: others may be up meanwhile. */
export function traces(...labs: readonly string[]): MachineTraces {
  const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' })
  return {
    links: ip('-o', '-d', 'link'),
    addresses: withoutLifetimes(ip('-o', 'address')),
    qdiscs: execFileSync('tc', ['qdisc', 'show'], { encoding: 'utf8' }),
    rules: ip('rule') + ip('-6', 'rule'),
    routes: ip('route', 'show', 'table', 'all') + withoutLifetimes(ip('-6', 'route', 'show', 'table', 'all')),
    pins: globSync('/sys/fs/bpf/causeway/**').sort(),
    namespaces: labs.flatMap(lab => globSync(`/run/netns/cw-${lab}-*`)).sort(),
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter(line => labs.some(lab => line.includes(`/causeway-lab/${lab}/`))),
    cgroups: labs.flatMap(lab => globSync(`/sys/fs/cgroup/{,*/}causeway-lab/${lab}/**/`)).sort(),
    folders: labs.map(lab => `/run/causeway-lab/${lab}`).filter(folder => existsSync(folder)),
  }
}

/** Learnt routes and addresses count theirs down. */
function withoutLifetimes(text: string): string {
  return text.replace(/ (expires|valid_lft|preferred_lft) \d+sec/g, '')
}
