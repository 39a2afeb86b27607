/** Starts plugins in order, checks their slots, and stops them in reverse, whatever failed half-way. */
import { abortable } from './abort.ts'
import { ConfigError, isConfigError, messageOf } from './errors.ts'
import { DEFAULT_POOL, type Host, type Parts, type Plugin, type Setup } from './plugin.ts'
import { PluginFailed, PluginLife } from './plugin-life.ts'
import { checkParts } from './plugin-parts.ts'
import { fillSlots, requirePool, type Slots } from './slots.ts'
import { type Clock, systemClock } from './state/clock.ts'

/** A plugin and its section of the configuration. */
export interface EnabledPlugin {
  readonly plugin: Plugin
  readonly section: unknown
}

export interface RunOptions {
  /** In the order of starting. */
  readonly plugins: readonly EnabledPlugin[]
  /** What a plugin is offered, apart from its own signal and undo. */
  readonly hostFor: (plugin: string) => Omit<Host, 'signal' | 'defer'>
  readonly clock?: Clock
  /** For each plugin; 30 s unless given. */
  readonly setupTimeoutMs?: number
  /** For the stop of each plugin, its loops and what it deferred together; 2 s unless given. */
  readonly stopTimeoutMs?: number
  /** Ends the starting; its reason is thrown. */
  readonly signal?: AbortSignal
}

/** Plugins that are set up. Disposing stops them in reverse order and never rejects. */
export interface RunningPlugins extends AsyncDisposable {
  /** By plugin, in the order of starting. */
  readonly parts: ReadonlyMap<string, Parts>
  readonly slots: Slots
  /** Starts reconcilers and loops in order; call once every writer of the tables has declared itself. */
  start(): void
  /** Rejects with PluginFailed when a reconciler or loop fails; never resolves. */
  readonly failed: Promise<never>
}

/** The project's plugins that have a section, in the order of the list. */
export function enabledPlugins(list: readonly Plugin[], sections: Readonly<Record<string, unknown>>): EnabledPlugin[] {
  return list
    .filter(plugin => Object.hasOwn(sections, plugin.name))
    .map(plugin => ({ plugin, section: sections[plugin.name] }))
}

/** A plugin that has taken its section. */
export interface ConfiguredPlugin {
  readonly name: string
  readonly setUp: Setup
}

/**
 * All that can be said of plugins before one is set up. Throws ConfigError (the order, a section, there is none) or
 * PluginFailed naming the plugin.
 */
export function configurePlugins(plugins: readonly EnabledPlugin[]): readonly ConfiguredPlugin[] {
  checkOrder(plugins.map(({ plugin }) => plugin))
  if (plugins.length === 0) requirePool({ ipam: new Map() }, DEFAULT_POOL, 'plugins')
  return plugins.map(({ plugin, section }) => ({ name: plugin.name, setUp: configure(plugin, section) }))
}

function configure(plugin: Plugin, section: unknown): Setup {
  try {
    const setUp: unknown = plugin.configure(section)
    if (typeof setUp !== 'function') throw new TypeError('it gave no function that sets it up')
    return setUp as Setup
  } catch (cause) {
    if (isConfigError(cause)) throw cause
    throw new PluginFailed(plugin.name, `its section could not be taken: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Sets all plugins up, one after another. Throws ConfigError (a section, the order, a slot, nobody serves the default
 * pool) or PluginFailed naming the plugin, with what it threw as cause; what was set up is stopped before.
 */
export async function setUpPlugins(options: RunOptions): Promise<RunningPlugins> {
  // All sections are checked before anything is built: a wrong key costs no half start.
  const setups = configurePlugins(options.plugins)
  await using undo = new AsyncDisposableStack()
  const lives = new Map<string, PluginLife>()
  const parts = new Map<string, Parts>()
  for (const { name, setUp } of setups) {
    options.signal?.throwIfAborted()
    const life = undo.use(lifeOf(name, options))
    parts.set(name, await setUpOne(life, setUp, options))
    lives.set(name, life)
    fillSlots(parts)
  }
  const slots = fillSlots(parts)
  requirePool(slots, DEFAULT_POOL, 'plugins')
  return running(lives, parts, slots, undo.move())
}

function running(
  lives: ReadonlyMap<string, PluginLife>,
  parts: ReadonlyMap<string, Parts>,
  slots: Slots,
  undo: AsyncDisposableStack,
): RunningPlugins {
  const failed = Promise.withResolvers<never>()
  // Whoever awaits it sees the failure; nobody has to.
  failed.promise.catch(() => undefined)
  return {
    parts,
    slots,
    failed: failed.promise,
    start() {
      for (const [name, life] of lives) {
        const made = parts.get(name)
        for (const reconciler of made?.reconcilers ?? []) life.run(signal => reconciler.start(signal), failed.reject)
        if (made?.run) life.run(signal => made.run?.(signal) ?? Promise.resolve(), failed.reject)
      }
    },
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  }
}

function lifeOf(name: string, options: RunOptions): PluginLife {
  const { log } = options.hostFor(name)
  return new PluginLife(name, {
    log,
    clock: options.clock ?? systemClock,
    stopTimeoutMs: options.stopTimeoutMs ?? 2_000,
  })
}

async function setUpOne(life: PluginLife, setUp: Setup, options: RunOptions): Promise<Parts> {
  const { log, metrics, kernel, tables, nodeName, families } = options.hostFor(life.name)
  const host: Host = {
    log,
    metrics,
    kernel,
    tables,
    nodeName,
    families,
    signal: life.signal,
    defer: disposable => {
      life.defer(disposable)
    },
  }
  try {
    const parts = life.setUp(() => setUp(host), options.setupTimeoutMs ?? 30_000)
    return checkParts(life.name, await (options.signal ? abortable(parts, options.signal) : parts))
  } catch (cause) {
    if (cause instanceof PluginFailed || isConfigError(cause) || options.signal?.aborted) throw cause
    throw new PluginFailed(life.name, `set-up failed: ${messageOf(cause)}`, { cause })
  }
}

/** Names are unique, and whoever must come after another does. */
function checkOrder(plugins: readonly Plugin[]): void {
  const names = plugins.map(plugin => plugin.name)
  for (const [i, plugin] of plugins.entries()) {
    if (names.indexOf(plugin.name) !== i) throw new ConfigError(plugin.name, 'two enabled plugins have this name')
    const late = plugin.after?.find(other => names.indexOf(other) > i)
    if (late !== undefined)
      throw new ConfigError(
        plugin.name,
        `must start after ${late}, but comes before it in the order ${names.join(', ')}`,
      )
  }
}
