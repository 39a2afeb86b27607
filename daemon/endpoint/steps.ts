/**
 * The steps of ADD and DEL, in order. Each name stands for the boundary after that step: a daemon killed "at" it has
 * done the step and nothing of the next. Fault injection and the duration metrics use the same names.
 */

export const ADD_STEPS = [
  /** The request was checked and the key's turn has come. */
  'add.begin',
  /** What an earlier try of this key left is gone. */
  'add.clean',
  /** Addresses are leased (in memory only). */
  'add.address',
  /** The pair exists, is bound to the blocks, and the host side is routed. */
  'add.device',
  /** The pod's side carries its addresses and routes. */
  'add.pod',
  /** The row is in table `endpoints`. */
  'add.row',
  /** The datapath knows the pod. */
  'add.settled',
  /** The attachment is in the journal, durably. */
  'add.journal',
] as const

export const DEL_STEPS = [
  /** The key's turn has come. */
  'del.begin',
  /** The row is gone from table `endpoints` and the datapath has forgotten the pod. */
  'del.row',
  /** The device is gone, and with it its routes, neighbours and block bindings. */
  'del.device',
  /** The journal says so. */
  'del.journal',
  /** The addresses cool down. */
  'del.address',
] as const

export type AddStep = (typeof ADD_STEPS)[number]
export type DelStep = (typeof DEL_STEPS)[number]
export type Step = AddStep | DelStep

/** Called at each boundary; whatever it throws ends the operation as a crash would in tests. */
export type Fault = (step: Step) => void
