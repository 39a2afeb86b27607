/** For the tests of this folder: requests as a node and a pod have them. */
import { CAUSEWAY_PROTOCOL, type FilterPlace, type NetRequest } from '../../kernel.ts'
import { node, pod, type Step } from './place.ts'

export const pair: Step = {
  in: 'node',
  run: ({ podPath }) => [
    {
      op: 'link-add',
      link: {
        kind: 'veth',
        name: 'cw0',
        mac: '02:00:00:00:00:01',
        mtu: 1400,
        alias: 'a/b/c',
        addrGenMode: 'none',
        peer: { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1400, netns: podPath },
      },
    },
  ],
}
export const ups = [
  pair,
  node({ op: 'link-set', link: 'cw0', up: true }),
  pod({ op: 'link-set', link: 'eth0', up: true }),
]
export const bridge: NetRequest = { op: 'link-add', link: { kind: 'bridge', name: 'br0' } }
export const address = { op: 'address-add', link: 'eth0', address: '10.1.0.5/32' } as const
export const address6 = { op: 'address-add', link: 'eth0', address: 'fd00::5/128', noDad: true } as const
export const route = (dst: string, rest: object): NetRequest => ({
  op: 'route-add',
  route: { dst, protocol: CAUSEWAY_PROTOCOL, ...rest },
})
export const gateway = route('169.254.1.1/32', { link: 'eth0', scope: 'link' })
export const standard = route('0.0.0.0/0', { link: 'eth0', via: '169.254.1.1', mtu: 1350 })
export const standard6 = route('::/0', { link: 'eth0', via: 'fe80::1', onlink: true, mtu: 1350 })
export const toPod = route('10.1.0.5/32', { link: 'cw0', scope: 'link' })
export const toPod6 = route('fd00::5/128', { link: 'cw0' })
export const neighbour = { op: 'neighbour-add', link: 'cw0', address: '10.1.0.5', mac: '02:00:00:00:00:02' } as const
export const clsact = { op: 'clsact-add', link: 'cw0', ingressBlock: 71, egressBlock: 72 } as const

export const unroute = (dst: string, rest: object = {}): NetRequest => ({ op: 'route-delete', route: { dst, ...rest } })
const rule = { family: 4, priority: 70, table: 900, protocol: CAUSEWAY_PROTOCOL } as const
export const ruleAdd = (rest: object = {}): NetRequest => ({ op: 'rule-add', rule: { ...rule, ...rest } })
export const ruleDelete = (rest: object = {}): NetRequest => ({ op: 'rule-delete', rule: { ...rule, ...rest } })
export const filter = (at: FilterPlace, priority: number, name: string): Step => ({
  in: 'node',
  run: ({ programFd }) => [{ op: 'filter-replace', at, priority, programFd, name }],
})
export const nowhere = { type: 'unreachable' } as const
