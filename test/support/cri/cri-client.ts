/** A container runtime as kubelet sees it: the Container Runtime Interface (runtime.v1) over a unix socket. */
import { join } from 'node:path'
import { Client, credentials, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Address } from '../../../daemon/kernel/kernel.ts'
import { containerConfig, type ContainerSpec, type PodSpec, sandboxConfig } from './cri-configs.ts'

export type { ContainerSpec, PodSpec, PortMapping } from './cri-configs.ts'

export type ContainerState = 'CONTAINER_CREATED' | 'CONTAINER_RUNNING' | 'CONTAINER_EXITED' | 'CONTAINER_UNKNOWN'

export interface SandboxStatus {
  readonly state: 'SANDBOX_READY' | 'SANDBOX_NOTREADY'
  /** The pod's addresses, the one that the runtime takes for the pod's own first. */
  readonly addresses: readonly Address[]
  /** Of the sandbox's network namespace; empty once that is closed. */
  readonly netns: string
}

export interface ExecResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface Condition {
  readonly type: string
  readonly status: boolean
  readonly reason: string
  readonly message: string
}

const PROTO = join(import.meta.dirname, 'cri.proto')
/** kubelet's is 2 min, and 4 min for RunPodSandbox. */
const DEADLINE_MS = 60_000

/** All calls reject with a ServiceError of gRPC: `code`, and the runtime's words in `details`. */
export class CriClient implements Disposable {
  readonly #client: Client
  readonly #runtime: ServiceDefinition
  readonly #images: ServiceDefinition

  constructor(socketPath: string) {
    const services = loadSync(PROTO, { defaults: true, enums: String, longs: Number })
    this.#runtime = services['runtime.v1.RuntimeService'] as ServiceDefinition
    this.#images = services['runtime.v1.ImageService'] as ServiceDefinition
    this.#client = new Client(`unix:${socketPath}`, credentials.createInsecure())
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  /** The version that the runtime names. */
  async version(deadlineMs: number = DEADLINE_MS): Promise<string> {
    const answer = await this.#call<{ readonly runtimeVersion: string }>('Version', {}, deadlineMs)
    return answer.runtimeVersion
  }

  /** RuntimeReady and NetworkReady. */
  async conditions(): Promise<readonly Condition[]> {
    const answer = await this.#call<{ readonly status: { readonly conditions: readonly Condition[] } }>('Status', {})
    return answer.status.conditions
  }

  async hasImage(image: string): Promise<boolean> {
    const answer = await this.#call<{ readonly image: object | null }>('ImageStatus', { image: { image } })
    return answer.image !== null
  }

  /** Resolves to the sandbox's id. */
  async runSandbox(pod: PodSpec): Promise<string> {
    const answer = await this.#call<{ readonly podSandboxId: string }>('RunPodSandbox', { config: sandboxConfig(pod) })
    return answer.podSandboxId
  }
  async stopSandbox(podSandboxId: string): Promise<void> {
    await this.#call('StopPodSandbox', { podSandboxId })
  }
  async removeSandbox(podSandboxId: string): Promise<void> {
    await this.#call('RemovePodSandbox', { podSandboxId })
  }

  async sandboxStatus(podSandboxId: string): Promise<SandboxStatus> {
    const { status, info } = await this.#call<{
      readonly status: Pick<SandboxStatus, 'state'> & {
        readonly network: { readonly ip: string; readonly additionalIps: readonly { readonly ip: string }[] } | null
      }
      readonly info: Readonly<Record<string, string>>
    }>('PodSandboxStatus', { podSandboxId, verbose: true })
    const ips = [status.network?.ip ?? '', ...(status.network?.additionalIps ?? []).map(a => a.ip)]
    return { state: status.state, addresses: ips.filter(ip => ip !== ''), netns: netnsOf(info['info'] ?? '{}') }
  }

  /** Ids of all sandboxes by state. */
  async listSandboxes(): Promise<readonly { readonly id: string; readonly state: SandboxStatus['state'] }[]> {
    const answer = await this.#call<{ readonly items: Awaited<ReturnType<CriClient['listSandboxes']>> }>(
      'ListPodSandbox',
      {},
    )
    return answer.items
  }

  /** Creates and starts a container; resolves to its id. */
  async startContainer(podSandboxId: string, pod: PodSpec, container: ContainerSpec): Promise<string> {
    const { containerId } = await this.#call<{ readonly containerId: string }>('CreateContainer', {
      podSandboxId,
      config: containerConfig(pod, container),
      sandboxConfig: sandboxConfig(pod),
    })
    await this.#call('StartContainer', { containerId })
    return containerId
  }

  /** Sends SIGTERM, and SIGKILL after so many seconds; resolves when the container has ended. */
  async stopContainer(containerId: string, timeout: number): Promise<void> {
    await this.#call('StopContainer', { containerId, timeout })
  }
  async removeContainer(containerId: string): Promise<void> {
    await this.#call('RemoveContainer', { containerId })
  }
  async containerStatus(containerId: string): Promise<{ readonly state: ContainerState; readonly exitCode: number }> {
    const { status } = await this.#call<{
      readonly status: { readonly state: ContainerState; readonly exitCode: number }
    }>('ContainerStatus', { containerId })
    return status
  }

  async exec(containerId: string, command: readonly string[]): Promise<ExecResult> {
    const timeout = DEADLINE_MS / 1000
    const { stdout, stderr, exitCode } = await this.#call<{
      readonly stdout: Buffer
      readonly stderr: Buffer
      readonly exitCode: number
    }>('ExecSync', { containerId, cmd: command, timeout })
    return { status: exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
  }

  /** `Answer` is what cri.proto says of the method, the one place where the two could part. */
  #call<Answer>(name: string, request: object, deadlineMs: number = DEADLINE_MS): Promise<Answer> {
    const method = this.#runtime[name] ?? this.#images[name]
    if (method === undefined) throw new Error(`cri.proto has no method ${name}`)
    const { path, requestSerialize, responseDeserialize } = method
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, answer: Answer | undefined): void => {
        if (error !== null || answer === undefined) reject(error ?? new Error(`${name} was not answered`))
        else resolve(answer)
      }
      const deadline = Date.now() + deadlineMs
      this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline }, done)
    })
  }
}

/** containerd's verbose status is JSON with the sandbox's OCI specification in it. */
function netnsOf(info: string): string {
  const { runtimeSpec } = JSON.parse(info) as {
    readonly runtimeSpec?: { readonly linux?: { readonly namespaces?: readonly { type: string; path?: string }[] } }
  }
  return runtimeSpec?.linux?.namespaces?.find(n => n.type === 'network')?.path ?? ''
}
