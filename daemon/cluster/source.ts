/** What every cluster source is to the rest of the daemon. */

/** Something a person must see to; shown by `causeway status`. */
export interface SourceProblem {
  /** Where: `file:line` or an object's name. */
  readonly place: string
  readonly message: string
}

/** Writes the tables `nodes` and `pods`. Made by a function that declares it to both tables. */
export interface ClusterSource {
  readonly name: string
  /** Syncs until the signal aborts, then resolves. A rejection stops the daemon. */
  run(signal: AbortSignal): Promise<void>
  /** Problems as of now, in a stable order. */
  problems(): readonly SourceProblem[]
}
