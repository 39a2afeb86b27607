/** The objects of the project's chart, as `helm install` makes them; programs are started by the lab itself. */
import { renderManifests } from '../../helm/render.ts'
import { definitionOf, KINDS } from '../../../daemon/cluster/kinds/definitions.ts'
import type { ApiClient } from '../api-server/client.ts'

/** Kinds whose objects nobody in the lab would act on. */
const STARTED_BY_THE_LAB = ['DaemonSet', 'Deployment']
const CORE = 'v1'

/** Plural names of the kinds that the chart has. */
const PLURALS: Readonly<Record<string, string>> = {
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  ServiceAccount: 'serviceaccounts',
  ConfigMap: 'configmaps',
  PodDisruptionBudget: 'poddisruptionbudgets',
}

/** Rejects when the API server refuses one. The lab has a pool of its own. */
export async function installChart(admin: ApiClient): Promise<void> {
  for (const kind of KINDS)
    await put(admin, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definitionOf(kind) as Made)
  for (const manifest of renderManifests({ values: [{ ipPools: [] }] })) {
    if (STARTED_BY_THE_LAB.includes(manifest.kind)) continue
    const { apiVersion, kind, metadata } = manifest
    const group = apiVersion === CORE ? '/api/v1' : `/apis/${apiVersion}`
    const namespace = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
    await put(admin, `${group}${namespace}/${PLURALS[kind] ?? `${kind.toLowerCase()}s`}`, manifest)
  }
}

type Made = { readonly metadata: { readonly name: string } }

async function put(admin: ApiClient, collection: string, object: Made): Promise<void> {
  const path = `${collection}/${object.metadata.name}?fieldManager=helm&force=true`
  const { status, text } = await admin.patch(path, object, 'application/apply-patch+yaml')
  if (status >= 300) throw new Error(`the API server refuses ${path}: ${status} ${text}`)
}
