/** Plays a story's steps to a cluster source as the daemon runs it. */
import type { SourceProblem } from '../../daemon/cluster/source.ts'
import type { Tables } from '../../daemon/state/tables.ts'
import type { Step } from './story.ts'

/** What a source holds once it has taken in all that was written. */
export interface Known {
  readonly tables: Tables
  readonly problems: readonly SourceProblem[]
}

/** Brings manifests to a source, whichever way the source learns of them. */
export interface Player extends AsyncDisposable {
  write(file: string, text: string): void
  delete(file: string): void
  /** The source starts at the first call, and finds there what was written before. */
  settle(): Promise<Known>
}

/** What a story is told about. */
export interface Stage {
  readonly tables: Tables
  /** What the story expects at a step. */
  readonly describe: (known: Known) => string | Promise<string>
  /** Gives the node's uplink the addresses of such a step. */
  readonly setAddresses?: (text: string) => void
}

/** Carries the steps out and returns them with what the stage describes wherever the story expects something. */
export async function play(steps: readonly Step[], stage: Stage, player: Player): Promise<Step[]> {
  const told: Step[] = []
  for (const step of steps) {
    if (step.kind === 'write') player.write(step.file, step.text)
    if (step.kind === 'delete') player.delete(step.file)
    if (step.kind === 'addresses') stage.setAddresses?.(step.text)
    told.push(step.kind === 'expect' ? { kind: 'expect', text: await stage.describe(await player.settle()) } : step)
  }
  return told
}
