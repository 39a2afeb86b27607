/** What the runtime says in CNI_* variables, checked by the rules of the specification (section 2, Parameters). */
import { codes, failure } from './failure.ts'
import type { Host } from './host.ts'
import { show } from './json.ts'
import { hasControlCharacter, isAbsolutePath, isName } from './syntax.ts'
import { type Verb, verbs } from './versions.ts'

/** Empty strings stand for what the verb does not need and the runtime did not give. */
export interface Environment {
  readonly containerId: string
  readonly ifName: string
  readonly netns: string
  /** The arguments of CNI_ARGS that are known here. */
  readonly args: Readonly<Record<string, string>>
}

const knownArgs = ['K8S_POD_NAMESPACE', 'K8S_POD_NAME', 'K8S_POD_UID', 'K8S_POD_INFRA_CONTAINER_ID']
const attachmentVerbs = 'ADD DEL CHECK'

/** Throws code 4 naming CNI_COMMAND. */
export function readVerb(host: Host): Verb {
  const command = host.environment('CNI_COMMAND')
  for (const verb of verbs) if (verb === command) return verb
  const problem = command ? `${show(command)} is none of ${verbs.join(', ')}` : 'is missing'
  throw failure(codes.invalidEnvironment, `invalid environment: CNI_COMMAND: ${problem}`)
}

/** Throws code 4 naming every variable that is missing or malformed. */
export function readEnvironment(host: Host, verb: Verb): Environment {
  const problems: string[] = []
  const read = (name: string, required: boolean, check: (value: string) => string): string => {
    const value = host.environment(name)
    const given = typeof value === 'string' ? value : ''
    let problem = value === null ? 'is not UTF-8' : ''
    if (value !== null) problem = given !== '' ? check(given) : required ? 'is missing' : ''
    if (problem !== '') problems.push(`${name}: ${problem}`)
    return given
  }
  const attached = attachmentVerbs.indexOf(verb) >= 0
  const environment = {
    containerId: attached ? read('CNI_CONTAINERID', true, containerIdProblem) : '',
    ifName: attached ? read('CNI_IFNAME', true, ifNameProblem) : '',
    netns: attached ? read('CNI_NETNS', verb !== 'DEL', netnsProblem) : '',
    args: parseArgs(attached ? read('CNI_ARGS', false, v => argsProblem(v, verb)) : ''),
  }
  // The specification lists CNI_PATH as required for GC and as optional elsewhere.
  if (verb === 'GC') read('CNI_PATH', true, () => '')
  if (problems.length > 0) throw failure(codes.invalidEnvironment, `invalid environment: ${problems.join('; ')}`)
  return environment
}

/** Why a container id is refused, or the empty string. */
export function containerIdProblem(value: string): string {
  return isName(value)
    ? ''
    : `${show(value)} must start with a letter or digit and hold only letters, digits, "_", "." and "-", at most 255`
}

/** Why an interface name is refused, or the empty string. "%" is the kernel's placeholder for a number. */
export function ifNameProblem(value: string): string {
  if (encodeURI(value.substring(0, 16)).replace(/%../g, '.').length > 15)
    return `${show(value)} is longer than 15 bytes`
  if (value === '.' || value === '..') return `${show(value)} is not a name`
  return /[/:%\s]/.test(value) || hasControlCharacter(value)
    ? `${show(value)} holds "/", ":", "%", white space or a control character`
    : ''
}

function netnsProblem(value: string): string {
  return isAbsolutePath(value) ? '' : `${show(value)} is not an absolute path`
}

/** DEL takes arguments it does not know: what could not be added must still be deletable. */
function argsProblem(value: string, verb: Verb): string {
  const unknown: string[] = []
  let ignoreUnknown = verb === 'DEL'
  for (const pair of value.split(';')) {
    const [key, ...rest] = pair.split('=')
    if (!key || rest.length === 0) return `${show(pair)} is not KEY=VALUE`
    if (key === 'IgnoreUnknown') {
      const flag = rest.join('=').toLowerCase()
      if (!/^(0|1|true|false)$/.test(flag)) return `${show(pair)} is neither true nor false`
      ignoreUnknown = ignoreUnknown || flag === '1' || flag === 'true'
    } else if (knownArgs.indexOf(key) < 0) unknown.push(key)
  }
  return unknown.length === 0 || ignoreUnknown ? '' : `unknown ${show(unknown.join(', '))} without IgnoreUnknown=1`
}

function parseArgs(value: string): Record<string, string> {
  const args: Record<string, string> = {}
  for (const pair of value.split(';')) {
    const split = pair.indexOf('=')
    const key = pair.substring(0, split)
    if (split > 0 && knownArgs.indexOf(key) >= 0) args[key] = pair.substring(split + 1)
  }
  return args
}
