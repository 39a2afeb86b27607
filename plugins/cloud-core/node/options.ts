/** The configuration of addresses from a cloud, which daemon and operator read alike: checked, with every error naming the key. */
import * as z from 'zod/mini'
import { ConfigError, DEFAULT_POOL } from '../../../daemon/plugin.ts'
import type { LabelSelector } from '../../../daemon/state/egress-rows.ts'
import { shownAt } from '../../pool-core/options.ts'

/** What the daemon of a node goes by. */
export interface NodeOptions {
  /** How long a released address is not given again. */
  readonly cooldownMs: number
  /** How long a block must have been unused before the cloud may have it back. */
  readonly releaseDelayMs: number
  /** Interfaces of a machine below this index are not for pods. */
  readonly firstInterface: number
  /** Pool of another plugin for pods that allow it, where the cloud has nothing left; empty: none. */
  readonly fallbackPool: string
  /** Pods allow it unless they or their namespace say otherwise. */
  readonly fallbackForAll: boolean
}

/** Things of a cloud, by their ids, or all that bear these tags. Both empty: those of the machine. */
export interface Choice {
  readonly ids: readonly string[]
  readonly tags: Readonly<Record<string, string>>
}

/** What holds for the nodes of a class instead. */
export interface NodeClass {
  readonly nodeSelector: LabelSelector
  readonly subnets?: Choice
  /** AWS only. */
  readonly securityGroups?: Choice
  /** AWS only: the role that the operator takes on for these nodes, of their account. */
  readonly roleArn?: string
  /** AWS only: what that role asks of whoever takes it on (sts:ExternalId). */
  readonly externalId?: string
}

/** What the operator goes by, besides. */
export interface CloudOptions extends NodeOptions {
  /** Free addresses that a node is to have beyond what its pods have or wait for. */
  readonly preAllocate: number
  /** Addresses that a node has at least. */
  readonly min: number
  /** Free addresses beyond the target before some are given back. */
  readonly maxAbove: number
  /** Blocks of several addresses where machine and subnet can. */
  readonly prefixes: boolean
  readonly subnets: Choice
  readonly securityGroups: Choice
  /** The first that selects a node counts. */
  readonly classes: readonly NodeClass[]
  /** URL of the cloud's API in place of its own; empty: its own. */
  readonly endpoint: string
  /** AWS only: where interfaces are looked for whose nodes are all gone; empty: nowhere. */
  readonly region: string
}

const choice = z.strictObject({
  ids: z.optional(z.array(z.string().check(z.minLength(1)))),
  tags: z.optional(z.record(z.string(), z.string())),
})
const requirement = z.strictObject({
  key: z.string().check(z.minLength(1)),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
  values: z.optional(z.array(z.string())),
})
const nodeSelector = z.strictObject({
  matchLabels: z.optional(z.record(z.string(), z.string())),
  matchExpressions: z.optional(z.array(requirement)),
})
const whole = (least: number, most: number) => z.optional(z.int().check(z.gte(least), z.lte(most)))

const COMMON = {
  preAllocate: whole(0, 1024),
  min: whole(0, 4096),
  maxAbove: whole(0, 4096),
  releaseDelaySeconds: whole(0, 86_400),
  cooldownSeconds: whole(0, 3600),
  firstInterface: whole(0, 64),
  prefixes: z.optional(z.boolean()),
  subnets: z.optional(choice),
  fallbackPool: z.optional(z.string().check(z.regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/))),
  fallbackForAll: z.optional(z.boolean()),
  endpoint: z.optional(z.string().check(z.regex(/^(https?:\/\/\S+)?$/))),
}
const CLASS = { nodeSelector: z.optional(nodeSelector), subnets: z.optional(choice) }
/** Keys that only AWS has. */
const AWS = {
  securityGroups: z.optional(choice),
  region: z.optional(z.string().check(z.regex(/^([a-z]{2}(-[a-z]+)+-\d)?$/))),
}
const AWS_CLASS = {
  ...CLASS,
  securityGroups: z.optional(choice),
  externalId: z.optional(z.string().check(z.regex(/^[\w+=,.@:/-]{2,1224}$/))),
  roleArn: z.optional(z.string().check(z.regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/\S+$/))),
}

const plain = z.strictObject({ ...COMMON, classes: z.optional(z.array(z.strictObject(CLASS))) })
const aws = z.strictObject({ ...COMMON, ...AWS, classes: z.optional(z.array(z.strictObject(AWS_CLASS))) })
type Section = z.infer<typeof aws>
type Selector = z.infer<typeof nodeSelector>

