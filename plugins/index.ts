/** The project's plugins in the order in which they start; one is enabled by its section in the configuration. */
import type { Plugin } from '../daemon/plugin.ts'
import { awsEni } from './aws-eni/plugin.ts'
import { azure } from './azure/plugin.ts'
import { clusterPool } from './cluster-pool/plugin.ts'
import { egressGateway } from './egress-gateway/plugin.ts'
import { gcp } from './gcp/plugin.ts'
import { masquerade } from './masquerade/plugin.ts'
import { nodeCidr } from './node-cidr/plugin.ts'

export const plugins: readonly Plugin[] = [clusterPool, nodeCidr, awsEni, azure, gcp, masquerade, egressGateway]
