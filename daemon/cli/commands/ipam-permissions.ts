/** `causeway ipam permissions`: what the operator must be allowed in an account of a cloud, printed from the table of its calls. */
import { parse } from 'yaml'
import { type CommandSpec, formatOption, UsageError } from '../command.ts'
import { print } from '../output.ts'
import type { PermissionsFor } from '../programs.ts'

const NAME = 'ipam permissions'
const CLOUDS = ['aws', 'azure', 'gcp'] as const

export const ipamPermissions: CommandSpec = {
  name: NAME,
  summary: 'Print the least that the operator must be allowed in an account of a cloud, to give its addresses to pods.',
  about:
    'For aws the policy document of IAM (aws iam create-policy --policy-document), for azure a role definition (az role ' +
    'definition create --role-definition), for gcp a custom role (gcloud iam roles create --file).',
  options: {
    cloud: { type: 'string', value: 'CLOUD', choices: CLOUDS, about: 'Which one; needed.' },
    cluster: {
      type: 'string',
      value: 'NAME',
      about: 'Only what bears the name of this cluster (`cluster.name`) may be attached, detached and deleted; aws.',
    },
    role: {
      type: 'string',
      value: 'ARN',
      multiple: true,
      about: 'A role of another account that a node class names; aws; may be repeated.',
    },
    scope: {
      type: 'string',
      value: 'SCOPE',
      multiple: true,
      about: 'A subscription or resource group, such as /subscriptions/ID; azure; may be repeated.',
    },
    ...formatOption,
  },
  async run(context) {
    const { options, programs, format, out } = context
    const cloud = CLOUDS.find(each => each === options.text('cloud'))
    if (cloud === undefined) throw new UsageError(`--cloud is needed; allowed: ${CLOUDS.join(', ')}`, NAME)
    const cluster = options.text('cluster')
    const foreign = OF[cloud].find(option => options.texts(option).length > 0 || options.text(option) !== undefined)
    if (foreign !== undefined) throw new UsageError(`--${foreign} means nothing to ${cloud}`, NAME)
    const of: PermissionsFor = {
      ...(cluster !== undefined && { cluster }),
      roleArns: options.texts('role'),
      scopes: options.texts('scope'),
    }
    const text = await programs.permissions(cloud, of)
    if (format === 'table') out(text)
    else print<unknown>(context, parse(text), () => text)
    return 0
  },
}

/** Options that are not for a cloud. */
const OF: Readonly<Record<(typeof CLOUDS)[number], readonly string[]>> = {
  aws: ['scope'],
  azure: ['cluster', 'role'],
  gcp: ['cluster', 'role', 'scope'],
}