/** What is allowed, by the last word of a key. */
const ALLOWED: Readonly<Record<string, string>> = {
  '': 'a group of keys',
  preAllocate: 'a whole number from 0 to 1024',
  min: 'a whole number from 0 to 4096',
  maxAbove: 'a whole number from 0 to 4096',
  releaseDelaySeconds: 'a whole number from 0 to 86400',
  cooldownSeconds: 'a whole number from 0 to 3600',
  firstInterface: 'a whole number from 0 to 64',
  prefixes: 'true or false',
  subnets: 'a group with the keys ids and tags',
  securityGroups: 'a group with the keys ids and tags',
  ids: 'a list of ids, which are texts',
  tags: 'a group whose members are texts',
  fallbackPool: 'the name of a pool of another plugin, or nothing',
  fallbackForAll: 'true or false',
  endpoint: 'a URL such as http://127.0.0.1:5000, or nothing',
  classes: 'a list of groups with the key nodeSelector and what holds for these nodes',
  nodeSelector: 'a label selector with matchLabels and matchExpressions',
  matchLabels: 'a group whose members are texts',
  matchExpressions: 'a list of groups with the keys key, operator and values',
  key: 'the name of a label',
  operator: 'In, NotIn, Exists or DoesNotExist',
  values: 'a list of texts',
  region: 'the name of a region such as eu-west-1, or nothing',
  externalId: 'a text of 2 to 1224 characters, as IAM has it',
  roleArn: 'the ARN of a role such as arn:aws:iam::123456789012:role/causeway',
}

/** Checks the section of that name; throws ConfigError. Nothing given means the defaults. */
export function parseCloudOptions(section: 'aws-eni' | 'azure' | 'gcp', raw: unknown): CloudOptions {
  const result = (section === 'aws-eni' ? aws : plain).safeParse(raw ?? {})
  if (!result.success) throw errorOf(section, raw, result.error.issues[0])
  const read: Section = result.data
  if (read.fallbackPool === DEFAULT_POOL)
    throw new ConfigError(
      `${section}.fallbackPool`,
      `'${DEFAULT_POOL}' is this plugin's own pool; allowed: ${ALLOWED.fallbackPool}`,
    )
  if (read.fallbackForAll === true && (read.fallbackPool ?? '') === '')
    throw new ConfigError(`${section}.fallbackForAll`, 'there is no fallbackPool; allowed: false, or a fallbackPool')
  return {
    preAllocate: read.preAllocate ?? 8,
    min: read.min ?? 0,
    maxAbove: read.maxAbove ?? 16,
    releaseDelayMs: (read.releaseDelaySeconds ?? 180) * 1000,
    cooldownMs: (read.cooldownSeconds ?? 30) * 1000,
    firstInterface: read.firstInterface ?? 0,
    prefixes: read.prefixes ?? true,
    subnets: choiceOf(read.subnets),
    securityGroups: choiceOf(read.securityGroups),
    fallbackPool: read.fallbackPool ?? '',
    fallbackForAll: read.fallbackForAll ?? false,
    endpoint: read.endpoint ?? '',
    region: read.region ?? '',
    classes: (read.classes ?? []).map(each => ({
      nodeSelector: selectorOf(each.nodeSelector),
      ...(each.subnets && { subnets: choiceOf(each.subnets) }),
      ...(each.securityGroups && { securityGroups: choiceOf(each.securityGroups) }),
      ...(each.roleArn !== undefined && { roleArn: each.roleArn }),
      ...(each.externalId !== undefined && { externalId: each.externalId }),
    })),
  }
}

function choiceOf(read: z.infer<typeof choice> | undefined): Choice {
  return { ids: read?.ids ?? [], tags: read?.tags ?? {} }
}

/** Absent selects every node. */
function selectorOf(read: Selector | undefined): LabelSelector {
  return {
    matchLabels: read?.matchLabels ?? {},
    matchExpressions: (read?.matchExpressions ?? []).map(each => ({ ...each, values: each.values ?? [] })),
  }
}

function errorOf(section: string, raw: unknown, issue: z.core.$ZodIssue | undefined): ConfigError {
  const path = issue?.path ?? []
  const key = [section, ...path].join('.')
  if (issue?.code === 'unrecognized_keys')
    return new ConfigError(`${key}.${issue.keys[0]}`, `unknown key; known here: ${known(section, path).join(', ')}`)
  const words = path.filter(part => typeof part === 'string' && part in ALLOWED)
  return new ConfigError(key, `${shownAt(raw, path)} is not allowed; allowed: ${ALLOWED[String(words.at(-1) ?? '')]}`)
}

/** Keys of the group at a path. */
function known(section: string, path: readonly PropertyKey[]): string[] {
  const last = path.findLast(part => typeof part === 'string')
  switch (last) {
    case undefined:
      return Object.keys(section === 'aws-eni' ? { ...COMMON, ...AWS, classes: 0 } : { ...COMMON, classes: 0 })
    case 'classes':
      return Object.keys(section === 'aws-eni' ? AWS_CLASS : CLASS)
    case 'nodeSelector':
      return ['matchLabels', 'matchExpressions']
    case 'matchExpressions':
      return ['key', 'operator', 'values']
    default:
      return ['ids', 'tags']
  }
}
