/** Pods and containers as the Container Runtime Interface describes them, from what a test says of them. */

export interface PortMapping {
  readonly protocol?: 'TCP' | 'UDP'
  readonly containerPort: number
  readonly hostPort: number
}

/** What kubelet says of a pod; `attempt` tells sandboxes of one pod apart. */
export interface PodSpec {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly attempt?: number
  readonly portMappings?: readonly PortMapping[]
  /** In the node's own network namespace, as pods with hostNetwork are. */
  readonly hostNetwork?: boolean
}

export interface ContainerSpec {
  readonly name: string
  readonly image: string
  /** Takes the place of the image's entrypoint. */
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly mounts?: readonly ContainerMount[]
  readonly security?: ContainerSecurity
}

export interface ContainerMount {
  readonly path: string
  /** On the node. */
  readonly from: string
  readonly readonly?: boolean
  /** What is mounted below it on the node later, the container sees too. */
  readonly follows?: boolean
}

/** As a pod's securityContext; without it a container has the runtime's usual capabilities. */
export interface ContainerSecurity {
  /** All that it has, without `CAP_`. */
  readonly capabilities: readonly string[]
  /** Of the node: path of a seccomp profile. */
  readonly seccomp?: string
}

/** A sandbox, for RunPodSandbox. */
export function sandboxConfig(pod: PodSpec): object {
  const { namespace, name, uid, attempt = 0, portMappings = [], hostNetwork = false } = pod
  return {
    metadata: { namespace, name, uid, attempt },
    // The node's own is not to be changed.
    hostname: hostNetwork ? '' : name,
    logDirectory: `/var/log/pods/${namespace}_${name}_${uid}`,
    portMappings,
    linux: { securityContext: { namespaceOptions: namespacesOf(pod) } },
  }
}

/** A container in it, for CreateContainer. */
export function containerConfig(pod: PodSpec, container: ContainerSpec): object {
  const { name, image, command = [], args = [], env = {}, mounts = [], security } = container
  return {
    metadata: { name },
    image: { image },
    command,
    args,
    logPath: `${name}.log`,
    envs: Object.entries(env).map(([key, value]) => ({ key, value })),
    mounts: mounts.map(({ path, from, readonly = false, follows = false }) => ({
      containerPath: path,
      hostPath: from,
      readonly,
      propagation: follows ? 'PROPAGATION_HOST_TO_CONTAINER' : 'PROPAGATION_PRIVATE',
    })),
    linux: { securityContext: { namespaceOptions: namespacesOf(pod), ...(security && confine(security)) } },
  }
}

function namespacesOf({ hostNetwork = false }: PodSpec): object {
  return { network: hostNetwork ? 'NODE' : 'POD', pid: 'CONTAINER', ipc: 'POD' }
}

/** What kubelet keeps from containers that are not privileged (kubernetes, pkg/securitycontext/util.go). */
const MASKED = ['acpi', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi']
const READONLY = ['asound', 'bus', 'fs', 'irq', 'sys', 'sysrq-trigger']

/** With readOnlyRootFilesystem and without allowPrivilegeEscalation. */
function confine({ capabilities, seccomp }: ContainerSecurity): object {
  return {
    capabilities: { dropCapabilities: ['ALL'], addCapabilities: capabilities },
    readonlyRootfs: true,
    noNewPrivs: true,
    maskedPaths: [...MASKED.map(name => `/proc/${name}`), '/sys/firmware'],
    readonlyPaths: READONLY.map(name => `/proc/${name}`),
    ...(seccomp === undefined ? {} : { seccomp: { profileType: 'Localhost', localhostRef: seccomp } }),
  }
}
