/** Versions of the CNI specification that are spoken, and what each allows. */
import { codes, failure } from './failure.ts'
import { type Fields, member, show } from './json.ts'

export const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type Version = (typeof supportedVersions)[number]
export const newestVersion: Version = '1.1.0'

export const verbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const
export type Verb = (typeof verbs)[number]

const firstVersion: Readonly<Record<Verb, Version>> = {
  ADD: '0.3.1',
  DEL: '0.3.1',
  VERSION: '0.3.1',
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
}

export function asVersion(value: unknown): Version | undefined {
  for (const version of supportedVersions) if (version === value) return version
  return undefined
}

/**
 * The version a configuration is written in. Throws code 6 when it is no version at all, code 1 when it is one that is
 * not spoken, or one that does not know the verb. No `cniVersion` means 0.1.0 by the specification's history.
 */
export function versionFor(verb: Verb, fields: Fields): Version {
  const value = member(fields, 'cniVersion') ?? '0.1.0'
  if (typeof value !== 'string' || value.length > 64 || !/^\d+(\.\d+){0,2}(-[\w.-]+)?$/.test(value)) {
    throw failure(codes.decode, `cniVersion: ${show(value)} is not a version`)
  }
  const version = asVersion(value)
  if (version === undefined) {
    const details = `this plugin speaks ${supportedVersions.join(', ')}`
    throw failure(codes.incompatibleVersion, `cniVersion: ${value} is not supported`, details)
  }
  if (supportedVersions.indexOf(version) < supportedVersions.indexOf(firstVersion[verb])) {
    const details = `${verb} exists since ${firstVersion[verb]}`
    throw failure(codes.incompatibleVersion, `cniVersion: ${version} does not allow ${verb}`, details)
  }
  return version
}
