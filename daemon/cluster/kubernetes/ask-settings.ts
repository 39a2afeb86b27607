/** The NodeSettings of this node before there is a daemon: asked of the API server, or what was used last. */
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
  readonly log: Logger
}

/** A node whose API server is away starts with what was known rather than not at all. */
const ANSWER_MS = 5000

/**
 * What is for this node, the one that counts most last; undefined for want of an answer. Rejects only when the signal
 * aborts.
 */
export async function askSettings(
  { client, nodeName, log }: AskOptions,
  signal: AbortSignal,
): Promise<readonly SettingsLayer[] | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
  try {
    const node = parseNode(fieldOf(await client.get(RESOURCES.nodes, { name: nodeName }, limit), `Node ${nodeName}`))
    return layersFor(await allSettings(client, log, limit), node.labels)
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ error: messageOf(error) }, 'the NodeSettings of this node could not be asked for')
    return undefined
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

/** Keeps what is used for a start that cannot ask, or is told what cannot be used. Throws errors of the file system. */
export function keepSettings(file: string, layers: readonly SettingsLayer[]): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.tmp`, JSON.stringify(layers), { mode: 0o600, flush: true })
  renameSync(`${file}.tmp`, file)
}

/** None where none are kept, or what is kept has another form. */
export function keptSettings(file: string): readonly SettingsLayer[] {
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as unknown
    return Array.isArray(kept) && kept.every(isLayer) ? kept : []
  } catch {
    return []
  }
}

function isLayer(value: unknown): value is SettingsLayer {
  const { name, settings } = Object(value) as Readonly<Record<string, unknown>>
  return typeof name === 'string' && typeof settings === 'object' && settings !== null
}
