/** The bill of materials that lies in the image: SPDX 2.3 as JSON (ISO/IEC 5962). */
import { createHash } from 'node:crypto'
import type { ImageParts } from './content.ts'

interface SpdxPackage {
  readonly SPDXID: string
  readonly name: string
  readonly versionInfo: string
  readonly downloadLocation: 'NOASSERTION'
  readonly filesAnalyzed: false
  readonly licenseConcluded: 'NOASSERTION'
  readonly licenseDeclared: string
  readonly copyrightText: 'NOASSERTION'
  readonly checksums?: readonly { readonly algorithm: 'SHA256'; readonly checksumValue: string }[]
  readonly externalRefs: readonly object[]
}

/** Pure: no time and no chance in it; its name space is made of what it lists. */
export function sbom({ version, debian, npm, cni }: Omit<ImageParts, 'root'>): object {
  const own = spdxPackage({ kind: 'generic', name: 'causeway', version, licence: 'Apache-2.0' })
  const parts = [
    ...debian.map(p => spdxPackage({ kind: 'deb/debian', ...p, licence: 'NOASSERTION' })),
    ...Object.entries(cni.linked).map(([name, v]) =>
      spdxPackage({ kind: 'deb/debian', name, version: v, licence: 'NOASSERTION' }),
    ),
    ...[npm.node, npm.koffi, npm.native, ...npm.bundled].map(p => spdxPackage({ kind: 'npm', ...p })),
  ]
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex')
  const relate = (from: string, to: string, how: string): object => ({
    spdxElementId: from,
    relatedSpdxElement: to,
    relationshipType: how,
  })
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `causeway-${version}`,
    documentNamespace: `https://causeway.dev/spdx/${version}/${digest}`,
    creationInfo: { created: '1970-01-01T00:00:00Z', creators: [`Tool: causeway-image-${version}`] },
    packages: [own, ...parts],
    relationships: [
      relate('SPDXRef-DOCUMENT', own.SPDXID, 'DESCRIBES'),
      ...parts.map(p => relate(own.SPDXID, p.SPDXID, 'CONTAINS')),
    ],
  }
}

function spdxPackage(of: {
  readonly kind: string
  readonly name: string
  readonly version: string
  readonly licence: string
  readonly sha256?: string
}): SpdxPackage {
  const { kind, name, version, licence, sha256 } = of
  const locator = `pkg:${kind}/${name.replace('@', '%40')}@${encodeURIComponent(version)}`
  return {
    SPDXID: `SPDXRef-${kind.replace(/\W/g, '-')}-${name.replace(/[^A-Za-z0-9.]/g, '-')}`,
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: licence === '' ? 'NOASSERTION' : licence,
    copyrightText: 'NOASSERTION',
    ...(sha256 === undefined ? {} : { checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }] }),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: locator }],
  }
}
