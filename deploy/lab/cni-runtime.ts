/**
 * A small container runtime's CNI side: reads the first network configuration list of a directory and runs its plugins
 * as the CNI specification 1.1.0 says (section 3: in order with `prevResult` for ADD and CHECK, in reverse for DEL).
 * Results are cached per attachment, because DEL and CHECK need them.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inNamespace, runCommand } from './command.ts'

export interface CniInterface {
  readonly name: string
  readonly mac?: string
  readonly mtu?: number
  readonly sandbox?: string
}
export interface CniResult {
  readonly cniVersion: string
  readonly interfaces?: readonly CniInterface[]
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[]
  readonly routes?: readonly { readonly dst: string; readonly gw?: string; readonly mtu?: number }[]
  readonly dns?: object
}

/** What identifies an attachment, and what a runtime passes for it. */
export interface Attachment {
  readonly containerId: string
  /** nsfs path of the container's namespace; absent for a DEL after the namespace is gone. */
  readonly netns?: string
  readonly ifName: string
  /** CNI_ARGS. */
  readonly args?: Readonly<Record<string, string>>
  /** `runtimeConfig` of those plugins that declare the capability. */
  readonly capabilities?: Readonly<Record<string, unknown>>
}

export interface CniRuntimeOptions {
  /** Directory of network configuration lists; the alphabetically first is used. */
  readonly confDir: string
  readonly binDirs: readonly string[]
  readonly cacheDir: string
  /** Namespace that the plugins run in, as a node's runtime would; absent: where this process stands. */
  readonly nodeNetns?: string
  /** Highest version of the specification this runtime speaks. */
  readonly highestVersion?: string
  readonly signal?: AbortSignal
}

/** An error a plugin reported (specification, section 5: code, msg, details), or its failure to report one (code 0). */
export class CniError extends Error {
  override readonly name = 'CniError'
  readonly code: number
  readonly details: string
  readonly plugin: string
  constructor(plugin: string, code: number, message: string, details: string) {
    super(`${plugin}: ${message}${details === '' ? '' : `; ${details}`} (code ${code})`)
    this.plugin = plugin
    this.code = code
    this.details = details
  }
}

interface PluginConf {
  readonly type: string
  readonly capabilities?: Readonly<Record<string, boolean>>
  readonly [key: string]: unknown
}
interface ConfList {
  readonly cniVersion: string
  readonly cniVersions?: readonly string[]
  readonly name: string
  readonly disableCheck?: boolean
  readonly disableGC?: boolean
  readonly plugins: readonly PluginConf[]
}
type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS'

export class CniRuntime {
  readonly #options: CniRuntimeOptions
  constructor(options: CniRuntimeOptions) {
    this.#options = options
  }

  /** Adds a container to the network. After a failure the caller decides whether to call `del`, as kubelet does. */
  async add(attachment: Attachment): Promise<CniResult> {
    const list = await this.#load()
    let prevResult: CniResult | undefined
    for (const plugin of list.plugins) {
      const text = await this.#invoke('ADD', list, plugin, attachment, prevResult)
      prevResult = JSON.parse(text) as CniResult
    }
    if (prevResult === undefined) throw new Error(`${list.name} has no plugins`)
    await this.#cache(list, attachment, prevResult)
    return prevResult
  }

  /** Throws the first CniError; a plugin fails the check when the attachment is not as its result said. */
  async check(attachment: Attachment): Promise<void> {
    const list = await this.#load()
    const cached = await this.cached(attachment)
    for (const plugin of list.plugins) await this.#invoke('CHECK', list, plugin, attachment, cached)
  }

