/** The control plane of a test's lab in its Kubernetes form: what its API server holds, and the lives of its processes. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ApiClient, type Response } from '../../deploy/lab/api-server/client.ts'
import type { JsonObject } from '../../deploy/lab/api-server/objects/json.ts'
import { isRunning, type Process, processesIn, procFile, send } from '../../deploy/lab/namespaces.ts'
import {
  type ControlPlane,
  controlPlaneOf,
  operatorConfig,
  type OperatorName,
  OPERATORS,
  startApiServer,
  startOperator,
} from '../../deploy/lab/kubernetes/control-plane.ts'
import { inNamespace, runCommand } from '../../deploy/lab/command.ts'
import type { Built } from '../../deploy/lab/node.ts'
import type { Lab } from '../../deploy/lab/state.ts'
import { eventually } from './eventually.ts'

const ENDED_MS = 15_000
const STARTED_MS = 30_000
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/causeway-operator'
const OWN = '/apis/causeway.dev/v1alpha1'

export interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}
export interface Event {
  readonly reason: string
  readonly message: string
  readonly type: string
}

/** The lab that it belongs to. */
export interface PlaneOf {
  readonly lab: Pick<Lab, 'layout'>
  readonly built: Pick<Built, 'daemon'>
}

/** Ends its own connections when it is disposed of; the processes are the lab's. */
export class TestControlPlane implements AsyncDisposable {
  readonly admin: ApiClient
  readonly #cluster: PlaneOf
  readonly #plane: ControlPlane

