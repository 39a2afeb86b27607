/** For tests: EC2's answers as it writes them (EC2 API reference, examples of each call), and a provider that asks a server. */
import { serveWire, type Wire, type WireRequest, type WireServer } from '../../../test/support/wire-server.ts'
import type { Machine } from '../../cloud-core/provider.ts'
import { AwsProvider } from '../provider.ts'
import type { NodeClass } from '../provider-sweep.ts'

export const MACHINE: Machine = { node: 'n1', id: 'i-0aaa', type: 'm5.large', zone: 'eu-west-1a' }

export const CLASS: NodeClass = {
  name: '',
  roleArn: '',
  externalId: '',
  subnets: { ids: [], tags: {} },
  securityGroups: { ids: [], tags: {} },
}

/** The SDK looks for them before it looks anywhere else. */
export const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
}

export type Form = Readonly<Record<string, string>>
/** Answers by name of the call. */
export type Answers = Readonly<Record<string, (form: Form, request: WireRequest) => Wire>>

export interface TestCloud extends AsyncDisposable {
  readonly provider: AwsProvider
  readonly server: WireServer
  /** Forms that were sent, without version and page size. */
  readonly forms: () => Form[]
}

export async function serveEc2(
  answers: Answers,
  options: { readonly classes?: readonly NodeClass[]; readonly timeoutMs?: number; readonly region?: string } = {},
): Promise<TestCloud> {
  Object.assign(process.env, CREDENTIALS)
  const server = await serveWire(request => {
    const form = formOf(request)
    const answer = answers[form['Action'] ?? '']
    return answer?.(form, request) ?? errorAnswer('InvalidAction', `no answer for ${form['Action']}`)
  })
  const { classes = [CLASS], timeoutMs = 5000, region = '' } = options
  const provider = new AwsProvider({
    cluster: 'c1',
    region,
    classes,
    classOf: ({ node }) => classes.find(({ name }) => name === node) ?? classes[0] ?? CLASS,
    endpoint: server.url,
    timeoutMs,
  })
  return {
    provider,
    server,
    forms: () => server.requests.map(formOf).map(({ Version: _version, MaxResults: _size, ...form }) => form),
    async [Symbol.asyncDispose]() {
      await provider.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

function formOf({ body }: WireRequest): Form {
  return Object.fromEntries(new URLSearchParams(body))
}

export function answer(call: string, body: string): Wire {
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<${call}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>7a62c49f-347e-4fc4-9331-6e8eEXAMPLE</requestId>
  ${body}
</${call}Response>`
  return { headers: { 'content-type': 'text/xml;charset=UTF-8' }, body: text }
}

export const returnTrue = (call: string) => () => answer(call, '<return>true</return>')

/** EC2 answers what it does not do with status 400, and throttling with 503. */
export function errorAnswer(
  code: string,
  message = `words of ${code}`,
  status = code === 'RequestLimitExceeded' ? 503 : 400,
): Wire {
  const body = `<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>`
  return { status, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body }
}

export interface NicXml {
  readonly id: string
  readonly subnet?: string
  readonly status?: string
  readonly address: string
  readonly secondaries?: readonly string[]
  readonly prefixes?: readonly string[]
  readonly prefixes6?: readonly string[]
  readonly tags?: Readonly<Record<string, string>>
  readonly groups?: readonly string[]
  readonly type?: string
  readonly attachment?: {
    readonly machine: string
    readonly index: number
    readonly status?: string
    readonly card?: number
    readonly deleted?: boolean
  }
}

const list = (name: string, items: readonly string[]): string =>
  items.length === 0 ? `<${name}/>` : `<${name}>${items.map(item => `<item>${item}</item>`).join('')}</${name}>`

/** The elements of an interface. */
export function nicXml(nic: NicXml): string {
  const { id, subnet = 'subnet-1', attachment: at, tags = {}, groups = ['sg-1'] } = nic
  const addresses = [nic.address, ...(nic.secondaries ?? [])].map(
    (address, n) => `<privateIpAddress>${address}</privateIpAddress><primary>${n === 0}</primary>`,
  )
  const attachment =
    at &&
    `<attachment><attachmentId>${id.replace('eni', 'eni-attach')}</attachmentId><instanceId>${at.machine}</instanceId>
    <instanceOwnerId>111122223333</instanceOwnerId><deviceIndex>${at.index}</deviceIndex>
    <networkCardIndex>${at.card ?? 0}</networkCardIndex><status>${at.status ?? 'attached'}</status>
    <attachTime>2024-07-01T21:45:27.000Z</attachTime>
    <deleteOnTermination>${at.deleted ?? true}</deleteOnTermination></attachment>`
  return `<networkInterfaceId>${id}</networkInterfaceId><subnetId>${subnet}</subnetId><vpcId>vpc-1</vpcId>
    <availabilityZone>eu-west-1a</availabilityZone><description/><ownerId>111122223333</ownerId>
    <requesterManaged>false</requesterManaged><status>${nic.status ?? (at ? 'in-use' : 'available')}</status>
    <macAddress>02:74:B0:72:79:61</macAddress><privateIpAddress>${nic.address}</privateIpAddress>
    <sourceDestCheck>true</sourceDestCheck><interfaceType>${nic.type ?? 'interface'}</interfaceType>
    ${list(
      'groupSet',
      groups.map(group => `<groupId>${group}</groupId><groupName>g</groupName>`),
    )}
    ${attachment ?? ''}
    ${list(
      'tagSet',
      Object.entries(tags).map(([key, value]) => `<key>${key}</key><value>${value}</value>`),
    )}
    ${list('privateIpAddressesSet', addresses)}
    ${list(
      'ipv4PrefixSet',
      (nic.prefixes ?? []).map(prefix => `<ipv4Prefix>${prefix}</ipv4Prefix>`),
    )}
    <ipv6AddressesSet/>
    ${list(
      'ipv6PrefixSet',
      (nic.prefixes6 ?? []).map(prefix => `<ipv6Prefix>${prefix}</ipv6Prefix>`),
    )}`
}

/** The tags of an interface that this project made for n1. */
export const OWN = { 'causeway.dev/cluster': 'c1', 'causeway.dev/node': 'n1', 'causeway.dev/token': 't1' }

export function nicsAnswer(nics: readonly NicXml[], nextToken = ''): Wire {
  const next = nextToken === '' ? '' : `<nextToken>${nextToken}</nextToken>`
  return answer('DescribeNetworkInterfaces', `${list('networkInterfaceSet', nics.map(nicXml))}${next}`)
}

export function subnetsAnswer(
  subnets: readonly { readonly id: string; readonly cidr?: string; readonly free: number; readonly cidr6?: string }[],
): Wire {
  const items = subnets.map(
    ({ id, cidr = '10.0.0.0/24', free, cidr6 }) =>
      `<subnetId>${id}</subnetId><state>available</state><vpcId>vpc-1</vpcId><cidrBlock>${cidr}</cidrBlock>
    ${list(
      'ipv6CidrBlockAssociationSet',
      cidr6 === undefined
        ? []
        : [
            `<ipv6CidrBlock>${cidr6}</ipv6CidrBlock><associationId>subnet-cidr-assoc-1</associationId>
      <ipv6CidrBlockState><state>associated</state></ipv6CidrBlockState>`,
          ],
    )}
    <availableIpAddressCount>${free}</availableIpAddressCount><availabilityZone>eu-west-1a</availabilityZone>`,
  )
  return answer('DescribeSubnets', list('subnetSet', items))
}

export function groupsAnswer(groups: readonly { readonly id: string; readonly vpc: string }[]): Wire {
  const items = groups.map(({ id, vpc }) => `<groupId>${id}</groupId><groupName>g</groupName><vpcId>${vpc}</vpcId>`)
  return answer('DescribeSecurityGroups', list('securityGroupInfo', items))
}

/** Filters of a request, `name=value,value`. */
export function filtersOf(form: Form): string {
  const filters: string[] = []
  for (let n = 1; form[`Filter.${n}.Name`] !== undefined; n++) {
    const values: string[] = []
    for (let v = 1; form[`Filter.${n}.Value.${v}`] !== undefined; v++) values.push(form[`Filter.${n}.Value.${v}`] ?? '')
    filters.push(`${form[`Filter.${n}.Name`]}=${values.join(',')}`)
  }
  return filters.join(' ')
}
