/** Where the unified cgroup hierarchy (version 2) is mounted: `/sys/fs/cgroup`, or below it beside version 1. */
import { readFileSync } from 'node:fs'

/** The first mount point that /proc/self/mounts names (cgroups(7)); undefined where there is none. */
export function cgroupMount(): string | undefined {
  return /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/self/mounts', 'utf8'))?.[1]
}
