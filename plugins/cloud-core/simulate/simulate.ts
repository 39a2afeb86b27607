/** A scenario with all that is shown of it. */
import { reportOf, type SimulationReport } from './report.ts'
import { ALGORITHMS, type Algorithm, type Outcome, runScenario, type Scenario } from './scenario.ts'
import { curveSvg } from './svg.ts'

export interface SimulateOptions {
  /** Others' algorithms, too. */
  readonly compare: boolean
  readonly signal: AbortSignal
  /** Progress for people, once in a while. */
  readonly say: (text: string) => void
}

const SAY_MS = 2000

/** Rejects when the signal aborts. */
export async function simulate(
  scenario: Scenario,
  { compare, signal, say }: SimulateOptions,
): Promise<{ readonly report: SimulationReport; readonly svg: string }> {
  const algorithms = (Object.keys(ALGORITHMS) as Algorithm[]).filter(name => compare || name === 'causeway')
  const outcomes: Outcome[] = []
  for (const algorithm of algorithms) {
    let saidMs = performance.now()
    const onProgress = (share: number): void => {
      if (performance.now() - saidMs < SAY_MS) return
      saidMs = performance.now()
      say(`${algorithm}: ${Math.floor(share * 100)} % of the pods have addresses`)
    }
    outcomes.push(await runScenario(scenario, algorithm, { signal, onProgress }))
  }
  const { nodes, pods, withinMs } = scenario
  const title = `${nodes} nodes, ${pods} pods each within ${withinMs / 1000} s`
  return { report: reportOf(scenario, outcomes), svg: curveSvg(title, outcomes) }
}
