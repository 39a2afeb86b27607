/**
 * The process holds about what it uses. A first look at a cluster of thousands of nodes makes a hundred megabytes of
 * garbage within seconds; V8 lets its heap grow for that to several times of what is alive, keeps the room when nothing
 * happens afterwards, and so does the C library.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { returnLargePieces, trimMalloc } from './kernel/malloc.ts'
import type { Logger } from './plugin.ts'
import { type Clock, systemClock } from './state/clock.ts'
import { pause } from './state/pause.ts'

/**
 * What is collected by a look at 100 MB that are alive: the heap may grow by a third of them, where V8 would let it grow to
 * four times as much. The new generation stays at the megabyte it starts with, instead of growing to 128.
 */
const FLAGS = ['--heap-growing-percent=30', '--semi-space-growth-factor=1']

/** Call before there is much in the heap. */
export function keepMemorySmall(): void {
  for (const flag of FLAGS) setFlagsFromString(flag)
  returnLargePieces()
}

export interface MemoryOfProcess {
  /** Bytes that are resident. */
  readonly resident: () => number
  /** Microseconds of processor time so far. */
  readonly cpuUs: () => number
  readonly giveBack: () => void
}

/** How often the process is looked at. */
const LOOK_MS = 5000
/** The process is quiet when it has used less than this share of a processor since the last look. */
const QUIET = 0.1
/** Memory is given back once so much has come since, and this share of what is held. */
const WORTH_BYTES = 8e6
const WORTH_SHARE = 0.1
/** It stands still for a while each time: some 40 ms, and half a second with 100 MB that are alive. */
const AT_MOST_EVERY_MS = 10 * 60_000
/** A start comes to rest in steps. */
const FREE_TIMES = 3

/** Gives memory back whenever the process has grown and is quiet. Until the signal aborts. */
export async function giveBackWhenQuiet(
  log: Pick<Logger, 'debug'>,
  signal: AbortSignal,
  { clock = systemClock, of = THIS_PROCESS }: { readonly clock?: Clock; readonly of?: MemoryOfProcess } = {},
): Promise<void> {
  let [held, times, last, usedUs] = [0, 0, -Infinity, of.cpuUs()]
  while (!signal.aborted) {
    await pause(clock, LOOK_MS, signal)
    const nowUs = of.cpuUs()
    const quiet = nowUs - usedUs < QUIET * LOOK_MS * 1000
    usedUs = nowUs
    const resident = of.resident()
    const grown = resident - held
    const due = times < FREE_TIMES || clock.now() - last >= AT_MOST_EVERY_MS
    if (signal.aborted || !quiet || !due || grown < Math.max(WORTH_BYTES, WORTH_SHARE * held)) continue
    const started = clock.now()
    of.giveBack()
    held = of.resident()
    times++
    last = clock.now()
    log.debug({ from: resident, to: held, ms: Math.round(last - started) }, 'memory was given back')
  }
}

const THIS_PROCESS: MemoryOfProcess = {
  resident: () => process.memoryUsage.rss(),
  cpuUs: () => {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  giveBack() {
    collectGarbage()
    trimMalloc()
  },
}

type Collect = (options: { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' }) => void

/** All of it, and the pages that V8 keeps for later. V8 gives the function to contexts made while the flag is set. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  // V8 promises it, and it is not kept: its context would be.
  const collect = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
