/** Names of objects: DNS subdomains (Kubernetes, "Object Names and IDs"; RFC 1123). */
import type { ObjectField } from './object-field.ts'

export const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

/** Throws ObjectError when it is missing or none. */
export function objectName(object: ObjectField): string {
  return object
    .at('metadata')
    .at('name')
    .converted(text => {
      if (OBJECT_NAME.test(text)) return text
      throw new RangeError(`${JSON.stringify(text)} is no name: lower case letters, digits, - and . only`)
    })
}

export function objectNamespace(object: ObjectField): string {
  return object.at('metadata').at('namespace').text() ?? 'default'
}

/** Absent, or the empty text that stands for it. */
export function isEmpty(field: ObjectField): boolean {
  return field.absent || field.value === ''
}
