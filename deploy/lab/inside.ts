/** Running a program where a station of the lab is: in its namespace, and in the cgroup of its node or in none. */
import { inCgroup, nodeCgroup } from './cgroup.ts'
import { inNamespace } from './command.ts'
import type { Lab, Station } from './state.ts'

/** The arguments that do so. The host outside has no node and no cgroup. */
export function inStation(lab: Lab, station: Station, command: readonly string[]): readonly string[] {
  const cgroup = station.node === '' ? undefined : nodeCgroup(lab.layout.name, station.node)
  return inCgroup(cgroup, inNamespace(station.netns, command))
}

/** The same without the cgroup, so that no program of the node sees its sockets: services are found by its packets alone. */
export function besideStation(station: Station, command: readonly string[]): readonly string[] {
  return inNamespace(station.netns, command)
}
