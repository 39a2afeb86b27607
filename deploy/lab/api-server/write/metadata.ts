/** What names, labels and finalizers may be (k8s.io/apimachinery pkg/api/validation). */
import type { Resource } from '../kinds/resource.ts'
import { cause, invalidValue } from '../kinds/validate.ts'
import type { Metadata } from '../objects/kube-object.ts'
import type { Cause } from '../status.ts'

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const SERVICE = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const SUBDOMAIN_WORDS =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const LABEL_WORDS =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

/** All that is wrong with the metadata of a new or changed object. */
export function checkMetadata(resource: Resource, metadata: Metadata): Cause[] {
  const causes = checkName(resource, metadata.name ?? '')
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    const [prefix, name = ''] = key.includes('/') ? key.split('/') : ['', key]
    if (!QUALIFIED.test(name) || name.length > 63 || (prefix !== '' && !SUBDOMAIN.test(prefix ?? '')))
      causes.push(
        invalidValue(
          'metadata.labels',
          key,
          "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        ),
      )
    if (value !== '' && (!QUALIFIED.test(value) || value.length > 63))
      causes.push(invalidValue('metadata.labels', value, LABEL_WORDS))
  }
  for (const [i, owner] of (metadata.ownerReferences ?? []).entries())
    for (const name of ['apiVersion', 'kind', 'name', 'uid'] as const)
      if (!owner[name]) causes.push(cause('Required', `metadata.ownerReferences[${i}].${name}`, 'Required value'))
  return causes
}

function checkName(resource: Resource, name: string): Cause[] {
  if (name === '') return [cause('Required', 'metadata.name', 'Required value: name or generateName is required')]
  if (resource.group === 'rbac.authorization.k8s.io') return []
  if (name.length > 253) return [cause('TooLong', 'metadata.name', 'Too long: may not be more than 253 bytes')]
  const rule = resource.group === '' ? RULES[resource.plural] : undefined
  const holds = (rule ?? SUBDOMAIN).test(name)
  return holds ? [] : [invalidValue('metadata.name', name, SUBDOMAIN_WORDS)]
}

/** Kinds whose names are stricter than a subdomain. */
const RULES: Readonly<Record<string, RegExp>> = { namespaces: LABEL, services: SERVICE }

/** An object that is being deleted gets no more reasons to stay. */
export function checkNewFinalizers(was: Metadata, metadata: Metadata): Cause[] {
  if (was.deletionTimestamp === undefined || was.deletionTimestamp === null) return []
  const added = (metadata.finalizers ?? []).filter(name => !(was.finalizers ?? []).includes(name))
  if (added.length === 0) return []
  const list = added.map(name => JSON.stringify(name)).join(', ')
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`
  return [cause('Forbidden', 'metadata.finalizers', message)]
}
