import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_DEFAULTS, AgentConfigError, parseAgentConfig } from './agent-config.ts'

test('an empty file means the reserved ranges and both link-local ones', () => {
  for (const text of ['', '\n', '# nothing\n', '---\n']) assert.deepEqual(parseAgentConfig(text), AGENT_DEFAULTS)
  assert.equal(AGENT_DEFAULTS.ranges.length, 13)
  assert.equal(AGENT_DEFAULTS.resyncMs, 60_000)
})

test('YAML and JSON say the same', () => {
  const yaml = 'nonMasqueradeCIDRs:\n  - 10.0.0.0/8\n  - fd00::/8\nmasqLinkLocal: true\nresyncInterval: 1m30s\n'
  const json = '{"nonMasqueradeCIDRs": ["10.0.0.0/8", "fd00::/8"], "masqLinkLocal": true, "resyncInterval": "1m30s"}'
  const meant = { ranges: ['10.0.0.0/8', 'fd00::/8', 'fe80::/10'], resyncMs: 90_000, ignored: [] }
  for (const text of [yaml, json]) assert.deepEqual(parseAgentConfig(text), meant)
})

test('a file without ranges keeps only what is link-local, and keys of others are told', () => {
  assert.deepEqual(parseAgentConfig('resyncInterval: 0.5h\ncidrLimit: 9\n'), {
    ranges: ['169.254.0.0/16', 'fe80::/10'],
    resyncMs: 1_800_000,
    ignored: ['cidrLimit'],
  })
  assert.deepEqual(parseAgentConfig('masqLinkLocal: true\nmasqLinkLocalIPv6: true').ranges, [])
})

const mistakes: readonly (readonly [text: string, line: number, message: RegExp])[] = [
  ['nonMasqueradeCIDRs:\n  - 10.0.0.0/8\n  - 10.0.0.0/33\n', 3, /^nonMasqueradeCIDRs\.1: .*10\.0\.0\.0\/33/],
  ['nonMasqueradeCIDRs:\n  - 10.0.0.0/8\n  - 7\n', 3, /^nonMasqueradeCIDRs\.1: /],
  ['# ranges\nnonMasqueradeCIDRs: 10.0.0.0/8\n', 2, /^nonMasqueradeCIDRs: must be a list of prefixes/],
  ['nonMasqueradeCIDRs: []\nmasqLinkLocal: maybe\n', 2, /^masqLinkLocal: must be true or false/],
  ['nonMasqueradeCIDRs: []\nresyncInterval: soon\n', 2, /^resyncInterval: "soon" is no duration such as 60s/],
  ['resyncInterval: 60\n', 1, /^resyncInterval: 60 is no duration/],
  ['- 10.0.0.0/8\n', 1, /^the file must be a group/],
  ['nonMasqueradeCIDRs:\n  - [10.0.0.0/8\nmasqLinkLocal: true\n', 3, /./],
]
for (const [text, line, message] of mistakes)
  test(`a mistake is told with its line: ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseAgentConfig(text),
      (error: unknown) => {
        assert.ok(error instanceof AgentConfigError)
        assert.match(error.message, message)
        assert.equal(error.line, line)
        return true
      },
    )
  })
