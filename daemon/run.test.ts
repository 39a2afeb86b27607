import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock, settle } from '../test/support/fake-clock.ts'
import { type FakeHost, fakeHost } from '../test/support/fake-host.ts'
import { ConfigError, NotSupported } from './plugin.ts'
import type { Command, Host, Ipam, Parts, Plugin } from './plugin.ts'
import { PluginFailed } from './plugin-life.ts'
import { enabledPlugins, type RunningPlugins, type RunOptions, setUpPlugins } from './run.ts'
import { ipamsOf } from './slots.ts'

function ipam(...pools: string[]): Ipam {
  return {
    pools,
    allocate: async request => ({
      owner: request.owner,
      family: request.family,
      address: `from ${pools[0]}`,
      pool: '',
    }),
    release: async () => {},
    restore: async () => {},
    status: () => [],
  }
}

/** A plugin that writes down what becomes of it. */
function plugin(name: string, said: string[], parts: Parts = {}, after: readonly string[] = []): Plugin {
  return {
    name,
    after,
    configure: () => host => {
      said.push(`set up ${name}`)
      host.defer({ [Symbol.asyncDispose]: async () => void said.push(`undo ${name}`) })
      return {
        ...parts,
        run: async signal => {
          said.push(`run ${name}`)
          await parts.run?.(signal)
          await new Promise(resolve => {
            signal.addEventListener('abort', resolve)
          })
          said.push(`end ${name}`)
        },
      }
    },
  }
}

const command = (name: string): Command => ({ name, summary: 'Does it.', run: async () => 0 })

const base = plugin('base', [], { ipam: ipam('default') })

interface Attempt {
  readonly host: FakeHost
  readonly clock: FakeClock
  readonly running: Promise<RunningPlugins>
}
function start(plugins: readonly Plugin[], options: Partial<RunOptions> = {}): Attempt {
  const host = fakeHost()
  const clock = new FakeClock()
  const enabled = plugins.map(p => ({ plugin: p, section: {} }))
  return { host, clock, running: setUpPlugins({ plugins: enabled, hostFor: () => host, clock, ...options }) }
}

test('plugins are set up in order, run together and stop in reverse', async () => {
  const said: string[] = []
  const names = ['a', 'b', 'c']
  const { running } = start([base, ...names.map(name => plugin(name, said))])
  const plugins = await running
  assert.deepEqual(said.splice(0), ['set up a', 'set up b', 'set up c'])
  plugins.start()
  await settle()
  assert.deepEqual(said.splice(0), ['run a', 'run b', 'run c'])
  await plugins[Symbol.asyncDispose]()
  assert.deepEqual(said, ['end c', 'undo c', 'end b', 'undo b', 'end a', 'undo a'])
  assert.deepEqual([...plugins.parts.keys()], ['base', 'a', 'b', 'c'])
})

test('a plugin that cannot be set up stops the others, and the error names it', async () => {
  const said: string[] = []
  const lacking: Plugin = {
    name: 'lacking',
    configure: () => () => {
      throw new NotSupported('a netkit link', 'Linux 6.7')
    },
  }
  const { running } = start([base, plugin('a', said), lacking, plugin('b', said)])
  await assert.rejects(running, (err: unknown) => {
    assert.ok(err instanceof PluginFailed && err.cause instanceof NotSupported)
    assert.equal(err.message, 'plugin lacking: set-up failed: a netkit link is not supported here; it needs Linux 6.7')
    return true
  })
  assert.deepEqual(said, ['set up a', 'undo a'])
})

const misshapen: readonly (readonly [what: string, configure: Plugin['configure'], problem: string])[] = [
  [
    'stumbles over its section',
    raw => () => ({ name: (raw as { range: { prefix: string } }).range.prefix }),
    "set-up failed: Cannot read properties of undefined (reading 'prefix')",
  ],
  [
    'stumbles over its section at once',
    raw => (raw as { range: { setUp: () => object } }).range.setUp,
    "its section could not be taken: Cannot read properties of undefined (reading 'setUp')",
  ],
  ['gives no set-up', () => 'nothing' as never, 'its section could not be taken: it gave no function that sets it up'],
  ['returns nothing', () => () => undefined as never, 'it must be an object'],
  ['has an ipam without pools', () => () => ({ ipam: {} }) as never, "'ipam': 'pools': it must be a list"],
  [
    'has an ipam that cannot restore',
    () => () => ({ ipam: { ...ipam('x'), restore: 1 } }) as never,
    "'ipam': 'restore': it must be a function",
  ],
  [
    'has a word for a constant',
    () => () => ({ datapath: { config: { a: 'b' } } }) as never,
    "'datapath': 'config': 'a' must be a number, a bigint or a boolean",
  ],
  [
    'has a command in capitals',
    () => () => ({ commands: [{ name: 'Show', summary: 'x', run: async () => 0 }] }),
    "'commands': 'name': it must be lower-case words joined by -",
  ],
]
for (const [what, configure, problem] of misshapen) {
  test(`a plugin that ${what} is named`, async () => {
    await assert.rejects(start([base, { name: 'mine', configure }]).running, (err: unknown) => {
      assert.ok(err instanceof PluginFailed && err.plugin === 'mine')
      assert.ok(err.message.endsWith(problem), err.message)
      return true
    })
  })
}

test('a wrong section keeps everything from being set up', async () => {
  const said: string[] = []
  const wrong: Plugin = {
    name: 'wrong',
    configure() {
      throw new ConfigError('wrong.key', '3 is not allowed')
    },
  }
  await assert.rejects(start([base, plugin('a', said), wrong]).running, ConfigError)
  assert.deepEqual(said, [])
})

