/** Names of Google's resources: `project/zone/name` of a machine, that and `/nic0` of an interface, `project/region/name` of a subnet. Pure. */

export interface GcpMachine {
  readonly project: string
  readonly zone: string
  readonly name: string
}

export interface GcpSubnet {
  readonly project: string
  readonly region: string
  readonly name: string
}

/** Undefined of what is no id of a machine. A project of a company begins with its domain and a colon. */
export function machineIn(id: string): GcpMachine | undefined {
  const [, project, zone, name] = /^([a-z0-9.:-]+)\/([a-z0-9-]+)\/([a-z0-9-]+)$/.exec(id) ?? []
  return project === undefined || zone === undefined || name === undefined ? undefined : { project, zone, name }
}

/** By the URL that the API names it by, whatever its host and version; undefined of anything else. */
export function subnetIn(url: string): GcpSubnet | undefined {
  const [, project, region, name] = /projects\/([^/]+)\/regions\/([^/]+)\/subnetworks\/([^/]+)$/.exec(url) ?? []
  return project === undefined || region === undefined || name === undefined ? undefined : { project, region, name }
}

export function subnetId({ project, region, name }: GcpSubnet): string {
  return `${project}/${region}/${name}`
}
