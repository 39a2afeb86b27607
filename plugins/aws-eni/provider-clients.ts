/** Clients of EC2, one for each account and region: the only place where the SDK is loaded, and not before it is used. */
import type { EC2Client } from '@aws-sdk/client-ec2'
import type { AwsSdk } from './provider-apis.ts'
import { ASSUME_ROLE } from './permissions.ts'
import { failureOf, NOT_OF_EC2 } from './provider-failure.ts'

export interface Account {
  readonly region: string
  /** Role to take on; empty for the operator's own. */
  readonly roleArn: string
  readonly externalId: string
}

export interface ClientsOptions {
  /** Instead of AWS's own, of EC2 and STS alike; empty for those. */
  readonly endpoint: string
  /** How long an answer may take. */
  readonly timeoutMs: number
}

export interface Connection {
  readonly sdk: AwsSdk
  readonly client: EC2Client
}

const CONNECT_MS = 5000
/** As many calls as all budgets together give at once. */
const SOCKETS = 256
/** Before it is over the SDK asks for the next. */
const ROLE_SECONDS = 3600

export class Clients {
  readonly #options: ClientsOptions
  readonly #connections = new Map<string, Promise<Connection>>()

  constructor(options: ClientsOptions) {
    this.#options = options
  }

  connection(account: Account): Promise<Connection> {
    const key = keyOf(account)
    const found = this.#connections.get(key) ?? this.#connect(account)
    this.#connections.set(key, found)
    return found
  }

  async close(): Promise<void> {
    const open = await Promise.all(this.#connections.values())
    this.#connections.clear()
    for (const { client } of open) client.destroy()
  }

  async #connect(account: Account): Promise<Connection> {
    const sdk = await import('./sdk.ts')
    const role = account.roleArn === '' ? {} : { credentials: this.#role(sdk, account) }
    const client = new sdk.EC2Client({ ...this.#settings(account), ...role })
    // The SDK takes any text for the answer to a call that answers nothing but that it was done.
    client.middlewareStack.add(
      next => async args => {
        const result = await next(args)
        refuseOthers(result.response)
        return result
      },
      { step: 'deserialize', priority: 'low', name: 'refuseOthers' },
    )
    return { sdk, client }
  }

  /** One attempt: what is to be tried again is decided by whoever knows what has happened since. */
  #settings({ region }: Account) {
    const { endpoint, timeoutMs } = this.#options
    return {
      region,
      ...(endpoint === '' ? {} : { endpoint }),
      maxAttempts: 1,
      customUserAgent: 'causeway',
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        requestTimeout: timeoutMs,
        throwOnRequestTimeout: true,
        httpsAgent: { maxSockets: SOCKETS, keepAlive: true },
        httpAgent: { maxSockets: SOCKETS, keepAlive: true },
      },
    }
  }

  /** Credentials of a role, which the client keeps until they are about to expire. */
  #role(sdk: AwsSdk, account: Account) {
    const { roleArn, externalId } = account
    const client = new sdk.STSClient(this.#settings(account))
    const asked = { api: ASSUME_ROLE, writes: false, about: roleArn, policy: { roleArns: [roleArn] } }
    const input = {
      RoleArn: roleArn,
      RoleSessionName: 'causeway-operator',
      DurationSeconds: ROLE_SECONDS,
      ...(externalId === '' ? {} : { ExternalId: externalId }),
    }
    return async () => {
      try {
        const { Credentials: given } = await client.send(new sdk.AssumeRoleCommand(input))
        const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = given ?? {}
        if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined)
          throw new Error('the answer has no credentials')
        return {
          accessKeyId: AccessKeyId,
          secretAccessKey: SecretAccessKey,
          sessionToken: SessionToken,
          expiration: Expiration ?? new Date(Date.now() + ROLE_SECONDS * 1000),
        }
      } catch (error) {
        throw failureOf(error, asked, Date.now())
      }
    }
  }
}

/** EC2 always answers in XML. */
function refuseOthers(response: unknown): void {
  const { statusCode = 0, headers = {} } = response as {
    readonly statusCode?: number
    readonly headers?: Readonly<Record<string, string>>
  }
  const type = headers['content-type'] ?? 'none'
  if (!/xml/i.test(type)) throw new NotOfEc2(statusCode, type)
}

/** Something on the way, such as a proxy, has answered instead. */
export class NotOfEc2 extends Error {
  override readonly name = 'NotOfEc2'
  readonly code = NOT_OF_EC2
  readonly status: number
  constructor(status: number, type: string) {
    super(`it is none of EC2's: status ${status}, content type ${type}`)
    this.status = status
  }
}

export function keyOf({ region, roleArn, externalId }: Account): string {
  return `${region} ${roleArn} ${externalId}`
}
