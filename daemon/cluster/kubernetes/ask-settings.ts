/** The NodeSettings of this node before there is a daemon: asked of the API server, or what it said last. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { SettingsLayer } from '../../config/load.ts'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import { layersFor, type NodeSettingsRow, parseNodeSettings } from '../node-settings.ts'
import { ObjectError, ObjectField } from '../object-field.ts'
import { parseNode } from '../parse.ts'
import { ApiError } from './api-error.ts'
import type { ApiClient } from './client.ts'
import { RESOURCES } from './resources.ts'

export interface AskOptions {
  readonly client: Pick<ApiClient, 'get' | 'list'>
  readonly nodeName: string
  /** Where the last answer is kept. */
  readonly keptFile: string
  readonly log: Logger
}

/** A node whose API server is away starts with what was known rather than not at all. */
const ANSWER_MS = 5000

/** What is for this node, the one that counts most last. Never rejects for want of an answer. */
export async function askSettings(options: AskOptions, signal: AbortSignal): Promise<readonly SettingsLayer[]> {
  const { client, nodeName, keptFile, log } = options
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
  try {
    const node = parseNode(fieldOf(await client.get(RESOURCES.nodes, { name: nodeName }, limit), `Node ${nodeName}`))
    return layersFor(await allSettings(client, log, limit), node.labels)
  } catch (error) {
    signal.throwIfAborted()
    const kept = readKept(keptFile)
    log.warn(
      { error: messageOf(error), kept: kept.map(({ name }) => name).join(', ') },
      'the NodeSettings of this node could not be asked for; those of the last time count',
    )
    return kept
  }
}

async function allSettings(client: AskOptions['client'], log: Logger, signal: AbortSignal): Promise<NodeSettingsRow[]> {
  const rows: NodeSettingsRow[] = []
  try {
    for await (const { items } of client.list(RESOURCES.nodeSettings, {}, { signal }))
      for (const item of items) rows.push(...usable(item, log))
  } catch (error) {
    // A cluster without the kind has no settings of nodes.
    if (!(error instanceof ApiError && error.missing)) throw error
  }
  return rows
}

function usable(item: unknown, log: Logger): NodeSettingsRow[] {
  try {
    return [parseNodeSettings(fieldOf(item, 'NodeSettings'))]
  } catch (error) {
    if (!(error instanceof ObjectError)) throw error
    log.warn({ error: error.message }, 'a NodeSettings cannot be used')
    return []
  }
}

function fieldOf(object: unknown, place: string): ObjectField {
  return new ObjectField(object, () => place)
}

/** What is known for the case that the API server is away at the next start. */
export function keepSettings(file: string, layers: readonly SettingsLayer[]): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.tmp`, JSON.stringify(layers))
  renameSync(`${file}.tmp`, file)
}

function readKept(file: string): readonly SettingsLayer[] {
  try {
    // Written above, by this daemon or the one before.
    return JSON.parse(readFileSync(file, 'utf8')) as readonly SettingsLayer[]
  } catch {
    return []
  }
}
