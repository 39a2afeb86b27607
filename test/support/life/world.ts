/**
 * What the life test needs of a node: pods come and go through it, the daemon is killed and started, and all that exists
 * can be looked at. One implementation is in memory, the other runs the real daemon and executable on a real kernel.
 */
import type { Step } from '../../../daemon/endpoint/steps.ts'

/** What a verb ended in. */
export type Answer =
  | { readonly outcome: 'ok'; readonly addresses: readonly string[] }
  /** A CNI error. */
  | { readonly outcome: 'refused'; readonly code: number; readonly text: string }
  /** The daemon died before it answered. */
  | { readonly outcome: 'died' }
  /** There was no daemon: the executable kept the DEL on disk. */
  | { readonly outcome: 'queued' }

/** Everything that can be left over. Devices are host sides; the anchor and the overlay are not listed. */
export interface Observation {
  readonly devices: readonly { readonly name: string; readonly index: number }[]
  readonly leases: readonly { readonly address: string; readonly owner: string }[]
  /** Entries of the eBPF map `endpoints` that stand for pods. */
  readonly map: readonly { readonly address: string; readonly index: number }[]
  readonly routes: readonly { readonly address: string; readonly index: number }[]
  readonly neighbours: readonly { readonly address: string; readonly index: number }[]
  /** Whatever else is not as it was before the first pod, in words. */
  readonly leftovers: readonly string[]
}

export interface World extends AsyncDisposable {
  /** Whether a daemon serves. */
  readonly alive: boolean
  /** Makes the pod's namespace if it has none, then ADD. */
  add(pod: string): Promise<Answer>
  del(pod: string): Promise<Answer>
  check(pod: string): Promise<Answer>
  gc(valid: readonly string[]): Promise<Answer>
  /** The pod dies without a DEL. */
  removeNamespace(pod: string): Promise<void>
  /** SIGKILL now. */
  kill(): Promise<void>
  /** SIGKILL after so many moments: milliseconds on a real kernel, turns of the event loop in memory. */
  killAfter(moments: number): void
  /** The daemon is to die at the n-th passing of that step from now; it may be restarted for that. */
  dieAt(step: Step, nth: number): Promise<void>
  /** The kernel is to refuse the n-th request from now; where a world cannot do that, nothing happens. */
  refuseAt(nth: number): void
  /** Takes `dieAt`, `killAfter` and `refuseAt` back. */
  disarm(): Promise<void>
  /**
   * Starts the daemon; a living one is ended first. If so wished, the new one dies at that step of its start, or is killed
   * after so many moments.
   */
  restart(dieAt?: Step | number): Promise<void>
  /** Resolves when nothing is under way that would change an observation. */
  settle(): Promise<void>
  observe(): Promise<Observation>
  /** Why a pod cannot be reached on its addresses; undefined when it can. */
  reach(pod: string, addresses: readonly string[]): Promise<string | undefined>
}

/** Attachment key of a pod of the life test. */
export function keyOf(pod: string): string {
  return `causeway/${pod}/eth0`
}
