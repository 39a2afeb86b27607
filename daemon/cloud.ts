/**
 * Which cloud this machine is of, without asking anybody: by the configuration, else by `Node.spec.providerID`, else by
 * what the firmware says of the machine (DMI; Linux, /sys/class/dmi/id).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cloud, NodeRow } from './state/tables.ts'

export interface CloudFinding {
  readonly cloud: Cloud | 'none'
  /** For people. */
  readonly by: 'cloud in the configuration' | 'Node.spec.providerID' | 'DMI' | 'no sign of one'
}

/** What is asked of the machine's firmware; empty where it does not say. */
export interface Dmi {
  readonly sys_vendor: string
  readonly product_name: string
  readonly product_version: string
  readonly bios_version: string
  readonly chassis_asset_tag: string
}

const DMI_DIRECTORY = '/sys/class/dmi/id'
/** Azure's own, which other machines of Hyper-V do not have (cloud-init, tools/ds-identify). */
const AZURE_ASSET_TAG = '7783-7084-3265-9085-8269-3286-77'

export function findCloud(
  configured: 'auto' | Cloud | 'none',
  node: Pick<NodeRow, 'provider'> | undefined,
  machine: Cloud | undefined,
): CloudFinding {
  if (configured !== 'auto') return { cloud: configured, by: 'cloud in the configuration' }
  if (node?.provider !== undefined) return { cloud: node.provider, by: 'Node.spec.providerID' }
  return machine === undefined ? { cloud: 'none', by: 'no sign of one' } : { cloud: machine, by: 'DMI' }
}

/** The cloud whose machine this is by its firmware. A container on it sees the same. */
export function machineCloud(directory: string = DMI_DIRECTORY): Cloud | undefined {
  return cloudOfDmi({
    sys_vendor: read(directory, 'sys_vendor'),
    product_name: read(directory, 'product_name'),
    product_version: read(directory, 'product_version'),
    bios_version: read(directory, 'bios_version'),
    chassis_asset_tag: read(directory, 'chassis_asset_tag'),
  })
}

/**
 * EC2: the vendor, or on Xen the version of the firmware, such as `4.11.amazon` (AWS, "Detect whether a host is an EC2
 * instance"). Google: the product, which older ones call `Google` (cloud-init, tools/ds-identify); its laptops have the
 * same vendor. Pure; exported for its test.
 */
export function cloudOfDmi(dmi: Dmi): Cloud | undefined {
  const xen = dmi.sys_vendor === 'Xen' && [dmi.product_version, dmi.bios_version].some(v => /amazon/i.test(v))
  if (dmi.sys_vendor === 'Amazon EC2' || xen) return 'aws'
  if (dmi.chassis_asset_tag === AZURE_ASSET_TAG) return 'azure'
  const google = dmi.product_name === 'Google Compute Engine' || dmi.product_name === 'Google'
  return google && dmi.sys_vendor === 'Google' ? 'gcp' : undefined
}

/** Machines without DMI have no such file. */
function read(directory: string, name: keyof Dmi): string {
  try {
    return readFileSync(join(directory, name), 'utf8').trim()
  } catch {
    return ''
  }
}