test('a set-up that does not end is given up, and what it defers later is undone at once', async () => {
  const said: string[] = []
  const late = Promise.withResolvers<Host>()
  const goOn = Promise.withResolvers<void>()
  const slow: Plugin = {
    name: 'slow',
    configure: () => async host => {
      late.resolve(host)
      await goOn.promise
      host.defer({ [Symbol.asyncDispose]: async () => void said.push('undo late') })
      return {}
    },
  }
  const { running, clock } = start([base, plugin('a', said), slow], { setupTimeoutMs: 5000 })
  const refused = assert.rejects(running, { message: 'plugin slow: set-up did not end within 5 s', plugin: 'slow' })
  const host = await late.promise
  await clock.advance(4999)
  assert.equal(host.signal.aborted, false)
  await clock.advance(1)
  await refused
  assert.equal(host.signal.aborted, true)
  goOn.resolve()
  await settle()
  assert.deepEqual(said, ['set up a', 'undo a', 'undo late'])
})

test('a loop that fails is reported with the name of its plugin', async () => {
  const cause = new Error('the queue is gone')
  const failing = plugin('failing', [], {
    run: async () => {
      throw cause
    },
  })
  await using plugins = await start([base, failing]).running
  plugins.start()
  await assert.rejects(plugins.failed, (err: unknown) => {
    assert.ok(err instanceof PluginFailed)
    assert.deepEqual([err.plugin, err.cause, err.code], ['failing', cause, 'PLUGIN_FAILED'])
    return true
  })
})

test('a loop that throws at once and a reconciler that fails are reported too', async () => {
  const cases: readonly Parts[] = [
    { run: () => assert.fail('at once') },
    { reconcilers: [{ name: 'r', start: () => Promise.reject(new Error('at once')) }] },
  ]
  for (const parts of cases) {
    const failing: Plugin = { name: 'failing', configure: () => () => parts }
    await using plugins = await start([base, failing]).running
    plugins.start()
    await assert.rejects(
      plugins.failed,
      (err: unknown) => err instanceof PluginFailed && /at once/.test(String(err.cause)),
    )
  }
})

test('a plugin that does not stop is left behind after its time, with a warning', async () => {
  const said: string[] = []
  const stuck: Plugin = { name: 'stuck', configure: () => () => ({ run: () => new Promise(() => {}) }) }
  const { running, clock, host } = start([base, plugin('a', said), stuck], { stopTimeoutMs: 2000 })
  const plugins = await running
  plugins.start()
  const stopped = plugins[Symbol.asyncDispose]()
  await clock.advance(2000)
  await stopped
  assert.deepEqual(said.slice(-2), ['end a', 'undo a'])
  assert.deepEqual(host.log.lines, ['warn loops did not end within 1 s; going on plugin=stuck'])
})

const refusals: readonly (readonly [what: string, plugins: readonly Plugin[], message: string | RegExp])[] = [
  [
    'a pool served twice',
    [base, plugin('other', [], { ipam: ipam('more', 'default') })],
    "other: plugins base and other both provide the pool 'default'; disable one of them",
  ],
  [
    'encryption provided twice',
    [base, ...['a', 'b'].map(name => plugin(name, [], { encryption: { overheadBytes: 0 } }))],
    'b: plugins a and b both provide encryption; disable one of them',
  ],
  [
    'no default pool',
    [plugin('other', [], { ipam: ipam('more') })],
    "plugins: no enabled plugin serves the pool 'default'; the pools are 'more' (other)",
  ],
  ['no pool at all', [], "plugins: no enabled plugin serves the pool 'default'; no plugin with pools is enabled"],
  [
    'an order that breaks after',
    [plugin('early', [], {}, ['absent', 'base']), base],
    'early: must start after base, but comes before it in the order early, base',
  ],
  [
    'a constant set twice',
    [base, ...['a', 'b'].map(name => plugin(name, [], { datapath: { config: { mode: 1 } } }))],
    "b: plugins a and b both provide the constant 'mode'; disable one of them",
  ],
  [
    'a command given twice',
    [base, ...['a', 'b'].map(name => plugin(name, [], { commands: [command('leases')] }))],
    "b: plugins a and b both provide the command 'leases'; disable one of them",
  ],
  [
    'a command that causeway has itself',
    [base, plugin('a', [], { commands: [command('status')] })],
    "a: plugin a has a command 'status', which causeway itself has",
  ],
  ['one name twice', [base, base], 'base: two enabled plugins have this name'],
]
for (const [what, plugins, message] of refusals) {
  test(`${what} is refused`, () => assert.rejects(start(plugins).running, { name: 'ConfigError', message }))
}

test('the enabled plugins are those with a section, in the order of the list', () => {
  const list = ['a', 'b', 'c'].map(name => plugin(name, []))
  const enabled = enabledPlugins(list, { c: { x: 1 }, a: {} })
  assert.deepEqual(
    enabled.map(({ plugin: p, section }) => [p.name, section]),
    [
      ['a', {}],
      ['c', { x: 1 }],
    ],
  )
})

test('each implementation of pools is listed once, the one of the default pool first', async () => {
  const more = ipam('more', 'even-more')
  await using plugins = await start([plugin('other', [], { ipam: more }), base]).running
  assert.deepEqual([...plugins.slots.ipam.keys()], ['more', 'even-more', 'default'])
  assert.deepEqual(
    ipamsOf(plugins.slots).map(part => part.pools[0]),
    ['default', 'more'],
  )
})
