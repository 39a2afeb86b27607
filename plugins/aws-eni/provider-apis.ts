/**
 * Every call of EC2 that the provider makes: its name, as it is counted and permitted, and how the SDK makes it. The policy
 * that `permissions.ts` prints is made of this table, and a call that is not in it cannot be made.
 */
import type {
  AssignIpv6AddressesCommandInput,
  AssignPrivateIpAddressesCommandInput,
  AttachNetworkInterfaceCommandInput,
  CreateNetworkInterfaceCommandInput,
  DeleteNetworkInterfaceCommandInput,
  DescribeInstanceTypesCommandInput,
  DescribeNetworkInterfacesCommandInput,
  DescribeSecurityGroupsCommandInput,
  DescribeSubnetsCommandInput,
  DetachNetworkInterfaceCommandInput,
  EC2Client,
  GetSubnetCidrReservationsCommandInput,
  ModifyNetworkInterfaceAttributeCommandInput,
  UnassignIpv6AddressesCommandInput,
  UnassignPrivateIpAddressesCommandInput,
} from '@aws-sdk/client-ec2'
import type { CallKind } from '../cloud-core/model.ts'
import type { Budget, Rate } from '../cloud-core/provider.ts'

export type AwsSdk = typeof import('./sdk.ts')

/** Where in the policy a call is: with others on the same resources under the same condition. */
export type Scope = 'read' | 'create' | 'addresses' | 'attachment' | 'own'

export interface Api<Input, Output> {
  readonly name: string
  readonly scope: Scope
  readonly send: (sdk: AwsSdk, client: EC2Client, input: Input, options: Options) => Promise<Output>
}
interface Options {
  readonly abortSignal: AbortSignal
}

export const APIS = {
  describeNics: {
    name: 'DescribeNetworkInterfaces',
    scope: 'read',
    send: (sdk, client, input: DescribeNetworkInterfacesCommandInput, options: Options) =>
      client.send(new sdk.DescribeNetworkInterfacesCommand(input), options),
  },
  describeTypes: {
    name: 'DescribeInstanceTypes',
    scope: 'read',
    send: (sdk, client, input: DescribeInstanceTypesCommandInput, options: Options) =>
      client.send(new sdk.DescribeInstanceTypesCommand(input), options),
  },
  describeSubnets: {
    name: 'DescribeSubnets',
    scope: 'read',
    send: (sdk, client, input: DescribeSubnetsCommandInput, options: Options) =>
      client.send(new sdk.DescribeSubnetsCommand(input), options),
  },
  subnetReservations: {
    name: 'GetSubnetCidrReservations',
    scope: 'read',
    send: (sdk, client, input: GetSubnetCidrReservationsCommandInput, options: Options) =>
      client.send(new sdk.GetSubnetCidrReservationsCommand(input), options),
  },
  describeGroups: {
    name: 'DescribeSecurityGroups',
    scope: 'read',
    send: (sdk, client, input: DescribeSecurityGroupsCommandInput, options: Options) =>
      client.send(new sdk.DescribeSecurityGroupsCommand(input), options),
  },
  assign: {
    name: 'AssignPrivateIpAddresses',
    scope: 'addresses',
    send: (sdk, client, input: AssignPrivateIpAddressesCommandInput, options: Options) =>
      client.send(new sdk.AssignPrivateIpAddressesCommand(input), options),
  },
  assign6: {
    name: 'AssignIpv6Addresses',
    scope: 'addresses',
    send: (sdk, client, input: AssignIpv6AddressesCommandInput, options: Options) =>
      client.send(new sdk.AssignIpv6AddressesCommand(input), options),
  },
  unassign: {
    name: 'UnassignPrivateIpAddresses',
    scope: 'addresses',
    send: (sdk, client, input: UnassignPrivateIpAddressesCommandInput, options: Options) =>
      client.send(new sdk.UnassignPrivateIpAddressesCommand(input), options),
  },
  unassign6: {
    name: 'UnassignIpv6Addresses',
    scope: 'addresses',
    send: (sdk, client, input: UnassignIpv6AddressesCommandInput, options: Options) =>
      client.send(new sdk.UnassignIpv6AddressesCommand(input), options),
  },
  create: {
    name: 'CreateNetworkInterface',
    scope: 'create',
    send: (sdk, client, input: CreateNetworkInterfaceCommandInput, options: Options) =>
      client.send(new sdk.CreateNetworkInterfaceCommand(input), options),
  },
  attach: {
    name: 'AttachNetworkInterface',
    scope: 'attachment',
    send: (sdk, client, input: AttachNetworkInterfaceCommandInput, options: Options) =>
      client.send(new sdk.AttachNetworkInterfaceCommand(input), options),
  },
  modify: {
    name: 'ModifyNetworkInterfaceAttribute',
    scope: 'attachment',
    send: (sdk, client, input: ModifyNetworkInterfaceAttributeCommandInput, options: Options) =>
      client.send(new sdk.ModifyNetworkInterfaceAttributeCommand(input), options),
  },
  detach: {
    name: 'DetachNetworkInterface',
    scope: 'attachment',
    send: (sdk, client, input: DetachNetworkInterfaceCommandInput, options: Options) =>
      client.send(new sdk.DetachNetworkInterfaceCommand(input), options),
  },
  delete: {
    name: 'DeleteNetworkInterface',
    scope: 'own',
    send: (sdk, client, input: DeleteNetworkInterfaceCommandInput, options: Options) =>
      client.send(new sdk.DeleteNetworkInterfaceCommand(input), options),
  },
} as const satisfies Record<string, Api<never, unknown>>

/** EC2 counts each call by itself, in each account and region. */
const WRITING: Rate = { burst: 50, perSecond: 5 }
const READING: Rate = { burst: 100, perSecond: 20 }

export const BUDGETS: Readonly<Record<CallKind | 'sweep', Budget>> = {
  assign: { name: APIS.assign.name, rate: WRITING },
  release: { name: APIS.unassign.name, rate: WRITING },
  create: { name: APIS.create.name, rate: WRITING },
  attach: { name: APIS.attach.name, rate: WRITING },
  protect: { name: APIS.modify.name, rate: WRITING },
  detach: { name: APIS.detach.name, rate: WRITING },
  delete: { name: APIS.delete.name, rate: WRITING },
  /** EC2 has no such call: nothing is ever paid from it. */
  write: { name: 'none', rate: WRITING },
  observe: { name: APIS.describeNics.name, rate: READING },
  sweep: { name: APIS.describeNics.name, rate: READING },
}
