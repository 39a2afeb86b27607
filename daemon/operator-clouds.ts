/** Which cloud the operator gives addresses of, by the sections of its configuration. */
import { awsSetup } from '../plugins/aws-eni/operator-setup.ts'
import { azureSetup } from '../plugins/azure/operator-setup.ts'
import type { CloudSetup, SetupInput } from '../plugins/cloud-core/setup.ts'
import { gcpSetup } from '../plugins/gcp/operator-setup.ts'
import type { Config } from './config/load.ts'
import { familiesOf } from './config/schema.ts'
import { ConfigError } from './errors.ts'

const SETUPS: Readonly<Record<string, (input: SetupInput) => CloudSetup>> = {
  'aws-eni': awsSetup,
  azure: azureSetup,
  gcp: gcpSetup,
}

/** Of the cloud whose plugin is enabled; made anew for each term. Undefined where none is. Throws ConfigError. */
export function cloudOf({
  cluster,
  sections,
  families,
}: Pick<Config, 'cluster' | 'sections' | 'families'>): (() => CloudSetup) | undefined {
  const enabled = Object.keys(SETUPS).filter(name => name in sections)
  const [name, other] = enabled
  if (other !== undefined)
    throw new ConfigError(other, `${enabled.join(' and ')} are enabled, and a cluster has the addresses of one cloud`)
  const setup = SETUPS[name ?? '']
  if (name === undefined || setup === undefined) return undefined
  const input = { section: sections[name], cluster: cluster.name, families: familiesOf({ families }) }
  // What is wrong with it is said at start, also by one that does not lead.
  void setup(input).provider.close?.()
  return () => setup(input)
}
