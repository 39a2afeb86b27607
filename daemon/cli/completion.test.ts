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
  [['causeway', 'completion', 'f'], ['fish']],
  [['causeway', 'status', '--socket', ''], []],
]
for (const [words, want] of cases) {
  test(`bash completes '${words.join(' ')}'`, () => assert.deepEqual(offered(...words), want))
}

test('every command and option is in each script', () => {
  for (const shell of ['zsh', 'fish'] as const) {
    const script = completion(shell, commands)
    for (const command of commands) {
      for (const word of command.name.split(' ')) assert.ok(script.includes(word), `${shell}: ${word}`)
      for (const option of Object.keys(command.options ?? {})) assert.ok(script.includes(option), `${shell}: ${option}`)
    }
  }
})
