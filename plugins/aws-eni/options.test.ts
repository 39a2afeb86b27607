import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloudOptionsTests } from '../../test/support/cloud-options.ts'
import { parseOptions } from './options.ts'

cloudOptionsTests('aws-eni', parseOptions)

test('security groups and roles are AWS’s, for all nodes or a class', () => {
  const roleArn = 'arn:aws:iam::123456789012:role/causeway'
  const { securityGroups, classes } = parseOptions({
    securityGroups: { tags: { pods: 'yes' } },
    classes: [{ roleArn, securityGroups: { ids: ['sg-1'] } }],
  })
  assert.deepEqual(securityGroups, { ids: [], tags: { pods: 'yes' } })
  assert.deepEqual(classes, [
    {
      nodeSelector: { matchLabels: {}, matchExpressions: [] },
      roleArn,
      securityGroups: { ids: ['sg-1'], tags: {} },
    },
  ])
  assert.throws(() => parseOptions({ classes: [{ roleArn: 'causeway' }] }), {
    message:
      'aws-eni.classes.0.roleArn: "causeway" is not allowed; allowed: the ARN of a role such as arn:aws:iam::123456789012:role/causeway',
  })
})
