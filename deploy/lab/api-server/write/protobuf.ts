/**
 * Bodies in Kubernetes' protobuf, which kubectl sends for the kinds it makes by itself (`create namespace`, `create
 * configmap`, `auth can-i` …). Only those are read, by the field numbers of the `generated.proto` files in k8s.io/api and
 * k8s.io/apimachinery; answers are always JSON, which every client takes.
 */
import { asText, type Json, type JsonObject } from '../objects/json.ts'
import { unsupportedMediaType } from '../status.ts'

export const PROTOBUF = 'application/vnd.kubernetes.protobuf'

type Kind = 'text' | 'number' | 'boolean' | 'base64' | 'textMap' | 'base64Map' | Message
interface Message {
  /** By field number; a list repeats. */
  readonly [number: number]: readonly [name: string, kind: Kind, list?: 'list']
}

const METADATA: Message = {
  1: ['name', 'text'],
  2: ['generateName', 'text'],
  3: ['namespace', 'text'],
  5: ['uid', 'text'],
  6: ['resourceVersion', 'text'],
  11: ['labels', 'textMap'],
  12: ['annotations', 'textMap'],
  13: [
    'ownerReferences',
    {
      1: ['kind', 'text'],
      3: ['name', 'text'],
      4: ['uid', 'text'],
      5: ['apiVersion', 'text'],
      6: ['controller', 'boolean'],
      7: ['blockOwnerDeletion', 'boolean'],
    },
    'list',
  ],
  14: ['finalizers', 'text', 'list'],
}

const ACCESS: Message = {
  1: [
    'resourceAttributes',
    {
      1: ['namespace', 'text'],
      2: ['verb', 'text'],
      3: ['group', 'text'],
      4: ['version', 'text'],
      5: ['resource', 'text'],
      6: ['subresource', 'text'],
      7: ['name', 'text'],
    },
  ],
  2: ['nonResourceAttributes', { 1: ['path', 'text'], 2: ['verb', 'text'] }],
}

const RULES: Message = {
  1: ['metadata', METADATA],
  2: [
    'rules',
    {
      1: ['verbs', 'text', 'list'],
      2: ['apiGroups', 'text', 'list'],
      3: ['resources', 'text', 'list'],
      4: ['resourceNames', 'text', 'list'],
      5: ['nonResourceURLs', 'text', 'list'],
    },
    'list',
  ],
}

const BINDING: Message = {
  1: ['metadata', METADATA],
  2: [
    'subjects',
    { 1: ['kind', 'text'], 2: ['apiGroup', 'text'], 3: ['name', 'text'], 4: ['namespace', 'text'] },
    'list',
  ],
  3: ['roleRef', { 1: ['apiGroup', 'text'], 2: ['kind', 'text'], 3: ['name', 'text'] }],
}

const KINDS: Readonly<Record<string, Message>> = {
  Role: RULES,
  ClusterRole: RULES,
  RoleBinding: BINDING,
  ClusterRoleBinding: BINDING,
  Namespace: { 1: ['metadata', METADATA] },
  ServiceAccount: { 1: ['metadata', METADATA] },
  ConfigMap: {
    1: ['metadata', METADATA],
    2: ['data', 'textMap'],
    3: ['binaryData', 'base64Map'],
    4: ['immutable', 'boolean'],
  },
  Secret: {
    1: ['metadata', METADATA],
    2: ['data', 'base64Map'],
    3: ['type', 'text'],
    4: ['stringData', 'textMap'],
    5: ['immutable', 'boolean'],
  },
  SelfSubjectAccessReview: { 1: ['metadata', METADATA], 2: ['spec', ACCESS] },
  SelfSubjectRulesReview: { 1: ['metadata', METADATA], 2: ['spec', { 1: ['namespace', 'text'] }] },
  SelfSubjectReview: { 1: ['metadata', METADATA] },
  TokenRequest: {
    1: ['metadata', METADATA],
    2: ['spec', { 1: ['audiences', 'text', 'list'], 4: ['expirationSeconds', 'number'] }],
  },
  DeleteOptions: {
    1: ['gracePeriodSeconds', 'number'],
    2: ['preconditions', { 1: ['uid', 'text'], 2: ['resourceVersion', 'text'] }],
    4: ['propagationPolicy', 'text'],
    5: ['dryRun', 'text', 'list'],
  },
}

const MAGIC = Buffer.from('k8s\0')
const UNKNOWN: Message = { 1: ['typeMeta', { 1: ['apiVersion', 'text'], 2: ['kind', 'text'] }], 2: ['raw', 'base64'] }

/** The object in such a body. @throws ApiError 415 for a kind that is not read here */
export function readProtobuf(body: Buffer): Json {
  if (!body.subarray(0, 4).equals(MAGIC)) throw unsupportedMediaType(PROTOBUF, ['application/json'])
  const { typeMeta, raw } = decode(body.subarray(4), UNKNOWN)
  const type = typeMeta as { kind?: string; apiVersion?: string } | undefined
  const message = KINDS[type?.kind ?? '']
  if (message === undefined) throw unsupportedMediaType(`${PROTOBUF} of a ${type?.kind}`, ['application/json'])
  return { ...type, ...decode(Buffer.from(typeof raw === 'string' ? raw : '', 'base64'), message) }
}

function decode(bytes: Buffer, message: Message): JsonObject {
  const object: JsonObject = {}
  for (const { number, value } of fieldsOf(bytes)) {
    const [name, kind, list] = message[number] ?? []
    if (name === undefined || kind === undefined) continue
    const have = object[name]
    const read = valueOf(value, kind)
    if (list === 'list') object[name] = [...(Array.isArray(have) ? have : []), read]
    else if (kind === 'textMap' || kind === 'base64Map')
      object[name] = { ...(have as JsonObject), ...(read as JsonObject) }
    else object[name] = read
  }
  return object
}

function valueOf(value: Buffer | number, kind: Kind): Json {
  if (typeof value === 'number') return kind === 'boolean' ? value !== 0 : value
  switch (kind) {
    case 'base64':
      return value.toString('base64')
    case 'textMap':
    case 'base64Map': {
      const entry = decode(value, { 1: ['key', 'text'], 2: ['value', kind === 'textMap' ? 'text' : 'base64'] })
      return { [asText(entry['key'])]: entry['value'] ?? '' }
    }
    case 'text':
    case 'number':
    case 'boolean':
      return value.toString()
    default:
      return decode(value, kind)
  }
}

/** Protocol buffers' wire format: varints and texts are all that the kinds above have. */
function* fieldsOf(bytes: Buffer): Generator<{ number: number; value: Buffer | number }> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1; at < bytes.length; factor *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) break
    }
    return value
  }
  while (at < bytes.length) {
    const tag = varint()
    const wire = tag & 7
    if (wire === 0) yield { number: tag >> 3, value: varint() }
    else if (wire === 2) {
      const length = varint()
      yield { number: tag >> 3, value: bytes.subarray(at, at + length) }
      at += length
    } else at += wire === 1 ? 8 : 4
  }
}
