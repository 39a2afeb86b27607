/** The rules of kube-proxy as cases; names of endpoints are their addresses' last number. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Candidate, selectEndpoints } from './select.ts'

const HERE = { name: 'here', zone: 'west' }

/** Endpoints as text: a number, then what is said of it: `here`, `gone` (not ready), `ends` (serves, terminates), `z:west`, `n:here`. */
function endpoints(text: string): Candidate[] {
  return text
    .split(';')
    .filter(part => part.trim() !== '')
    .map(part => {
      const [number = '', ...words] = part.trim().split(' ')
      const has = (word: string): boolean => words.includes(word)
      const hints = (kind: string): string[] => words.filter(w => w.startsWith(`${kind}:`)).map(w => w.slice(2))
      return {
        address: `10.0.0.${number}`,
        port: 80,
        weight: 1,
        ready: !has('gone') && !has('ends'),
        serving: !has('gone'),
        terminating: has('ends'),
        nodeName: has('here') ? 'here' : 'there',
        zone: '',
        hintZones: hints('z'),
        hintNodes: hints('n'),
      }
    })
}

const cases: readonly (readonly [what: string, endpoints: string, cluster: string, local: string])[] = [
  ['none', '', '', ''],
  ['ready ones', '1; 2 here; 3 gone', '1 2', '2'],
  ['nobody here', '1; 2', '1 2', ''],
  ['terminating ones beside ready ones', '1 ends; 2', '2', ''],
  ['only terminating ones that serve', '1 ends; 2 ends here; 3 gone', '1 2', '2'],
  ['a terminating one here beside a ready one elsewhere', '1 ends here; 2', '2', '1'],
  ['a zone for each', '1 z:west; 2 z:east', '1', ''],
  ['several zones for one', '1 z:west z:east; 2 z:east', '1', ''],
  ['a zone for some only', '1 z:west; 2', '1 2', ''],
  ['nobody for this zone', '1 z:east; 2 z:east', '1 2', ''],
  ['hints of one that is not ready, which do not count', '1 z:west; 2 z:east; 3 gone', '1', ''],
  ['a node for each', '1 n:here; 2 n:there', '1', ''],
  ['a node for each, none for this, but its zone', '1 n:there z:west; 2 n:there z:east', '1', ''],
  ['a node for some only, and zones for all', '1 n:here z:east; 2 z:west', '2', ''],
  ['hints and local ones: a local policy knows no hints', '1 here z:east; 2 z:west', '2', '1'],
  ['a zone that only terminating ones are meant for', '1 ends z:west; 2 z:east', '2', ''],
]
for (const [what, text, cluster, local] of cases)
  test(`of ${what}`, () => {
    const numbers = (policy: 'Cluster' | 'Local'): string =>
      selectEndpoints(endpoints(text), policy, HERE)
        .map(e => e.address.slice('10.0.0.'.length))
        .join(' ')
    assert.deepEqual([numbers('Cluster'), numbers('Local')], [cluster, local])
  })

test('a node without a zone takes all', () => {
  const chosen = selectEndpoints(endpoints('1 z:west; 2 z:east'), 'Cluster', { name: 'here', zone: '' })
  assert.equal(chosen.length, 2)
})
