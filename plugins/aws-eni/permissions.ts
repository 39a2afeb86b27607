/** The IAM policy that the operator needs, made of the table of calls that the provider makes. Pure. */
import { APIS, type Scope } from './provider-apis.ts'
import { TAGS } from './provider-tags.ts'

/** What the policy is for: with a cluster's name it covers that cluster's interfaces alone. */
export interface PolicyFor {
  readonly cluster?: string
  /** Roles of other accounts, as the node classes name them. */
  readonly roleArns?: readonly string[]
}

export interface Statement {
  readonly Sid: string
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: string | readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** Where a role is taken on, which is no call of EC2. */
export const ASSUME_ROLE = 'AssumeRole'
const NICS = 'arn:*:ec2:*:*:network-interface/*'

/** The policy as IAM takes it, with a line end. */
export function awsPermissions(of: PolicyFor = {}): string {
  return `${JSON.stringify({ Version: '2012-10-17', Statement: statements(of) }, undefined, 2)}\n`
}

export function statements({ cluster = '*', roleArns = [] }: PolicyFor): Statement[] {
  const own = { StringLike: { [`aws:ResourceTag/${TAGS.cluster}`]: cluster } }
  const tagged = { StringLike: { [`aws:RequestTag/${TAGS.cluster}`]: cluster } }
  const made = { StringEquals: { 'ec2:CreateAction': APIS.create.name } }
  const parts: Statement[] = [
    { ...allow('CausewayRead', actionsOf('read')), Resource: '*' },
    { ...allow('CausewayAddresses', actionsOf('addresses')), Resource: NICS },
    { ...allow('CausewayCreate', actionsOf('create')), Resource: NICS, Condition: tagged },
    { ...allow('CausewayCreateIn', actionsOf('create')), Resource: ['subnet', 'security-group'].map(anyOf) },
    { ...allow('CausewayTagWhatIsCreated', ['ec2:CreateTags']), Resource: NICS, Condition: made },
    { ...allow('CausewayAttachment', actionsOf('attachment')), Resource: NICS, Condition: own },
    { ...allow('CausewayAttachmentTo', actionsOf('attachment')), Resource: anyOf('instance') },
    { ...allow('CausewayDelete', actionsOf('own')), Resource: NICS, Condition: own },
  ]
  if (roleArns.length > 0) parts.push({ ...allow('CausewayOtherAccounts', [`sts:${ASSUME_ROLE}`]), Resource: roleArns })
  return parts
}

/** The statements that allow a call of that name, as one line of JSON: for who was denied it. */
export function statementsFor(api: string, of: PolicyFor): string {
  const action = api === ASSUME_ROLE ? `sts:${api}` : `ec2:${api}`
  const needed = statements(of).filter(
    statement => statement.Action.includes(action) || (api === APIS.create.name && statement.Sid.includes('Tag')),
  )
  return needed
    .map(statement => JSON.stringify(statement.Action.length > 1 ? { ...statement, Action: [action] } : statement))
    .join(', ')
}

function allow(sid: string, actions: readonly string[]) {
  return { Sid: sid, Effect: 'Allow', Action: actions } as const
}

function actionsOf(scope: Scope): string[] {
  return Object.values(APIS)
    .filter(api => api.scope === scope)
    .map(({ name }) => `ec2:${name}`)
    .sort()
}

function anyOf(resource: string): string {
  return `arn:*:ec2:*:*:${resource}/*`
}
