import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../config/load.ts'
import { dsrOf } from './program-plan.ts'

const cases: readonly (readonly [set: readonly string[], network: string | undefined, dispatch: string])[] = [
  [[], undefined, 'option'],
  [['routing.mode=native'], undefined, 'geneve'],
  [[], 'gce/shop', 'geneve'],
  [['routing.mode=overlay'], 'gce/shop', 'option'],
  [['services.dsr.dispatch=ipip'], 'gce/shop', 'ipip'],
]
for (const [set, network, dispatch] of cases)
  test(`answers past a node are asked for by ${dispatch} with ${set.join(' ') || 'defaults'} in network ${network}`, () => {
    assert.equal(
      dsrOf(loadConfig({ pluginNames: [], set: ['nodeName=n1', ...set] }).config, network).dispatch,
      dispatch,
    )
  })
