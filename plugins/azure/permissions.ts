/** The role that the operator needs in Azure, made of the table of operations that the provider makes. Pure. */
import { APIS } from './provider-apis.ts'

export interface RoleFor {
  /** Subscriptions, or resource groups of them, that the role can be given in. */
  readonly scopes?: readonly string[]
}

/** A role definition as `az role definition create --role-definition` takes it, with a line end. */
export function azurePermissions({ scopes = ['/subscriptions/SUBSCRIPTION'] }: RoleFor = {}): string {
  const role = {
    Name: 'Causeway addresses',
    IsCustom: true,
    Description: 'IP configurations of the machines of a Kubernetes cluster, for addresses of pods',
    Actions: azureActions(),
    NotActions: [],
    DataActions: [],
    NotDataActions: [],
    AssignableScopes: scopes,
  }
  return `${JSON.stringify(role, undefined, 2)}\n`
}

export function azureActions(): string[] {
  return [...new Set(Object.values(APIS).flatMap(({ permissions }) => permissions as readonly string[]))].sort()
}

/** What a role must allow for an operation, for who was denied it. */
export function actionsFor(permissions: readonly string[]): string {
  return JSON.stringify({ Actions: permissions })
}