  /** Removes a container from the network; repeating it is fine. */
  async del(attachment: Attachment): Promise<void> {
    const list = await this.#load()
    const cached = await this.cached(attachment)
    for (const plugin of list.plugins.toReversed()) await this.#invoke('DEL', list, plugin, attachment, cached)
    await rm(this.#cachePath(list, attachment), { force: true })
  }

  /** Tells the plugins which attachments there are; they remove all others. Needs a list of version 1.1.0. */
  async gc(valid: readonly Pick<Attachment, 'containerId' | 'ifName'>[]): Promise<void> {
    const list = await this.#load()
    const attachments = valid.map(a => ({ containerID: a.containerId, ifname: a.ifName }))
    for (const plugin of list.plugins)
      await this.#invoke('GC', list, { ...plugin, 'cni.dev/valid-attachments': attachments })
  }

  /** Resolves when every plugin can serve an ADD. Needs a list of version 1.1.0. */
  async status(): Promise<void> {
    const list = await this.#load()
    for (const plugin of list.plugins) await this.#invoke('STATUS', list, plugin)
  }

  /** The result of the attachment's ADD, undefined when there was none. */
  async cached(attachment: Attachment): Promise<CniResult | undefined> {
    const list = await this.#load()
    const text = await readFile(this.#cachePath(list, attachment), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as CniResult)
  }

  async #load(): Promise<ConfList> {
    const names = (await readdir(this.#options.confDir)).filter(n => n.endsWith('.conflist')).sort()
    const [first] = names
    if (first === undefined) throw new Error(`no network configuration in ${this.#options.confDir}`)
    const list = JSON.parse(await readFile(join(this.#options.confDir, first), 'utf8')) as ConfList
    return { ...list, cniVersion: chooseVersion(list, this.#options.highestVersion ?? '1.1.0') }
  }

  async #invoke(
    verb: Verb,
    list: ConfList,
    plugin: PluginConf,
    attachment?: Attachment,
    prevResult?: CniResult,
  ): Promise<string> {
    const executable = this.#options.binDirs.map(d => join(d, plugin.type)).find(existsSync)
    if (executable === undefined) throw new Error(`no CNI plugin ${plugin.type} in ${this.#options.binDirs.join(', ')}`)
    const { nodeNetns, signal } = this.#options
    const command = nodeNetns === undefined ? [executable] : inNamespace(nodeNetns, [executable])
    const result = await runCommand(command, {
      input: JSON.stringify(pluginInput(list, plugin, attachment, prevResult)),
      env: pluginEnvironment(verb, this.#options.binDirs, attachment),
      ...(signal === undefined ? {} : { signal }),
    })
    if (result.status !== 0) throw readError(plugin.type, result.stdout, result.stderr)
    return result.stdout
  }

  #cachePath(list: ConfList, attachment: Attachment): string {
    return join(this.#options.cacheDir, `${list.name}-${attachment.containerId}-${attachment.ifName}`)
  }
  async #cache(list: ConfList, attachment: Attachment, result: CniResult): Promise<void> {
    await mkdir(this.#options.cacheDir, { recursive: true })
    const path = this.#cachePath(list, attachment)
    const temporary = `${path}.${randomUUID()}`
    await writeFile(temporary, JSON.stringify(result))
    await rename(temporary, path)
  }
}

/** The highest version both sides speak (specification, section 1: `cniVersions`). */
function chooseVersion(list: ConfList, highest: string): string {
  const number = (v: string): number => v.split('.').reduce((n, part) => n * 1000 + Number(part), 0)
  const shared = [list.cniVersion, ...(list.cniVersions ?? [])].filter(v => number(v) <= number(highest))
  return shared.toSorted((a, b) => number(b) - number(a))[0] ?? list.cniVersion
}

/** A plugin's standard input: its own configuration, completed by the runtime (specification, section 3.2). */
function pluginInput(list: ConfList, plugin: PluginConf, attachment?: Attachment, prevResult?: CniResult): object {
  const declared = Object.entries(attachment?.capabilities ?? {}).filter(([name]) => plugin.capabilities?.[name])
  return {
    ...plugin,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(declared.length === 0 ? {} : { runtimeConfig: Object.fromEntries(declared) }),
    ...(prevResult === undefined ? {} : { prevResult }),
  }
}

function pluginEnvironment(verb: Verb, binDirs: readonly string[], attachment?: Attachment): NodeJS.ProcessEnv {
  const path = { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', CNI_PATH: binDirs.join(':') }
  if (attachment === undefined) return { ...path, CNI_COMMAND: verb }
  const args = Object.entries(attachment.args ?? {}).map(([name, value]) => `${name}=${value}`)
  return {
    ...path,
    CNI_COMMAND: verb,
    CNI_CONTAINERID: attachment.containerId,
    CNI_IFNAME: attachment.ifName,
    ...(attachment.netns === undefined ? {} : { CNI_NETNS: attachment.netns }),
    ...(args.length === 0 ? {} : { CNI_ARGS: args.join(';') }),
  }
}

function readError(plugin: string, stdout: string, stderr: string): CniError {
  try {
    const error = JSON.parse(stdout) as { readonly code: number; readonly msg: string; readonly details?: string }
    return new CniError(plugin, error.code, error.msg, error.details ?? '')
  } catch {
    return new CniError(plugin, 0, 'failed without a CNI error', `${stdout}${stderr}`.trim())
  }
}
