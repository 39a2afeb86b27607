import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { commands } from './commands.ts'
import { completion } from './completion.ts'

/** What bash offers after these words. */
function offered(...words: string[]): string[] {
  const line = words.map(word => `'${word}'`).join(' ')
  const script = `${completion('bash', commands)}
    COMP_WORDS=(${line}) COMP_CWORD=${words.length - 1}
    _causeway; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' })
    .split('\n')
    .filter(word => word !== '')
}

const cases: readonly (readonly [words: readonly string[], want: readonly string[]])[] = [
  [['causeway', 'sta'], ['status']],
  [
    ['causeway', 'config', ''],
    ['print', 'check', 'docs'],
  ],
  [['causeway', 'config', 'print', '--o'], ['--output']],
  [['causeway', 'flows', '--ver'], ['--verdict']],
  [
    ['causeway', 'flows', '--verdict', ''],
    ['dropped', 'forwarded'],
  ],
  [['causeway', 'flows', '-f', '-o', 'j'], ['json']],
  [
    ['causeway', 'ipam', ''],
    ['permissions', 'simulate'],
  ],
  [
    ['causeway', 'ipam', 'permissions', '--cloud', ''],
    ['aws', 'azure', 'gcp'],
  ],
  [['causeway', 'ipam', 'permissions', '--sc'], ['--scope']],
  [['causeway', 'completion', 'f'], ['fish']],
  [['causeway', 'status', '--socket', ''], []],
]
for (const [words, want] of cases) {
  test(`bash completes '${words.join(' ')}'`, () => assert.deepEqual(offered(...words), want))
}

test("zsh runs bash's script", () => {
  const start = '#compdef causeway\nautoload -U +X bashcompinit && bashcompinit\n'
  assert.equal(completion('zsh', commands), start + completion('bash', commands))
})

test('fish has a line for every word and every option, where it belongs', () => {
  const lines = completion('fish', commands).trim().split('\n')
  const has = (...parts: readonly string[]): void =>
    assert.equal(lines.filter(line => parts.every(part => line.includes(part))).length, 1, parts.join(' '))
  for (const command of commands) {
    const [first = '', second] = command.name.split(' ')
    has('-n __fish_use_subcommand ', ` -a ${first} `)
    if (second !== undefined) has(`-n '__fish_seen_subcommand_from ${first}' -a ${second}`)
    const place = command.name.split(' ').map(word => `__fish_seen_subcommand_from ${word}`)
    for (const option of Object.keys(command.options ?? {})) has(`-n '${place.join('; and ')}' -l ${option} `)
  }
})
