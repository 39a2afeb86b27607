/**
 * Whether two nodes reach each other's pods natively or through the overlay, where the configuration leaves it open. Of
 * both the same facts are asked, so that both choose the same. Pure.
 */
import type { Cloud, NodeRow } from '../state/tables.ts'

/** What is asked of a node. */
export type End = Pick<NodeRow, 'nativeNetwork' | 'cloud'>

export interface Choice {
  readonly kind: 'native' | 'overlay'
  /** For people, from where the first of the two is. */
  readonly why: string
}

/**
 * A native network decides where one of the two has one; else the link does that both are on. A link of a cloud is none:
 * EC2 and Azure drop packets whose source or destination is no address of the interface, also between neighbours (EC2,
 * "source/destination checking"; Azure, "IP forwarding" of a network interface), and Google routes each address by itself.
 */
export function chooseWay(here: End, there: End, sameLink: boolean): Choice {
  const [own, other] = [here.nativeNetwork, there.nativeNetwork]
  if (own !== undefined || other !== undefined) {
    if (own === other) return { kind: 'native', why: `network ${own}` }
    return { kind: 'overlay', why: `other network: ${other ?? 'none'} there, ${own ?? 'none'} here` }
  }
  if (!sameLink) return { kind: 'overlay', why: 'other link' }
  const cloud = [here.cloud, there.cloud].find(isCloud)
  if (cloud === undefined) return { kind: 'native', why: 'same link' }
  return { kind: 'overlay', why: `a link of ${cloud}, which does not know the pods` }
}

function isCloud(cloud: Cloud | 'none' | undefined): cloud is Cloud {
  return cloud !== undefined && cloud !== 'none'
}
