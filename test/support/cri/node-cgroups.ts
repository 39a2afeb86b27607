/** The cgroups that a container runtime on a node may use as its own: a subtree of each hierarchy it needs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Hierarchy, hierarchies } from '../../../deploy/lab/cgroup.ts'

/** What runc asks for of version 1: limits are not tested, so memory stays where this process's is accounted. */
const CONTROLLERS = ['cpu', 'devices', 'freezer', 'pids']

/** Makes them, each with a leaf `init` for the node's own processes; the lab's `down` removes them. */
export function makeNodeCgroups(lab: string, node: string): string[] {
  return hierarchies()
    .filter(h => h.version === 2 || hasOneOf(h, CONTROLLERS))
    .map(hierarchy => {
      // Beside the node's cgroup, which holds its daemon: inner cgroups of version 2 hold no processes.
      const top = join(hierarchy.path, 'causeway-lab', lab, `${node}-runtime`)
      mkdirSync(join(top, 'init'), { recursive: true })
      if (hierarchy.version === 2) passControllersOn(hierarchy, lab)
      return top
    })
}

/** A cgroup of version 2 has those controllers that all above it pass on (cgroups(7), "subtree_control"). */
function passControllersOn({ path }: Hierarchy, lab: string): void {
  for (const folder of [join(path, 'causeway-lab'), join(path, 'causeway-lab', lab)]) {
    const controllers = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').split(/\s+/)
    const wanted = controllers.filter(c => c !== '').map(c => `+${c}`)
    writeFileSync(join(folder, 'cgroup.subtree_control'), wanted.join(' '))
  }
}

/** Hierarchies of version 1 are mounted by the names of their controllers, such as `cpu,cpuacct`. */
function hasOneOf({ path }: Hierarchy, controllers: readonly string[]): boolean {
  return basename(path)
    .split(',')
    .some(name => controllers.includes(name))
}
