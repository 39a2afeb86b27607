/**
 * The plain manifests of deploy/manifests: what `kubectl apply --server-side` takes where there is no helm. One file for the
 * values of the chart and one for each file of deploy/cloud, `crds.yaml` for the own kinds.
 */
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { CHART, readCrds, readYaml, renderTexts, printManifests } from './render.ts'
import type { Values } from './values.ts'

export const MANIFESTS = join(import.meta.dirname, '../manifests')
export const CLOUD = join(import.meta.dirname, '../cloud')

/** Values by the name of the manifest: `default`, and the clouds. */
export function cloudValues(): ReadonlyMap<string, readonly Values[]> {
  const clouds = globSync('*.yaml', { cwd: CLOUD }).sort()
  return new Map<string, readonly Values[]>([
    ['default', []],
    ...clouds.map(file => [basename(file, '.yaml'), [readYaml(join(CLOUD, file)) as Values]] as const),
  ])
}

/** Text by name of the file. Comments of templates stay: they say what things are for. */
export function manifestFiles(): Map<string, string> {
  const files = new Map<string, string>()
  for (const [name, values] of cloudValues()) {
    const options = name === 'default' ? '' : ` -- --values deploy/cloud/${name}.yaml`
    const head = `# Printed by: npm run --silent render${options}\n`
    const texts = [...renderTexts({ values })].filter(([file, text]) => file.endsWith('.yaml') && text.trim() !== '')
    const documents = texts.map(([file, text]) => `---\n# ${file}\n${text.trim().replace(/^---\n/, '')}\n`)
    files.set(`${name}.yaml`, head + documents.join(''))
  }
  const crds = readCrds(CHART)
  if (crds.length > 0) files.set('crds.yaml', `# deploy/helm/causeway/crds in one file.\n${printManifests(crds)}`)
  return files
}
