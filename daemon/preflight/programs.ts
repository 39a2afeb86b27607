/** Whether this kernel takes the programs. */
import { constantsOf, hasOverlay } from '../datapath/program-plan.ts'
import type { DatapathOptions } from '../datapath/datapath.ts'
import { firstSizes } from '../datapath/map-sizes.ts'
import { loadProgramSet } from '../datapath/program-set.ts'
import { messageOf } from '../errors.ts'
import { type Finding, ok, problem } from './finding.ts'

/** A directory without pins, in which there can be none. */
const NO_PINS = '/proc/self/no-pins'
/** No device that packets could be sent to: the programs are never run. */
const NO_OVERLAY = { index: 0x7fffffff, mtu: 1450 }

export type ProgramsWanted = Pick<DatapathOptions, 'kernel' | 'settings' | 'constants' | 'overlay' | 'objects'>

/** Loads all of them with new maps, as a first start of the daemon would, and lets them go. Nothing is pinned or attached. */
export async function checkPrograms(wanted: ProgramsWanted): Promise<Finding[]> {
  const started = performance.now()
  const constants = constantsOf(wanted, hasOverlay(wanted) ? NO_OVERLAY : undefined)
  try {
    using _set = await loadProgramSet({
      objects: wanted.objects,
      pins: NO_PINS,
      constants,
      sizes: firstSizes(wanted.settings),
    })
    return [ok('programs', `this kernel takes all of them (${((performance.now() - started) / 1000).toFixed(1)} s)`)]
  } catch (error) {
    const wayOut = 'report it with the kernel’s release; a daemon that runs goes on with the programs it has'
    return [problem('programs', messageOf(error), wayOut)]
  }
}
