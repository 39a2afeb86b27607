/** Ids of Azure's resources, which are alike whatever the case of their letters: here they are in small ones. Pure. */

/** A machine by the parts of its id. */
export interface AzureMachine {
  readonly subscription: string
  readonly group: string
  /** Of an instance of a scale set; empty for a machine of its own. */
  readonly scaleSet: string
  /** Name, or number within the scale set. */
  readonly name: string
}

const MACHINE =
  /^\/subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/providers\/microsoft\.compute\/(?:virtualmachinescalesets\/([^/]+)\/)?virtualmachines\/([^/]+)$/

/** Undefined of what is no id of a machine. */
export function machineIn(id: string): AzureMachine | undefined {
  const [, subscription, group, scaleSet = '', name] = MACHINE.exec(id.toLowerCase()) ?? []
  return subscription === undefined || group === undefined || name === undefined
    ? undefined
    : { subscription, group, scaleSet, name }
}

/** A resource of the network by the parts of its id. */
export interface NetworkResource {
  readonly subscription: string
  readonly group: string
  readonly name: string
}

/** Undefined of what is no network interface of its own: those of scale sets have other ids. */
export function nicIn(id: string): NetworkResource | undefined {
  return networkResource(
    /^\/subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/providers\/microsoft\.network\/networkinterfaces\/([^/]+)$/,
    id,
  )
}

/** The virtual network that a subnet is of; undefined of what is no id of a subnet. */
export function networkOf(subnet: string): NetworkResource | undefined {
  return networkResource(
    /^\/subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/providers\/microsoft\.network\/virtualnetworks\/([^/]+)\/subnets\/[^/]+$/,
    subnet,
  )
}

function networkResource(form: RegExp, id: string): NetworkResource | undefined {
  const [, subscription, group, name] = form.exec(id.toLowerCase()) ?? []
  return subscription === undefined || group === undefined || name === undefined
    ? undefined
    : { subscription, group, name }
}
