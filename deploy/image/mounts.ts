/** What of the node the daemon's container sees: the one list, which the chart is compared with and the image's test uses. */

export interface HostMount {
  /** Of the volume. */
  readonly name: string
  readonly hostPath: string
  /** In the container; the host's path unless given. */
  readonly mountPath?: string
  readonly readOnly?: boolean
  /** What is mounted below it on the node later, the container sees too (mountPropagation: HostToContainer). */
  readonly follows?: boolean
  /** The node may lack it (hostPath type DirectoryOrCreate). */
  readonly create?: boolean
}

/** Of the daemon. `causeway install` needs `cni-bin` alone, and that writable. */
export const HOST_MOUNTS: readonly HostMount[] = [
  { name: 'run', hostPath: '/run/causeway', create: true },
  { name: 'state', hostPath: '/var/lib/causeway', create: true },
  { name: 'cni-conf', hostPath: '/etc/cni/net.d', create: true },
  // What manages the node's links is told to leave those alone whose addresses pods have.
  { name: 'networkd', hostPath: '/run/systemd/network', create: true },
  { name: 'network-manager', hostPath: '/run/NetworkManager/conf.d', create: true },
  // Chained plugins are asked which versions they speak.
  { name: 'cni-bin', hostPath: '/opt/cni/bin', readOnly: true, create: true },
  { name: 'bpffs', hostPath: '/sys/fs/bpf', follows: true },
  // Where runtimes mount pods' network namespaces; /var/run in the image leads here.
  { name: 'netns', hostPath: '/run/netns', follows: true, create: true },
  // The container's own is another one, and runtimes give it a read-only /proc/sys.
  {
    name: 'cgroup',
    hostPath: '/sys/fs/cgroup',
    mountPath: '/host/sys/fs/cgroup',
    readOnly: true,
    follows: true,
    create: true,
  },
  { name: 'sysctl', hostPath: '/proc/sys/net', mountPath: '/host/proc/sys/net' },
]

/** Keys of the configuration that go with them, as variables of the environment. */
export const CONTAINER_ENVIRONMENT: Readonly<Record<string, string>> = {
  CAUSEWAY_PATHS__CGROUP: '/host/sys/fs/cgroup',
  CAUSEWAY_PATHS__SYSCTL: '/host/proc/sys',
}
