/** Whom the ValidatingAdmissionPolicy lets write the status of a NodeNetwork: its expressions, evaluated. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../lab/api-server/cel/evaluate.ts'
import { parseExpression } from '../lab/api-server/cel/parse.ts'
import type { Json } from '../lab/api-server/objects/json.ts'
import { renderManifests } from './render.ts'
import { findManifest } from './workloads.ts'

interface PolicySpec {
  readonly matchConditions: readonly { readonly expression: string }[]
  readonly validations: readonly { readonly expression: string; readonly message: string }[]
}

const manifests = renderManifests({ values: [{ admissionPolicy: { enabled: true } }], namespace: 'network' })
const policy = findManifest(manifests, 'ValidatingAdmissionPolicy', 'causeway-own-status')
const { matchConditions, validations } = policy['spec'] as PolicySpec

/** What the API server answers to a write. */
function answerTo(username: string, nodes: readonly string[] | undefined, object: string): string {
  const extra: Json = nodes === undefined ? {} : { 'authentication.kubernetes.io/node-name': [...nodes] }
  const variables = { request: { userInfo: { username, extra } }, object: { metadata: { name: object } } }
  const holds = ({ expression }: { readonly expression: string }): boolean =>
    evaluate(parseExpression(expression), variables) === true
  if (!matchConditions.every(holds)) return 'allowed'
  return validations.find(validation => !holds(validation))?.message ?? 'allowed'
}

const DAEMON = 'system:serviceaccount:network:causeway'

test('a daemon may write the status of its own node and of no other', () => {
  assert.equal(answerTo(DAEMON, ['node1'], 'node1'), 'allowed')
  assert.match(answerTo(DAEMON, ['node1'], 'node2'), /of its own node only/)
})

test('a token that does not say on which node its pod is may write none', () => {
  assert.match(answerTo(DAEMON, undefined, 'node1'), /does not say which node/)
  assert.match(answerTo(DAEMON, [], 'node1'), /of its own node only/)
})

test('others are left to RBAC', () => {
  assert.equal(answerTo('system:serviceaccount:network:causeway-operator', undefined, 'node1'), 'allowed')
  assert.equal(answerTo('system:serviceaccount:other:causeway', undefined, 'node1'), 'allowed')
})

test('the policy is bound, and is not there unless it is wished for', () => {
  const binding = findManifest(manifests, 'ValidatingAdmissionPolicyBinding', 'causeway-own-status')
  assert.deepEqual(binding['spec'], { policyName: 'causeway-own-status', validationActions: ['Deny'] })
  const kinds = renderManifests().map(({ kind }) => kind)
  assert.deepEqual(
    kinds.filter(kind => kind.startsWith('ValidatingAdmission')),
    [],
  )
})
