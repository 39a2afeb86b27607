/** One call of the executable, from the environment to the exit status. */
import { decode, readInput } from './configuration.ts'
import { readEnvironment, readVerb } from './environment.ts'
import { asFailure, codes, failure } from './failure.ts'
import type { Host } from './host.ts'
import { type Fields, member } from './json.ts'
import { handlers } from './verbs.ts'
import { asVersion, newestVersion, supportedVersions, type Version, verbs, versionFor } from './versions.ts'

const usage = `causeway: CNI plugin, specification versions ${supportedVersions.join(', ')}

A container runtime calls it with the verb in CNI_COMMAND (ADD, DEL, CHECK, GC, STATUS, VERSION), the attachment in
CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME and CNI_ARGS, and the network configuration on standard input. Try:

  echo '{"cniVersion":"1.1.0"}' | CNI_COMMAND=VERSION causeway
`

/** Performs the call and ends the process: 0 with a result, 1 with a CNI error on standard output. */
export function run(host: Host): never {
  const startedMs = host.monotonicMs()
  if (host.environment('CNI_COMMAND') === undefined && host.isTerminal(0)) {
    host.output(2, usage)
    return host.exit(1)
  }
  const seen = { version: newestVersion }
  let result: string
  try {
    result = perform(host, startedMs, version => (seen.version = version))
  } catch (error) {
    return fail(host, seen.version, error)
  }
  const problem = result === '' ? '' : host.output(1, `${result}\n`)
  // A result nobody could read is a failed ADD for the runtime, which sends a DEL.
  if (problem !== '') host.output(2, `causeway: cannot write the result: ${problem}\n`)
  return host.exit(problem === '' ? 0 : 1)
}

/** `onVersion` hears the configuration's version as soon as it is known: errors are printed in its name. */
function perform(host: Host, startedMs: number, onVersion: (version: Version) => void): string {
  const verb = readVerb(host)
  const text = readInput(host)
  if (verb === 'VERSION') return versionResult(host, text)
  const input = attempt(() => decode(host, text))
  const known = input.value === undefined ? undefined : asVersion(member(input.value, 'cniVersion'))
  if (known !== undefined) onVersion(known)
  const environment = readEnvironment(host, verb)
  if (input.value === undefined) throw input.error
  const version = versionFor(verb, input.value)
  return handlers[verb]({ host, fields: input.value, version, environment, startedMs })
}

/** Echoes the version asked with, whatever it is: the runtime is finding out what both speak. */
function versionResult(host: Host, text: string): string {
  const fields: Fields = text.trim() === '' ? {} : decode(host, text)
  const cniVersion = member(fields, 'cniVersion') ?? newestVersion
  if (typeof cniVersion !== 'string') throw failure(codes.decode, 'cniVersion: must be a string')
  return JSON.stringify({ cniVersion, supportedVersions })
}

function attempt<T>(action: () => T): { readonly value: T } | { readonly value: undefined; readonly error: unknown } {
  try {
    return { value: action() }
  } catch (error) {
    return { value: undefined, error }
  }
}

function fail(host: Host, version: Version, error: unknown): never {
  const { code, message, details } = asFailure(error)
  const body: Record<string, unknown> = { cniVersion: version, code, msg: message }
  if (details !== '') body.details = details
  host.output(1, `${JSON.stringify(body)}\n`)
  const command = host.environment('CNI_COMMAND')
  const verb = verbs.filter(v => v === command)[0] ?? 'call'
  host.output(2, `causeway: ${verb} failed with code ${code}: ${message}${details === '' ? '' : ` (${details})`}\n`)
  return host.exit(1)
}
