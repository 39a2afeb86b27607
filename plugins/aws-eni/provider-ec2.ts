/** Calls of EC2, each made once, with answers read and errors told apart. */
import type { Filter, NetworkInterface } from '@aws-sdk/client-ec2'
import { CloudFailure } from '../cloud-core/provider.ts'
import type { PolicyFor } from './permissions.ts'
import { type Api, APIS } from './provider-apis.ts'
import { type Account, Clients, type ClientsOptions } from './provider-clients.ts'
import { type Asked, failureOf, garbled } from './provider-failure.ts'
import { type Eni, eniOf, must } from './provider-inventory.ts'

export interface Ec2Options extends ClientsOptions {
  readonly cluster: string
  readonly policy: PolicyFor
}

/** What is asked of whom, and for whom the words are. */
export interface Asking {
  readonly account: Account
  readonly about: string
  readonly signal: AbortSignal
}

/** Values that a filter takes at most, and results that a page has at most (EC2 API reference, "Filter your resources"). */
export const FILTER_VALUES = 200
const PAGE = 1000
/** A token that never ends is an answer of something else than EC2. */
const MOST_PAGES = 10_000

export class Ec2 {
  readonly #options: Ec2Options
  readonly #clients: Clients

  constructor(options: Ec2Options) {
    this.#options = options
    this.#clients = new Clients(options)
  }

  /** What `read` makes of the answer; throws CloudFailure, also when it throws. */
  async ask<Input, Output, Read>(
    api: Api<Input, Output>,
    { account, about, signal }: Asking,
    input: Input,
    read: (output: Output) => Read,
  ): Promise<Read> {
    const asked: Asked = { api: api.name, writes: api.scope !== 'read', about, policy: this.#options.policy }
    if (account.region === '')
      throw new CloudFailure('invalid', `${api.name} (${about}): neither a zone nor the configuration says the region`)
    const output = await this.#send(api, account, input, signal).catch((error: unknown) => {
      throw failureOf(signal.aborted ? signal.reason : error, asked, Date.now())
    })
    try {
      return read(output)
    } catch (error) {
      throw error instanceof CloudFailure ? error : garbled(asked, error instanceof Error ? error.message : '', error)
    }
  }

  /** All interfaces that a filter leaves, without those that are none of ours. */
  async enis(filters: Filter[], asking: Asking): Promise<Eni[]> {
    const { cluster } = this.#options
    const found = await this.pages(APIS.describeNics, asking, { Filters: filters }, ({ NetworkInterfaces }) =>
      must<NetworkInterface[] | undefined>(NetworkInterfaces, 'networkInterfaceSet')?.map(nic => eniOf(nic, cluster)),
    )
    return found.flatMap(eni => eni ?? [])
  }

  /** Of all pages of an answer. */
  async pages<
    Input extends { NextToken?: string | undefined },
    Output extends { NextToken?: string | undefined },
    Item,
  >(
    api: Api<Input, Output>,
    asking: Asking,
    input: Input,
    read: (output: Output) => readonly Item[] | undefined,
  ): Promise<Item[]> {
    const items: Item[] = []
    let token: string | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const next = { ...input, MaxResults: PAGE, ...(token === undefined ? {} : { NextToken: token }) }
      token = await this.ask(api, asking, next, output => {
        items.push(...(read(output) ?? []))
        return output.NextToken
      })
      if (token === undefined || token === '') return items
    }
    throw new CloudFailure('invalid', `${api.name} (${asking.about}): more than ${MOST_PAGES} pages`)
  }

  async close(): Promise<void> {
    await this.#clients.close()
  }

  async #send<Input, Output>(api: Api<Input, Output>, account: Account, input: Input, signal: AbortSignal) {
    signal.throwIfAborted()
    const { sdk, client } = await this.#clients.connection(account)
    return await api.send(sdk, client, input, { abortSignal: signal })
  }
}

export function filter(name: string, ...values: string[]): Filter {
  return { Name: name, Values: values }
}
