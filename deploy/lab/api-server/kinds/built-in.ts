/** Kubernetes' own resources that this server knows. */
import type { Resource, ScalePaths } from './resource.ts'
import { builtInShape } from './shape.ts'

interface Extras {
  readonly short?: readonly string[]
  readonly singular?: string
  readonly namespaced?: boolean
  readonly status?: boolean
  readonly scale?: ScalePaths
  readonly counted?: boolean
  readonly fields?: readonly string[]
  readonly virtual?: boolean
  readonly categories?: readonly string[]
}

function resource(group: string, version: string, plural: string, kind: string, extras: Extras = {}): Resource {
  return {
    group,
    version,
    plural,
    kind,
    singular: extras.singular ?? kind.toLowerCase(),
    shortNames: extras.short ?? [],
    categories: extras.categories ?? [],
    namespaced: extras.namespaced ?? false,
    status: extras.status ?? false,
    scale: extras.scale,
    counted: extras.counted ?? false,
    fields: extras.fields ?? [],
    shape: builtInShape(group, kind),
    custom: undefined,
    virtual: extras.virtual ?? false,
  }
}

const replicas: ScalePaths = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.spec.selector',
}
const RBAC = 'rbac.authorization.k8s.io'
const ADMISSION = 'admissionregistration.k8s.io'
const REVIEW = 'authorization.k8s.io'
const EVENT_FIELDS = ['involvedObject.kind', 'involvedObject.namespace', 'involvedObject.name', 'involvedObject.uid']

/** In the order of discovery. Fields are those of the kinds' own selectors (kubernetes pkg/registry). */
export const BUILT_IN_RESOURCES: readonly Resource[] = [
  resource('', 'v1', 'bindings', 'Binding', { namespaced: true, virtual: true }),
  resource('', 'v1', 'configmaps', 'ConfigMap', { short: ['cm'], namespaced: true }),
  resource('', 'v1', 'endpoints', 'Endpoints', { short: ['ep'], namespaced: true }),
  resource('', 'v1', 'events', 'Event', {
    short: ['ev'],
    namespaced: true,
    fields: [...EVENT_FIELDS, 'reason', 'type', 'reportingComponent'],
  }),
  resource('', 'v1', 'namespaces', 'Namespace', { short: ['ns'], status: true, fields: ['status.phase'] }),
  resource('', 'v1', 'nodes', 'Node', { short: ['no'], status: true, fields: ['spec.unschedulable'] }),
  resource('', 'v1', 'pods', 'Pod', {
    short: ['po'],
    namespaced: true,
    status: true,
    counted: true,
    categories: ['all'],
    fields: [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.serviceAccountName',
      'spec.hostNetwork',
      'status.phase',
      'status.podIP',
    ],
  }),
  resource('', 'v1', 'secrets', 'Secret', { namespaced: true, fields: ['type'] }),
  resource('', 'v1', 'serviceaccounts', 'ServiceAccount', { short: ['sa'], namespaced: true }),
  resource('', 'v1', 'services', 'Service', {
    short: ['svc'],
    namespaced: true,
    status: true,
    categories: ['all'],
    fields: ['spec.clusterIP', 'spec.type'],
  }),
  resource('apps', 'v1', 'controllerrevisions', 'ControllerRevision', { namespaced: true }),
  resource('apps', 'v1', 'daemonsets', 'DaemonSet', {
    short: ['ds'],
    namespaced: true,
    status: true,
    counted: true,
    categories: ['all'],
  }),
  resource('apps', 'v1', 'deployments', 'Deployment', {
    short: ['deploy'],
    namespaced: true,
    status: true,
    counted: true,
    scale: replicas,
    categories: ['all'],
  }),
  resource('apps', 'v1', 'replicasets', 'ReplicaSet', {
    short: ['rs'],
    namespaced: true,
    status: true,
    counted: true,
    scale: replicas,
    categories: ['all'],
  }),
  resource(REVIEW, 'v1', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview', { virtual: true }),
  resource(REVIEW, 'v1', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview', { virtual: true }),
  resource('authentication.k8s.io', 'v1', 'selfsubjectreviews', 'SelfSubjectReview', { virtual: true }),
  resource('batch', 'v1', 'jobs', 'Job', { namespaced: true, status: true, counted: true, categories: ['all'] }),
  resource('coordination.k8s.io', 'v1', 'leases', 'Lease', { namespaced: true }),
  resource('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice', { namespaced: true, counted: true }),
  resource('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy', {
    short: ['netpol'],
    namespaced: true,
    counted: true,
  }),
  resource('networking.k8s.io', 'v1', 'servicecidrs', 'ServiceCIDR', { status: true }),
  resource('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget', {
    short: ['pdb'],
    namespaced: true,
    status: true,
    counted: true,
  }),
  resource(RBAC, 'v1', 'clusterrolebindings', 'ClusterRoleBinding'),
  resource(RBAC, 'v1', 'clusterroles', 'ClusterRole'),
  resource(RBAC, 'v1', 'rolebindings', 'RoleBinding', { namespaced: true }),
  resource(RBAC, 'v1', 'roles', 'Role', { namespaced: true }),
  resource('scheduling.k8s.io', 'v1', 'priorityclasses', 'PriorityClass', { short: ['pc'], counted: true }),
  resource(ADMISSION, 'v1', 'mutatingwebhookconfigurations', 'MutatingWebhookConfiguration', { counted: true }),
  resource(ADMISSION, 'v1', 'validatingwebhookconfigurations', 'ValidatingWebhookConfiguration', { counted: true }),
  resource(ADMISSION, 'v1', 'validatingadmissionpolicies', 'ValidatingAdmissionPolicy', {
    status: true,
    counted: true,
  }),
  resource(ADMISSION, 'v1', 'validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding', { counted: true }),
  resource('apiextensions.k8s.io', 'v1', 'customresourcedefinitions', 'CustomResourceDefinition', {
    short: ['crd', 'crds'],
    status: true,
    counted: true,
    categories: ['api-extensions'],
  }),
]
