/**
 * Codes of CNI errors the daemon answers with: those of the specification (CNI 1.1.0, "Error"), and our own. Listed for
 * people in cni/README.md; 100 to 109 are the executable's.
 */
import type { PoolErrorCode } from '../errors.ts'
import type { AttachmentErrorCode, DifferenceKind } from '../endpoint/errors.ts'

export const CNI_CODES = {
  invalidEnvironment: 4,
  io: 5,
  invalidConfiguration: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  /** CHECK: this node knows no such attachment. */
  attachmentUnknown: 110,
  /** CHECK: the namespace is gone or another. */
  namespaceDiffers: 111,
  /** CHECK: the pod's interface is gone or has another MAC, MTU or other end. */
  interfaceDiffers: 112,
  addressDiffers: 113,
  routeDiffers: 114,
  /** CHECK: the device on the node, its routes or neighbours. */
  hostSideDiffers: 115,
  /** CHECK: the device is not bound to the shared filter blocks. */
  blockDiffers: 116,
  /** CHECK: the datapath's map lacks the pod. */
  mapDiffers: 117,
  /** CHECK: an address belongs to a pool that is no longer configured. */
  leaseDiffers: 118,
  /** CHECK: prevResult and what ADD answered are not the same. */
  prevResultDiffers: 119,
  /** ADD: CNI_IFNAME exists already in the namespace. */
  interfaceExists: 120,
  /** ADD: the address asked for is held by another pod. */
  addressInUse: 121,
  /** GC went on past failures; details list them. */
  gcIncomplete: 122,
  /** The kernel refused a change; details give its words. */
  kernelRefused: 123,
  /** A mistake of the daemon; details are for a report. */
  internal: 124,
} as const

export type CniCode = (typeof CNI_CODES)[keyof typeof CNI_CODES]

const byError: Readonly<Record<Exclude<AttachmentErrorCode, 'DIFFERS'>, CniCode>> = {
  BAD_REQUEST: CNI_CODES.invalidConfiguration,
  BAD_NETNS: CNI_CODES.invalidEnvironment,
  INTERFACE_EXISTS: CNI_CODES.interfaceExists,
  NO_ADDRESS: CNI_CODES.tryAgainLater,
  DEADLINE: CNI_CODES.tryAgainLater,
  CANCELLED: CNI_CODES.tryAgainLater,
  STOPPING: CNI_CODES.tryAgainLater,
  STARTING: CNI_CODES.tryAgainLater,
  NOT_SETTLED: CNI_CODES.tryAgainLater,
  KERNEL: CNI_CODES.kernelRefused,
  JOURNAL: CNI_CODES.io,
  NOT_AVAILABLE: CNI_CODES.notAvailable,
  GC_INCOMPLETE: CNI_CODES.gcIncomplete,
}

const byDifference: Readonly<Record<DifferenceKind, CniCode>> = {
  attachment: CNI_CODES.attachmentUnknown,
  namespace: CNI_CODES.namespaceDiffers,
  interface: CNI_CODES.interfaceDiffers,
  address: CNI_CODES.addressDiffers,
  route: CNI_CODES.routeDiffers,
  'host-side': CNI_CODES.hostSideDiffers,
  block: CNI_CODES.blockDiffers,
  map: CNI_CODES.mapDiffers,
  lease: CNI_CODES.leaseDiffers,
  'prev-result': CNI_CODES.prevResultDiffers,
}

const byPool: Readonly<Record<PoolErrorCode, CniCode>> = {
  POOL_EXHAUSTED: CNI_CODES.tryAgainLater,
  ADDRESS_IN_USE: CNI_CODES.addressInUse,
  ADDRESS_NOT_IN_POOL: CNI_CODES.invalidConfiguration,
  UNKNOWN_POOL: CNI_CODES.invalidConfiguration,
}

/** What the server refuses before a handler is asked; see ApiError. */
const byRequest: Readonly<Record<string, CniCode>> = {
  BAD_JSON: CNI_CODES.invalidConfiguration,
  BODY_TOO_LARGE: CNI_CODES.io,
  HANG_UP: CNI_CODES.tryAgainLater,
}

export function codeOfDifference(kind: DifferenceKind): CniCode {
  return byDifference[kind]
}

/** The CNI code for a stable error code; `internal` for one that is not foreseen. */
export function codeOfError(code: string | undefined): CniCode {
  const table: Readonly<Record<string, CniCode>> = { ...byRequest, ...byPool, ...byError }
  return table[code ?? ''] ?? CNI_CODES.internal
}
