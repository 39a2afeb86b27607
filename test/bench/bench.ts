/** What a bench is, how samples are taken fairly and how they become results. */

/** One line of a bench: ours against a peer, or against a fixed figure where the target is absolute. */
export interface Result {
  readonly bench: string
  readonly case: string
  /** Median of ours, in `unit`. */
  readonly ours: number
  readonly unit: string
  /** Name of the peer; absent where the target is a figure. */
  readonly peer?: string
  /** Median of the peer, in `unit`. */
  readonly peerValue?: number
  /** Median of per-round ratios ours / peer; the ratio of the two figures where there are no quartiles. */
  readonly ratio?: number
  /** Lower and upper quartile of the ratios. */
  readonly quartiles?: readonly [number, number]
  /** In words, such as `≤ 0.7 ×` or `≤ 10 ms`; absent for what is printed for orientation. */
  readonly target?: string
  readonly ok?: boolean
  readonly samples: number
}

export interface BenchContext {
  readonly rounds: number
  /** Sizes are small: whether a bench runs is the question, not what it finds. */
  readonly brief?: boolean
  /** Progress for people, on stderr. */
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

export interface Bench {
  readonly name: string
  readonly summary: string
  run(context: BenchContext): AsyncIterable<Result>
}

/** Value below which a share of the samples lie, by linear interpolation; NaN for none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5)
}

/** Takes one sample of each case a round, in turn, so that what disturbs one disturbs all. One uncounted round first. */
export async function interleave<Name extends string, Sample = number>(
  cases: Readonly<Record<Name, () => Promise<Sample> | Sample>>,
  context: BenchContext,
): Promise<Record<Name, Sample[]>> {
  const names = Object.keys(cases) as Name[]
  const samples = Object.fromEntries(names.map(n => [n, [] as Sample[]])) as Record<Name, Sample[]>
  for (let round = -1; round < context.rounds; round++) {
    context.signal.throwIfAborted()
    for (const name of names) {
      const value = await cases[name]()
      if (round >= 0) samples[name].push(value)
    }
    context.say(`round ${round + 1} of ${context.rounds}`)
  }
  return samples
}

/** Ours against a peer, round by round; `limit` is the highest ratio that is still fine (or the lowest, with `atLeast`). */
export function compare(
  what: { readonly bench: string; readonly case: string; readonly unit: string; readonly peer: string },
  ours: readonly number[],
  peer: readonly number[],
  limit?: { readonly ratio: number; readonly atLeast?: boolean },
): Result {
  const { ratio, ...rest } = beside(what.peer, ours, peer)
  const verdict =
    limit === undefined
      ? {}
      : {
          target: `${limit.atLeast ? '≥' : '≤'} ${limit.ratio} ×`,
          ok: limit.atLeast ? ratio >= limit.ratio : ratio <= limit.ratio,
        }
  return {
    ...what,
    ours: median(ours),
    ...rest,
    ratio,
    samples: ours.length,
    ...verdict,
  }
}

/** A peer to be printed beside a figure of ours, by one value of each a round. */
export function beside(name: string, ours: readonly number[], peer: readonly number[]) {
  const ratios = ours.map((v, i) => v / (peer[i] ?? Number.NaN))
  return {
    peer: name,
    peerValue: median(peer),
    ratio: median(ratios),
    quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
  } as const
}

/**
 * A figure against a fixed limit. `value` is taken from the samples, by default their median. A peer is printed beside
 * it and decides nothing.
 */
export function against(
  what: {
    readonly bench: string
    readonly case: string
    readonly unit: string
    readonly peer?: string
    readonly peerValue?: number
    readonly ratio?: number
    readonly quartiles?: readonly [number, number]
  },
  samples: readonly number[],
  limit: number,
  value: (samples: readonly number[]) => number = median,
): Result {
  const ours = value(samples)
  return {
    ...(what.peerValue === undefined ? {} : { ratio: ours / what.peerValue }),
    ...what,
    ours,
    target: `≤ ${limit} ${what.unit}`,
    ok: ours <= limit,
    samples: samples.length,
  }
}
