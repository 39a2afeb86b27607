/** An EgressPolicy (causeway.dev/v1alpha1), described in plugins/egress-gateway/README.md → its row. */
import { canonicalAddress, canonicalPrefix } from '../kernel/ip.ts'
import type { EgressGateway, EgressPolicyRow, LabelRequirement, LabelSelector } from '../state/egress-rows.ts'
import type { ObjectField } from './object-field.ts'
import { isEmpty, objectName } from './object-name.ts'

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const

export function parseEgressPolicy(object: ObjectField): EgressPolicyRow {
  const spec = object.at('spec')
  return {
    name: objectName(object),
    priority: spec.at('priority').whole() ?? 0,
    created: object.at('metadata').at('creationTimestamp').text() ?? '',
    selectors: some(spec.at('selectors')).map(selector => ({
      pods: parseSelector(selector.at('podSelector')),
      namespaces: parseSelector(selector.at('namespaceSelector')),
    })),
    destinations: some(spec.at('destinations')).map(item => item.converted(canonicalPrefix)),
    excluded: spec
      .at('excludedDestinations')
      .items()
      .map(item => item.converted(canonicalPrefix)),
    gateways: some(spec.at('gateways')).map(parseGateway),
  }
}

/** A LabelSelector; absent is empty, and selects everything. */
export function parseSelector(selector: ObjectField): LabelSelector {
  return {
    matchLabels: selector.at('matchLabels').texts(),
    matchExpressions: selector.at('matchExpressions').items().map(parseRequirement),
  }
}

function parseRequirement(item: ObjectField): LabelRequirement {
  const operator = OPERATORS.find(word => word === item.at('operator').value)
  if (operator === undefined) return item.at('operator').fail(`must be one of ${OPERATORS.join(', ')}`)
  const values = item
    .at('values')
    .items()
    .map(value => value.text() ?? value.fail('is missing'))
  const takes = operator === 'In' || operator === 'NotIn'
  if (takes && values.length === 0) item.at('values').fail(`is missing; ${operator} takes at least one`)
  if (!takes && values.length > 0) item.at('values').fail(`must be absent; ${operator} takes none`)
  return { key: item.at('key').text() ?? item.at('key').fail('is missing'), operator, values }
}

function parseGateway(gateway: ObjectField): EgressGateway {
  const addresses = gateway
    .at('addresses')
    .items()
    .map(item => item.converted(canonicalAddress))
  const device = isEmpty(gateway.at('device')) ? undefined : gateway.at('device').text()
  if (addresses.length > 0 && device !== undefined)
    gateway.at('device').fail('must be absent beside addresses, which are used whatever device they are on')
  if (gateway.at('nodeSelector').absent)
    gateway.at('nodeSelector').fail('is missing; an empty one, {}, selects every node')
  return { nodes: parseSelector(gateway.at('nodeSelector')), addresses, ...(device !== undefined && { device }) }
}

/** The items of a list that must have some. */
function some(list: ObjectField): ObjectField[] {
  const items = list.items()
  return items.length > 0 ? items : list.fail('is missing or empty; at least one is needed')
}
