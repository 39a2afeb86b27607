/** The port to a cloud. An implementation makes each call once; what becomes of a failed one is decided by the caller. */
import type { Call, CallKind, Failure, FailureKind, Limits, Reply, SeenNic, SeenSubnet, SubnetId } from './model.ts'

/** A machine of the cluster, as its Node names it (spec.providerID) and its labels tell. */
export interface Machine {
  /** Of its Node. */
  readonly node: string
  /** EC2 `i-…`, an Azure resource id, `project/zone/name` of Google. */
  readonly id: string
  readonly type: string
  readonly zone: string
}

/** Rate of a cloud's budget: it fills by `perSecond` up to `burst`. */
export interface Rate {
  readonly burst: number
  readonly perSecond: number
}

/** Calls that the cloud counts together. */
export interface Budget {
  /** As the cloud calls it, such as `AssignPrivateIpAddresses`. */
  readonly name: string
  readonly rate: Rate
}

export interface CloudProvider {
  readonly name: 'aws' | 'azure' | 'gcp'
  /** Whose budget a call, or a sweep, is paid from. Pure. */
  budget(kind: CallKind | 'sweep'): Budget
  /** What a machine can hold; throws CloudFailure. Answers are kept by the implementation, which may ask once a type. */
  limits(machine: Machine, signal: AbortSignal): Promise<Limits>
  /** Throws CloudFailure. */
  call(machine: Machine, call: Call, signal: AbortSignal): Promise<Reply>
  /** All interfaces that this project's tags or the machines name, and the subnets that it may use; throws CloudFailure. */
  sweep(machines: readonly Machine[], signal: AbortSignal): Promise<Sweep>
  /**
   * Which of the subnets with `forNics` that the last sweep has shown new interfaces of that machine may be in, where node
   * classes have different ones; without it all of its zone. Pure.
   */
  choices?(machine: Machine): readonly SubnetId[]
  /** Lets go of what it holds; no call is made afterwards. */
  close?(): Promise<void>
}

export interface Sweep {
  readonly nics: readonly SeenNic[]
  readonly subnets: readonly SeenSubnet[]
  /** Machines that were looked at, by their ids: of others nothing is known. Without it all of them. */
  readonly machines?: readonly string[]
  /** What the configuration names and the cloud does not have, or does not show, for people. */
  readonly missing?: readonly string[]
}

/** A call that the cloud did not carry out, or may not have. */
export class CloudFailure extends Error {
  override readonly name = 'CloudFailure'
  readonly code = 'CLOUD_FAILURE'
  readonly kind: FailureKind
  readonly retryAfterMs: number

  constructor(kind: FailureKind, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.kind = kind
    this.retryAfterMs = options.retryAfterMs ?? 0
  }

  get failure(): Failure {
    return { kind: this.kind, message: this.message, retryAfterMs: this.retryAfterMs }
  }
}
