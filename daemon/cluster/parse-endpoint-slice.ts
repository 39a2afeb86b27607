/** An EndpointSlice (discovery.k8s.io/v1) → its row. What is not said of an endpoint means what the API reference says. */
import { canonicalAddress, familyOf } from '../kernel/ip.ts'
import type { EndpointSliceRow, SliceEndpoint } from '../state/service-rows.ts'
import { ANNOTATION } from './annotations.ts'
import type { ObjectField } from './object-field.ts'
import { isEmpty, objectName, objectNamespace } from './object-name.ts'
import { parseProtocol, portNumber } from './parse-service.ts'

const SERVICE_LABEL = 'kubernetes.io/service-name'
const HEAVIEST = 1000
const FAMILIES: Readonly<Record<string, 4 | 6>> = { IPv4: 4, IPv6: 6 }

/** Undefined for a slice of names (addressType FQDN), which nothing here can use. */
export function parseEndpointSlice(object: ObjectField): EndpointSliceRow | undefined {
  const type = object.at('addressType')
  if (type.value === 'FQDN') return undefined
  const family = FAMILIES[type.text() ?? ''] ?? type.fail('must be IPv4, IPv6 or FQDN')
  return {
    namespace: objectNamespace(object),
    name: objectName(object),
    service: object.at('metadata').at('labels').at(SERVICE_LABEL).text() ?? '',
    ports: object.at('ports').items().flatMap(parsePort),
    weight: weightOf(object.at('metadata').at('annotations').at(ANNOTATION.weight)),
    endpoints: object
      .at('endpoints')
      .items()
      .flatMap(endpoint => parseEndpoint(endpoint, family)),
  }
}

function weightOf(field: ObjectField): number {
  if (isEmpty(field)) return 1
  const weight = field.numeric()
  if (Number.isInteger(weight) && weight >= 1 && weight <= HEAVIEST) return weight
  return field.fail(`must be a whole number from 1 to ${HEAVIEST}, not ${JSON.stringify(field.value)}`)
}

/** A port without a number stands for all ports, which no service asks for. */
function parsePort(port: ObjectField): EndpointSliceRow['ports'] {
  const number = portNumber(port.at('port'))
  if (number === undefined) return []
  return [{ name: port.at('name').text() ?? '', protocol: parseProtocol(port.at('protocol')), port: number }]
}

/** None without an address. */
function parseEndpoint(endpoint: ObjectField, family: 4 | 6): SliceEndpoint | [] {
  const [address] = endpoint
    .at('addresses')
    .items()
    .map(field => addressOf(field, family))
  if (address === undefined) return []
  const conditions = endpoint.at('conditions')
  const ready = conditions.at('ready').flag() ?? true
  const names = (field: ObjectField): string[] => field.items().flatMap(item => item.at('name').text() ?? [])
  const hints = endpoint.at('hints')
  return {
    address,
    ready,
    serving: conditions.at('serving').flag() ?? ready,
    terminating: conditions.at('terminating').flag() ?? false,
    nodeName: endpoint.at('nodeName').text() ?? '',
    zone: endpoint.at('zone').text() ?? '',
    hintZones: names(hints.at('forZones')),
    hintNodes: names(hints.at('forNodes')),
  }
}

function addressOf(field: ObjectField, family: 4 | 6): string {
  const address = field.converted(canonicalAddress)
  if (familyOf(address) === family) return address
  return field.fail(`'${address}' is no IPv${family} address`)
}
