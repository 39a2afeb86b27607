/** Asks for the features on the command line twice and prints as JSON what was found and whether it was remembered. */
import type { FeatureName } from '../kernel.ts'
import { FeatureProbes } from '../probe.ts'

const names = process.argv.slice(2) as FeatureName[] // the test's own
const probes = new FeatureProbes()
const found = names.map(name => {
  const feature = probes.feature(name)
  return { name, feature, remembered: probes.feature(name) === feature }
})
process.stdout.write(JSON.stringify(found))
