import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Command } from '../plugin.ts'
import { addCommandRoutes, type CommandLine } from './plugin-commands.ts'
import { type ApiAnswer, Router } from './router.ts'

const command = (run: Command['run'], name = 'leases'): Command => ({ name, summary: 'Show leases.', run })
const routerOf = (...commands: readonly Command[]): Router =>
  addCommandRoutes(new Router(), new Map(commands.map(part => [part.name, { plugin: 'mine', part }])))

async function ask(router: Router, method: string, path: string, body?: unknown, signal = AbortSignal.timeout(10_000)) {
  const { handler, params } = router.match(method, path)
  return await handler({ method, path, params, query: new URLSearchParams(), body, signal })
}
async function linesOf(answer: ApiAnswer): Promise<CommandLine[]> {
  assert.ok('lines' in answer)
  const lines: CommandLine[] = []
  for await (const line of answer.lines) lines.push(line as CommandLine)
  return lines
}

test('the commands of plugins are listed with whose they are', async () => {
  const list = await ask(routerOf(command(async () => 0)), 'GET', '/v1/commands')
  assert.deepEqual(list, { json: [{ plugin: 'mine', name: 'leases', summary: 'Show leases.' }] })
})

test('a command gets its arguments; what it writes comes before its status', async () => {
  const router = routerOf(
    command(async (args, out) => {
      out.write('given: ')
      out.write(args.join(' '))
      return 4
    }),
  )
  const lines = await linesOf(await ask(router, 'POST', '/v1/commands/leases', { args: ['--all', 'ü'] }))
  assert.deepEqual(lines.at(-1), { status: 4 })
  assert.equal(lines.map(line => ('out' in line ? line.out : '')).join(''), 'given: --all ü')
})

test('a command that throws has told what it wrote before', async () => {
  const router = routerOf(
    command(async (_, out) => {
      out.write('half')
      throw new Error('the cloud is gone')
    }),
  )
  assert.deepEqual(await linesOf(await ask(router, 'POST', '/v1/commands/leases', { args: [] })), [
    { out: 'half' },
    { error: 'the cloud is gone' },
  ])
})

test('a command hears that its caller hung up, and one that does not listen holds up nobody', async () => {
  const heard = Promise.withResolvers<void>()
  const router = routerOf(
    command(async (_args, _out, signal) => {
      await once(signal, 'abort')
      heard.resolve()
      return await new Promise<never>(() => {})
    }),
  )
  const hangUp = new AbortController()
  const lines = linesOf(await ask(router, 'POST', '/v1/commands/leases', { args: [] }, hangUp.signal))
  setImmediate(() => hangUp.abort())
  await heard.promise
  assert.deepEqual(await lines, [])
})

for (const [what, path, body, code] of [
  ['an unknown command', '/v1/commands/lease', { args: [] }, 'NO_COMMAND'],
  ['no arguments', '/v1/commands/leases', undefined, 'BAD_ARGS'],
  ['a number for an argument', '/v1/commands/leases', { args: [1] }, 'BAD_ARGS'],
] as const) {
  test(`${what} is refused with ${code}`, () =>
    assert.rejects(ask(routerOf(command(async () => 0)), 'POST', path, body), { code }))
}
