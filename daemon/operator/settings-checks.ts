/** What daemons would say of NodeSettings, each by itself and together with others for the same nodes. */
import type { Refusal } from '../cluster-side.ts'
import { settingsGroups } from './judge-settings.ts'
import type { ClusterNodeRow, SettingsRow } from './rows.ts'

export class SettingsChecks {
  readonly #refusal: Refusal
  /** By which NodeSettings of which generation were laid over the file. */
  #known = new Map<string, Promise<string | undefined>>()

  constructor(refusal: Refusal) {
    this.#refusal = refusal
  }

  /** By the names of those that cannot be used. */
  async refusals(all: readonly SettingsRow[], nodes: readonly ClusterNodeRow[]): Promise<ReadonlyMap<string, string>> {
    const asked = new Map<string, Promise<string | undefined>>()
    const ask = async (rows: readonly SettingsRow[]): Promise<string | undefined> => {
      const key = JSON.stringify(rows.map(({ uid, generation }) => [uid, generation]))
      const answer = this.#known.get(key) ?? this.#refusal(rows.toReversed())
      asked.set(key, answer)
      return await answer
    }
    const refused = new Map<string, string>()
    for (const row of all) {
      const alone = await ask([row])
      if (alone !== undefined) refused.set(row.name, alone)
    }
    for (const { node, selecting } of settingsGroups(all, nodes)) {
      // With one that is refused by itself the whole is, and that is said already.
      if (selecting.length < 2 || selecting.some(({ name }) => refused.has(name))) continue
      const together = await ask(selecting)
      if (together === undefined) continue
      const names = selecting.map(({ name }) => name).join(', ')
      for (const { name } of selecting) refused.set(name, `${names} together, for node ${node}: ${together}`)
    }
    this.#known = asked
    return refused
  }
}
