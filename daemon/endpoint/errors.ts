/** What can go wrong with a pod's interface, each with the stable code that api/cni-codes.ts maps to a CNI code. */
import { CausewayError } from '../errors.ts'

export type AttachmentErrorCode =
  /** The request itself cannot be served: the message names the field. */
  | 'BAD_REQUEST'
  /** CNI_NETNS names no network namespace, or the node's own. */
  | 'BAD_NETNS'
  /** CNI_IFNAME exists in the pod's namespace and is not ours. */
  | 'INTERFACE_EXISTS'
  /** No address became free before the deadline. */
  | 'NO_ADDRESS'
  /** The deadline passed while waiting for something else; the message says for what. */
  | 'DEADLINE'
  /** The caller or a DEL ended the request; everything was undone. */
  | 'CANCELLED'
  /** The daemon is stopping and undid what was begun; who asks again finds the next one. */
  | 'STOPPING'
  /** The daemon is starting; the message says what it waits for. */
  | 'STARTING'
  /** The datapath did not take, or not forget, the pod. */
  | 'NOT_SETTLED'
  /** The kernel refused a change. */
  | 'KERNEL'
  /** The journal could not be written. */
  | 'JOURNAL'
  /** The daemon cannot serve an ADD now. */
  | 'NOT_AVAILABLE'
  /** GC left something behind; `cause` is an AggregateError. */
  | 'GC_INCOMPLETE'
  /** CHECK: reality differs from what ADD answered; see `Difference`. */
  | 'DIFFERS'

export class AttachmentError extends CausewayError {
  declare readonly code: AttachmentErrorCode
  constructor(code: AttachmentErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}

/** What CHECK compares. */
export type DifferenceKind =
  | 'attachment'
  | 'namespace'
  | 'interface'
  | 'address'
  | 'route'
  | 'host-side'
  | 'block'
  | 'map'
  | 'lease'
  | 'prev-result'

/** One thing that is not as ADD left it. */
export interface Difference {
  readonly what: DifferenceKind
  readonly message: string
}

/** CHECK found differences; the first decides the CNI code. */
export class AttachmentDiffers extends AttachmentError {
  readonly differences: readonly Difference[]
  constructor(key: string, differences: readonly Difference[]) {
    super('DIFFERS', `${key}: ${differences.map(d => d.message).join('; ')}`)
    this.differences = differences
  }
}

/** The kernel refused something; says what was attempted and keeps the refusal as cause. */
export function kernelError(attempt: string, cause: unknown): AttachmentError {
  return cause instanceof AttachmentError ? cause : new AttachmentError('KERNEL', attempt, { cause })
}

/** Why a wait ended early: the signal's reason itself when it is one of ours, else the deadline or the caller. */
export function endOfWait(what: string, reason: unknown): AttachmentError {
  if (reason instanceof AttachmentError) return reason
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new AttachmentError('DEADLINE', `the deadline passed while waiting for ${what}`)
  }
  const code = codeOf(reason) === 'STOPPING' ? 'STOPPING' : 'CANCELLED'
  return new AttachmentError(code, `waiting for ${what} was given up`, { cause: reason })
}

/** errno name or stable code of an error, undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
