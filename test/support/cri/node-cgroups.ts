/** The cgroups that a container runtime on a node may use as its own: a subtree of each hierarchy it needs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Hierarchy, hierarchies } from '../../../deploy/lab/cgroup.ts'

/**
 * What runc asks for of version 1: `devices` always, `freezer` to stop containers by, `cpu` for a sandbox's share.
 * Everything else, such as memory, stays where this process's is accounted.
 */
const CONTROLLERS = ['cpu', 'devices', 'freezer']

/** Makes them, each with a leaf `init` for the node's own processes; the lab's `down` removes them. */
export function makeNodeCgroups(lab: string, node: string): string[] {
  return hierarchies()
    .filter(h => h.version === 2 || CONTROLLERS.some(c => isOf(h, c)))
    .map(hierarchy => {
      // Beside the node's cgroup, which holds its daemon: inner cgroups of version 2 had better hold no processes.
      const top = join(hierarchy.path, 'causeway-lab', lab, `${node}-runtime`)
      mkdirSync(join(top, 'init'), { recursive: true })
      if (hierarchy.version === 2) passCpuOn(hierarchy, lab)
      return top
    })
}

/** Why a container could not be given a share of the CPUs; undefined when it can. */
export function whyNoCpuShares(): string | undefined {
  const known = hierarchies().some(h => (h.version === 1 ? isOf(h, 'cpu') : passesCpu(h.path)))
  return known ? undefined : 'this machine passes the controller cpu to no cgroup'
}

/** Hierarchies of version 1 are mounted by the names of their controllers, such as `cpu,cpuacct`. */
function isOf({ path, version }: Hierarchy, controller: string): boolean {
  return version === 1 && basename(path).split(',').includes(controller)
}

/** A cgroup of version 2 has those controllers that all above it pass on; those above ours are left as they are. */
function passCpuOn({ path }: Hierarchy, lab: string): void {
  if (!passesCpu(path)) return
  for (const folder of [join(path, 'causeway-lab'), join(path, 'causeway-lab', lab)])
    writeFileSync(join(folder, 'cgroup.subtree_control'), '+cpu')
}

function passesCpu(cgroup: string): boolean {
  return readFileSync(join(cgroup, 'cgroup.subtree_control'), 'utf8').split(/\s+/).includes('cpu')
}
