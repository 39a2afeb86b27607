/** What this process may do and this kernel can. */
import { CAPABILITIES, type Capability } from '../capabilities.ts'
import type { Settings } from '../config/schema.ts'
import { familiesOf } from '../config/schema.ts'
import { messageOf } from '../errors.ts'
import { choosesTcx } from '../datapath/device-hooks.ts'
import { requireFamilies } from '../datapath/sysctls.ts'
import type { FeatureName, Kernel } from '../kernel/kernel.ts'
import { type Finding, ok, problem } from './finding.ts'

export function checkCapabilities(missing: readonly Capability[]): Finding[] {
  const names = CAPABILITIES.map(c => c.name)
  if (missing.length === 0) return [ok('capabilities', names.map(n => `CAP_${n}`).join(', '))]
  const wayOut = `run it as root; in a container with securityContext.capabilities.add: [${names.join(', ')}]`
  return missing.map(({ name, why }) => problem('capabilities', `CAP_${name} is missing: it ${why}`, wayOut))
}

type Wanted = Pick<Settings, 'families' | 'datapath' | 'routing' | 'services'>

/** A feature that is not known to be there: an attempt that failed for another reason says so later, where it matters. */
export function checkKernel(kernel: Pick<Kernel, 'feature' | 'release' | 'sysctl'>, settings: Wanted): Finding[] {
  const needed = featuresFor(settings)
  const found: Finding[] = needed.flatMap(name => {
    const feature = kernel.feature(name)
    if (feature.state === 'present') return []
    const why = feature.state === 'absent' ? feature.reason : feature.error
    return [problem('kernel', `${name}: ${why}`, 'use Linux 6.1 or newer, as distributions build it')]
  })
  for (const attempt of [
    () => choosesTcx(kernel, settings.datapath.tcx),
    () => requireFamilies(kernel, familiesOf(settings)),
  ])
    try {
      attempt()
    } catch (error) {
      found.push(problem('kernel', messageOf(error), 'change the configuration, or the kernel'))
    }
  return found.length > 0 ? found : [ok('kernel', `Linux ${kernel.release} has ${needed.join(', ')}`)]
}

function featuresFor({ routing, services }: Wanted): FeatureName[] {
  return [
    'veth',
    'shared-block',
    'redirect-peer',
    'ring-buffer',
    ...(routing.mode === 'native' ? [] : (['vxlan'] as const)),
    ...(services.socket ? (['cgroup-sock-addr'] as const) : []),
  ]
}
