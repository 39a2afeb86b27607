/** What is to be said of IPPools: whether their ranges are used, how many are left, who else has part of them. Pure. */
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import type { PoolUse } from './assign.ts'
import type { Foreign } from './foreign.ts'
import { type Finding, type Judgement, unwanted, wanted } from './verdict.ts'

/** So many are named. */
const NAMED = 3

export function judgePool({ pool, nodes, free, conflict }: PoolUse, foreign: readonly Foreign[]): Judgement {
  const usable = conflict === undefined
  return {
    resource: RESOURCES.ipPools,
    object: pool,
    fields: { nodes, free },
    conditions: [
      wanted(
        'Ready',
        usable,
        usable ? 'RangesUsable' : 'RangesOverlap',
        usable ? 'ranges are given to the nodes that it selects' : `${conflict}; the pool is not used`,
      ),
      // An Event says so on the nodes that get none.
      {
        ...unwanted(
          'Exhausted',
          free === 0,
          free === 0 ? 'NoRangeLeft' : 'RangesLeft',
          free === 0 ? 'every range is given: add another to spec.cidrs' : 'there are ranges left',
        ),
        bad: false,
      },
      contradicted(foreign),
    ],
  }
}

function contradicted(foreign: readonly Foreign[]): Finding {
  const [first] = foreign
  if (first === undefined)
    return unwanted('Contradicted', false, 'RangesFree', 'no node, service or subnet of the cloud has an address in it')
  const named = foreign.slice(0, NAMED).map(({ text }) => text)
  const more = foreign.length > NAMED ? ` and ${foreign.length - NAMED} more` : ''
  const message =
    `its ranges contain or overlap ${named.join('; ')}${more}: pods there would not reach what has these addresses. ` +
    'Ranges with such addresses are not given to nodes; choose others for spec.cidrs'
  return unwanted('Contradicted', true, COVERS[first.kind], message)
}

const COVERS: Readonly<Record<Foreign['kind'], string>> = {
  node: 'CoversNodeAddress',
  service: 'CoversServiceAddress',
  cloud: 'CoversCloudSubnet',
}
