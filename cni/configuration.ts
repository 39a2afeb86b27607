/** The network configuration from standard input: decoded, checked field by field, defaults filled in. */
import { containerIdProblem, ifNameProblem } from './environment.ts'
import { codes, failure } from './failure.ts'
import type { Host } from './host.ts'
import { type Fields, isObject, member, show } from './json.ts'
import { isAbsolutePath, isName } from './syntax.ts'
import type { Verb } from './versions.ts'

export interface Configuration {
  readonly name: string
  readonly socket: string
  readonly deleteQueue: string
  readonly addTimeoutMs: number
  readonly prevResult: Fields | undefined
}

const inputLimitBytes = 4 * 1024 * 1024
const inputTimeoutMs = 10_000
/** sockaddr_un.sun_path with its NUL (unix(7)). */
const longestSocketPath = 107

/** The fields that are known, with the rule each keeps: the problem with a value, or the empty string. */
const rules: Readonly<Record<string, (value: unknown) => string>> = {
  cniVersion: () => '',
  cniVersions: v => (isStringList(v) ? '' : 'must be a list of strings'),
  name: v => (isName(v) ? '' : 'must start with a letter or digit and hold only letters, digits, "_", "." and "-"'),
  type: v =>
    typeof v === 'string' && v !== '' && v.length <= 255 && !/[/\\\s]/.test(v)
      ? ''
      : 'must be the name of an executable',
  disableCheck: booleanProblem,
  disableGC: booleanProblem,
  loadOnlyInlinedPlugins: booleanProblem,
  capabilities: objectProblem,
  args: objectProblem,
  runtimeConfig: objectProblem,
  prevResult: objectProblem,
  socket: v =>
    isAbsolutePath(v) && encodeURI(v).replace(/%../g, '.').length <= longestSocketPath
      ? ''
      : `must be an absolute path of at most ${longestSocketPath} bytes`,
  deleteQueue: v => (isAbsolutePath(v) ? '' : 'must be an absolute path'),
  addTimeoutMs: v =>
    typeof v === 'number' && v >= 100 && v <= 600_000 && v % 1 === 0 ? '' : 'must be whole ms from 100 to 600000',
}

/** Standard input as text; empty input is allowed here. Throws code 5. */
export function readInput(host: Host): string {
  const reading = host.input(inputLimitBytes, inputTimeoutMs)
  if (reading.problem === undefined) return reading.text
  const why: Readonly<Record<string, string>> = {
    EFBIG: `is larger than ${inputLimitBytes} bytes`,
    ETIMEDOUT: `did not end within ${inputTimeoutMs} ms`,
  }
  if (reading.problem === 'EILSEQ') throw failure(codes.decode, 'standard input: is not UTF-8 text')
  throw failure(codes.io, `standard input: ${why[reading.problem] ?? `cannot be read: ${reading.problem}`}`)
}

/** The members of the configuration. Throws code 6. */
export function decode(host: Host, text: string): Fields {
  const problem = host.checkJson(text)
  if (problem !== '') throw failure(codes.decode, 'standard input: is not JSON', problem)
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) throw failure(codes.decode, 'standard input: must be a JSON object', show(value))
  return value
}

/**
 * Checks the fields and fills in defaults. Throws code 7 for a malformed field and code 2 for an unknown one, each with
 * name and value. DEL looks only at what it uses, and unknown fields matter only where a pod would be added: what got
 * in must always get out.
 */
export function checkConfiguration(fields: Fields, verb: Verb): Configuration {
  const checked = verb === 'DEL' ? ['name', 'socket', 'deleteQueue'] : Object.keys(rules)
  for (const required of ['name', 'type']) {
    if (checked.indexOf(required) >= 0 && member(fields, required) === undefined) {
      throw failure(codes.invalidConfiguration, `${required}: is missing`)
    }
  }
  for (const name of checked) {
    const value = member(fields, name)
    const problem = value === undefined ? '' : (rules[name]?.(value) ?? '')
    if (problem !== '') throw failure(codes.invalidConfiguration, `${name}: ${problem}`, `${name} is ${show(value)}`)
  }
  if (verb === 'ADD' || verb === 'STATUS') refuseUnknown(fields)
  return {
    name: member(fields, 'name') as string,
    socket: (member(fields, 'socket') as string | undefined) ?? '/run/causeway/api.sock',
    deleteQueue: (member(fields, 'deleteQueue') as string | undefined) ?? '/run/causeway/deletes',
    addTimeoutMs: (member(fields, 'addTimeoutMs') as number | undefined) ?? 60_000,
    prevResult: verb === 'DEL' ? undefined : (member(fields, 'prevResult') as Fields | undefined),
  }
}

/** An entry of `cni.dev/valid-attachments` as the specification writes it. */
export interface Attachment {
  readonly containerID: string
  readonly ifname: string
}

/** The attachments GC must keep. The key must be there: an empty list deletes everything, a forgotten one must not. */
export function validAttachments(fields: Fields): Attachment[] {
  const key = 'cni.dev/valid-attachments'
  const list = Object.prototype.hasOwnProperty.call(fields, key) ? (fields[key] ?? []) : undefined
  if (list === undefined) throw failure(codes.invalidConfiguration, `${key}: is missing`)
  if (!Array.isArray(list)) throw failure(codes.invalidConfiguration, `${key}: must be a list`, show(list))
  return list.map((entry: unknown, index) => {
    const [containerID, ifname] = isObject(entry) ? [member(entry, 'containerID'), member(entry, 'ifname')] : []
    if (typeof containerID !== 'string' || containerIdProblem(containerID) !== '') {
      throw failure(codes.invalidConfiguration, `${key}[${index}].containerID: is not a container id`, show(entry))
    }
    if (typeof ifname !== 'string' || ifname === '' || ifNameProblem(ifname) !== '') {
      throw failure(codes.invalidConfiguration, `${key}[${index}].ifname: is not an interface name`, show(entry))
    }
    return { containerID, ifname }
  })
}

function refuseUnknown(fields: Fields): void {
  for (const name of Object.keys(fields)) {
    if (Object.prototype.hasOwnProperty.call(rules, name) || name.indexOf('cni.dev/') === 0) continue
    if (member(fields, name) === undefined) continue
    throw failure(codes.unsupportedField, `unsupported field ${show(name)} with value ${show(fields[name])}`)
  }
}

function booleanProblem(value: unknown): string {
  return typeof value === 'boolean' ? '' : 'must be true or false'
}

function objectProblem(value: unknown): string {
  return isObject(value) ? '' : 'must be an object'
}

function isStringList(value: unknown): boolean {
  return Array.isArray(value) && value.every(v => typeof v === 'string')
}
