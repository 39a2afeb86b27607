/**
 * Times programs with `cw-probe spawn`: starting a program from Node costs more than the programs measured here take.
 */
import { PROBE } from '../../../deploy/lab/built.ts'
import { inNamespace, runCommand } from '../../../deploy/lab/command.ts'

/** One program of a run. `{}` in any text stands for the run's number. */
export interface Stage {
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
  /** Path of the file that is standard input. */
  readonly input: string
  /** Absolute path of the program, and its arguments. */
  readonly command: readonly string[]
}

export interface SpawnOptions {
  readonly runs: number
  /** Number of the first run; 0. */
  readonly first?: number
  /** All runs at once instead of one after another. */
  readonly parallel?: boolean
  /** nsfs path of the namespace to run in. */
  readonly netns?: string
  readonly signal?: AbortSignal
}

export interface SpawnTimes {
  /** Of each run, from exec to exit, summed over its stages; in the order of the runs. */
  readonly ms: readonly number[]
  readonly cpuMs: readonly number[]
  /** From the first start to the last end. */
  readonly totalMs: number
  /** The largest resident size of any stage. KiB. */
  readonly maxRssKib: number
}

/** Runs the stages one after the other, `runs` times. Rejects with what they wrote when a run failed. */
export async function timeSpawns(stages: readonly Stage[], options: SpawnOptions): Promise<SpawnTimes> {
  const command = [PROBE, 'spawn', ...spawnArguments(stages, options)]
  const { netns, signal } = options
  const result = await runCommand(
    netns === undefined ? command : inNamespace(netns, command),
    signal === undefined ? {} : { signal },
  )
  if (result.status !== 0) throw new Error(`${stages.map(s => s.command.join(' ')).join(' + ')}: ${result.stderr}`)
  return JSON.parse(result.stdout) as SpawnTimes
}

/** The arguments behind `spawn`. */
export function spawnArguments(stages: readonly Stage[], { runs, first = 0, parallel }: SpawnOptions): string[] {
  const words = stages.map(({ env, input, command }) => [
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    `<${input}`,
    ...command,
  ])
  const script = words.flatMap((stage, i) => (i === 0 ? stage : ['+', ...stage]))
  return [...(parallel ? ['--parallel'] : []), '--first', `${first}`, `${runs}`, ...script]
}