  constructor(cluster: PlaneOf) {
    this.#cluster = cluster
    this.#plane = controlPlaneOf(cluster.lab.layout)
    const { url, socket } = this.#plane
    this.admin = new ApiClient({ url, socket, ca: this.#read('ca.crt'), token: this.#read('admin-token') })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin[Symbol.asyncDispose]()
  }

  /** An object by its path; undefined when it is not there. */
  async find(path: string): Promise<JsonObject | undefined> {
    const { status, json, text } = await this.admin.get(path)
    if (status === 404) return undefined
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`)
    return json
  }
  /** The same of one that must be there. */
  async get(path: string): Promise<JsonObject> {
    return (await this.find(path)) ?? Promise.reject(new Error(`there is no ${path}`))
  }
  node(name: string): Promise<JsonObject> {
    return this.get(`/api/v1/nodes/${name}`)
  }
  /** Makes an object of the own kinds. */
  async createOwn(plural: string, kind: string, name: string, spec: object): Promise<void> {
    const object = { apiVersion: 'causeway.dev/v1alpha1', kind, metadata: { name }, spec }
    succeeded(await this.admin.create(`${OWN}/${plural}`, object))
  }
  async deleteOwn(plural: string, name: string): Promise<void> {
    succeeded(await this.admin.delete(`${OWN}/${plural}/${name}`))
  }

  /** Pod ranges that the operator gave a node; none while it has none. */
  async rangesOf(node: string): Promise<readonly string[]> {
    const network = await this.find(`${OWN}/nodenetworks/${node}`)
    return (network?.['spec'] as { readonly podCidrs?: readonly string[] } | undefined)?.podCidrs ?? []
  }
  /** Resolves to a node's ranges once it has one of each family. */
  async givenTo(node: string, timeoutMs = 10_000): Promise<readonly string[]> {
    let ranges: readonly string[] = []
    await eventually(async () => (ranges = await this.rangesOf(node)).length === 2, { timeoutMs })
    return ranges
  }
  /** All ranges of all nodes. */
  async allRanges(): Promise<readonly string[]> {
    const { items } = (await this.get(`${OWN}/nodenetworks`)) as {
      readonly items?: readonly { readonly spec?: { readonly podCidrs?: readonly string[] } }[]
    }
    return (items ?? []).flatMap(({ spec }) => spec?.podCidrs ?? [])
  }

  /** A condition of an object of the own kinds. */
  async condition(plural: string, name: string, type: string): Promise<Condition | undefined> {
    const object = await this.find(`${OWN}/${plural}/${name}`)
    return conditionsOf(object).find(each => each.type === type)
  }
  /** Events on objects of a kind and name, in any namespace. */
  async events(kind: string, name: string): Promise<readonly Event[]> {
    const { items = [] } = (await this.get('/api/v1/events')) as {
      readonly items?: readonly (Event & {
        readonly involvedObject: { readonly kind: string; readonly name: string }
      })[]
    }
    return items.filter(({ involvedObject: of }) => of.kind === kind && of.name === name)
  }

  /** From now on, for so long, the API server accepts connections and never answers; those there were are cut. */
  async halfOpen(forMs: number): Promise<void> {
    const watching = this.admin.watch('/api/v1/namespaces?watch=true')
    await watching.next()
    succeeded(await this.admin.create('/faults', { kind: 'half-open', forMs, cut: true }))
    const ended = (async () => {
      for await (const _event of watching);
    })()
    // It begins a moment after it has been promised, and cuts this watch, too.
    await ended.catch(() => undefined)
  }

  /** The API server's end; what it holds it has again when it starts. */
  async stopServer(): Promise<void> {
    await this.#end('SIGTERM', 'api-server/main.ts')
  }
  /** `more`: options of its command. */
  async startServer(more: readonly string[] = []): Promise<void> {
    await startApiServer(this.#cluster.lab.layout, AbortSignal.timeout(STARTED_MS), more)
  }

  /** Name of the operator that leads by the API server's word; undefined while none does. */
  async leader(): Promise<OperatorName | undefined> {
    const lease = (await this.find(LEASE)) as { readonly spec?: { readonly holderIdentity?: string } } | undefined
    const holder = lease?.spec?.holderIdentity ?? ''
    if (holder === '') return undefined
    return OPERATORS.find(name => this.#read(`${name}.log`).includes(`"identity":"${holder}"`))
  }
  async endOperator(name: OperatorName, signal: NodeJS.Signals): Promise<void> {
    await this.#end(signal, operatorConfig(this.#cluster.lab.layout, name))
  }
  /** Resolves once it can be ended; it leads when it is its turn. */
  async startOperator(name: OperatorName): Promise<void> {
    const { lab, built } = this.#cluster
    startOperator(lab.layout, name, built)
    await eventually(() => this.#processes(operatorConfig(lab.layout, name)).length > 0)
  }
  /** What an operator says of itself. */
  async operatorStatus(name: OperatorName): Promise<JsonObject> {
    const url = `http://127.0.0.1:${9963 + OPERATORS.indexOf(name)}/v1/status`
    const ask = `process.stdout.write(await (await fetch('${url}')).text())`
    const command = [process.execPath, '--input-type=module', '--eval', ask]
    const { status, stdout, stderr } = await runCommand(inNamespace(this.#cluster.lab.layout.control.netns, command))
    if (status !== 0) throw new Error(stderr)
    return JSON.parse(stdout) as JsonObject
  }

  async #end(signal: NodeJS.Signals, argument: string): Promise<void> {
    const processes = this.#processes(argument)
    if (processes.length === 0) throw new Error(`nothing runs with ${argument}`)
    send(signal, processes)
    await eventually(() => !processes.some(isRunning), { timeoutMs: ENDED_MS })
  }

  #processes(argument: string): Process[] {
    const { netnsPrefix, control } = this.#cluster.lab.layout
    return processesIn([`${netnsPrefix}${control.name}`]).filter(({ pid }) =>
      procFile(pid, 'cmdline').some(each => each.endsWith(argument)),
    )
  }

  #read(file: string): string {
    return readFileSync(join(this.#plane.state, file), 'utf8').trim()
  }
}

/** Conditions in the status of any object. */
export function conditionsOf(object: JsonObject | undefined): readonly Condition[] {
  const { status } = Object(object) as { readonly status?: { readonly conditions?: readonly Condition[] } }
  return status?.conditions ?? []
}

export function succeeded({ status, text }: Response): void {
  if (status >= 300) throw new Error(`the API server answers ${status}: ${text}`)
}
