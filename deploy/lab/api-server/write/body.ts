/** Bodies of requests. */
import { parse } from 'yaml'
import type { Call } from '../call.ts'
import { apiVersionOf } from '../kinds/resource.ts'
import { isObject, type Json } from '../objects/json.ts'
import { asKubeObject, type KubeObject } from '../objects/kube-object.ts'
import { badRequest, unsupportedMediaType } from '../status.ts'
import { PROTOBUF, readProtobuf } from './protobuf.ts'

const ACCEPTED = ['application/json', 'application/yaml']

/** The body as JSON; a client that does not say what it sends is taken to send JSON, as the API server does. */
export function readBody(call: Pick<Call, 'body' | 'contentType'>): Json {
  const { contentType, body } = call
  if (contentType === PROTOBUF) return readProtobuf(body)
  if (contentType.endsWith('json') || contentType === '' || contentType === '*/*') return readJson(body)
  if (!contentType.endsWith('yaml')) throw unsupportedMediaType(contentType, ACCEPTED)
  return readYaml(body)
}

/** The object in the body of a create or an update. @throws ApiError 400 when it is one of another kind, or none */
export function readObject(call: Call): KubeObject {
  const object = asKubeObject(readBody(call))
  if (object === undefined)
    throw badRequest('the object provided is unrecognized (must be of type object with metadata)')
  return checkKind(call, object)
}

/** Gives the object the type it is asked for as, which is what it must say itself if it says anything. */
export function checkKind({ resource }: Call, object: KubeObject): KubeObject {
  const { kind, apiVersion } = object
  const expected = apiVersionOf(resource)
  if (apiVersion !== undefined && apiVersion !== '' && apiVersion !== expected)
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    )
  if (kind !== undefined && kind !== '' && kind !== resource.kind)
    throw badRequest(`${kind} in version "${resource.version}" cannot be handled as a ${resource.kind}`)
  return object
}

/** What a DELETE says about itself; nothing when it has no body. */
export function readOptions(call: Call): Json {
  if (call.body.length === 0) return {}
  const options = readBody(call)
  return isObject(options) ? options : {}
}

function readJson(body: Buffer): Json {
  try {
    return JSON.parse(body.toString()) as Json
  } catch (error) {
    throw badRequest(`couldn't get version/kind; json parse error: ${messageOf(error)}`)
  }
}

function readYaml(body: Buffer): Json {
  const text = body.toString()
  if (text.startsWith('{')) return readJson(body)
  try {
    return parse(text) as Json
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: ${messageOf(error)}`)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
