import { SystemError } from '../errors.ts'
import type { NetRequest } from '../kernel.ts'
import { errnoName } from '../sys.ts'

/** A request the kernel refused: SystemError plus what was asked for and what the kernel said about it. */
export class NetlinkError extends SystemError {
  override readonly name = 'NetlinkError'
  /** The change that failed; undefined for dumps and look-ups. */
  readonly request: NetRequest | undefined
  /** The kernel's extended ACK, empty when it gave none. */
  readonly kernelText: string
  constructor(attempt: string, errno: number, kernelText = '', request?: NetRequest) {
    super(attempt, errno, errnoName(errno), kernelText)
    this.request = request
    this.kernelText = kernelText
  }
}
