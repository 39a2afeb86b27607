/** Who may speak to the server: bearer tokens and the users they stand for. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto'

export interface User {
  readonly name: string
  readonly groups: readonly string[]
  readonly uid: string
}

/** May do everything; nothing it asks is looked up in roles. */
export const MASTERS = 'system:masters'
const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'], uid: '' }

export class Users {
  readonly adminToken: string
  readonly #users = new Map<string, User>()
  readonly #secret: string

  /** Tokens are derived from `secret`: a server that starts again with the same one knows the same tokens. */
  constructor(secret = randomBytes(24).toString('hex')) {
    this.#secret = secret
    this.adminToken = this.add('kubernetes-admin', [MASTERS])
  }

  /** Makes a user known; the answer is the token it speaks with, the same each time. */
  add(name: string, groups: readonly string[] = []): string {
    const token = createHmac('sha256', this.#secret).update(name).digest('base64url')
    const uid = this.#users.get(token)?.uid ?? randomUUID()
    this.#users.set(token, { name, groups: [...groups, 'system:authenticated'], uid })
    return token
  }

  /** The token of a service account, which need not exist as an object. */
  serviceAccount(namespace: string, name: string): string {
    return this.add(`system:serviceaccount:${namespace}:${name}`, serviceAccountGroups(namespace))
  }

  /** Makes a token unknown. */
  revoke(token: string): void {
    this.#users.delete(token)
  }

  /** Who sends an `Authorization` header; undefined when what it says is not known here. */
  identify(authorization: string | undefined): User | undefined {
    if (authorization === undefined || authorization === '') return ANONYMOUS
    const [, token = ''] = /^Bearer +(\S+)$/i.exec(authorization) ?? []
    return this.#users.get(token)
  }
}

function serviceAccountGroups(namespace: string): string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`]
}

/** Somebody by name alone; a service account has the groups that its name says. */
export function impersonated(name: string, groups: readonly string[]): User {
  const [, namespace] = /^system:serviceaccount:([^:]+):[^:]+$/.exec(name) ?? []
  const own = namespace === undefined ? groups : [...groups, ...serviceAccountGroups(namespace)]
  return { name, groups: [...own, 'system:authenticated'], uid: '' }
}
