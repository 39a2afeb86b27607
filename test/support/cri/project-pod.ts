/** The project's own pod on a node, from its image and as the DaemonSet has it: `install` first, then the daemon. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CAPABILITIES } from '../../../daemon/capabilities.ts'
import { CONTAINER_ENVIRONMENT, HOST_MOUNTS } from '../../../deploy/image/mounts.ts'
import { hierarchies } from '../../../deploy/lab/cgroup.ts'
import type { LabLayout } from '../../../deploy/lab/layout.ts'
import { eventually } from '../eventually.ts'
import { CONTAINERD_FILES } from './containerd-config.ts'
import type { Containerd } from './containerd.ts'
import type { ContainerMount, ContainerSecurity, PodSpec } from './cri-configs.ts'

export interface Ended {
  readonly status: number
  /** All that it wrote, in lines of the Container Runtime Interface without their beginning. */
  readonly log: string
}

export class ProjectPod implements AsyncDisposable {
  readonly #runtime: Containerd
  readonly #lab: LabLayout
  readonly #image: string
  readonly #seccomp: string | undefined
  readonly #spec: PodSpec
  #sandbox = ''
  #containers = 0

  private constructor(runtime: Containerd, lab: LabLayout, options: ProjectPodOptions) {
    this.#runtime = runtime
    this.#lab = lab
    this.#image = options.image
    this.#seccomp = options.seccomp
    this.#spec = { namespace: 'kube-system', name: 'causeway', uid: 'uid-of-causeway', hostNetwork: true }
  }

  static async start(runtime: Containerd, lab: LabLayout, options: ProjectPodOptions): Promise<ProjectPod> {
    const pod = new ProjectPod(runtime, lab, options)
    pod.#sandbox = await runtime.cri.runSandbox(pod.#spec)
    return pod
  }

  /** Runs one command to its end, with the daemon's rights. */
  async run(args: readonly string[]): Promise<Ended> {
    const { id, log } = await this.#launch(args, this.mounts())
    return await this.#ended(id, log)
  }

  /** The init step. */
  async install(): Promise<Ended> {
    const { cniBin } = this.#runtime.node.paths
    const { id, log } = await this.#launch(['install', '--cni-bin', cniBin], [{ path: cniBin, from: cniBin }], [])
    return await this.#ended(id, log)
  }

  /** Starts the daemon; the container's id, and what it has logged so far. */
  async daemon(): Promise<{ readonly id: string; readonly log: () => string }> {
    const { id, log } = await this.#launch(['daemon'], this.mounts())
    return { id, log: () => linesOf(log) }
  }

  /** All that the daemon's container sees of the node, by the lab's paths. */
  mounts(): ContainerMount[] {
    const { node, system } = this.#runtime
    const unified = hierarchies().find(h => h.version === 2)?.path ?? ''
    const places: Readonly<Record<string, string>> = {
      run: node.paths.run,
      state: node.paths.state,
      'cni-conf': node.paths.cniConf,
      'cni-bin': node.paths.cniBin,
      networkd: node.paths.networkd,
      'network-manager': node.paths.networkManager,
      bpffs: node.bpffs,
      netns: join(system.folder, CONTAINERD_FILES.netns),
      cgroup: unified,
    }
    const of = HOST_MOUNTS.map(({ name, hostPath, mountPath, readOnly = false, follows = false }) => {
      const from = places[name] ?? hostPath
      // This machine's hierarchy is mounted long since, and privately where no systemd made it shared.
      return { path: mountPath ?? from, from, readonly: readOnly, follows: follows && name !== 'cgroup' }
    })
    const { cluster } = this.#lab
    return [
      ...of,
      { path: '/etc/causeway/config.yaml', from: node.config, readonly: true },
      { path: cluster, from: cluster, readonly: true },
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.cri.stopSandbox(this.#sandbox)
    await this.#runtime.cri.removeSandbox(this.#sandbox)
  }

  async #launch(
    args: readonly string[],
    mounts: readonly ContainerMount[],
    capabilities: readonly string[] = CAPABILITIES.map(c => c.name),
  ): Promise<{ readonly id: string; readonly log: string }> {
    const name = `${args[0]}-${++this.#containers}`
    const seccomp = this.#seccomp
    const security: ContainerSecurity = { capabilities, ...(seccomp === undefined ? {} : { seccomp }) }
    const container = { name, image: this.#image, args, mounts, env: CONTAINER_ENVIRONMENT, security }
    const id = await this.#runtime.cri.startContainer(this.#sandbox, this.#spec, container)
    return { id, log: this.#runtime.system.path(`/var/log/pods/kube-system_causeway_uid-of-causeway/${name}.log`) }
  }

  async #ended(id: string, log: string): Promise<Ended> {
    const { cri } = this.#runtime
    await eventually(async () => (await cri.containerStatus(id)).state === 'CONTAINER_EXITED', { timeoutMs: 30_000 })
    return { status: (await cri.containerStatus(id)).exitCode, log: linesOf(log) }
  }
}

export interface ProjectPodOptions {
  readonly image: string
  /** On the node: path of a seccomp profile. */
  readonly seccomp?: string
}

/** Each line of the log begins with time, stream and tag (CRI logging). */
function linesOf(log: string): string {
  return readFileSync(log, 'utf8').replace(/^\S+ std(?:out|err) [FP] /gm, '')
}
