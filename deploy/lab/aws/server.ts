/**
 * EC2's endpoint over HTTP, and beside it what tests ask: `GET /lab` tells all interfaces, what was asked how often, and
 * `PUT /lab/faults` makes calls go wrong (shares of `Faults`; `refused`: the connection is cut).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { MemoryAws } from '../../../plugins/cloud-core/memory/aws.ts'
import type { Faults } from '../../../plugins/cloud-core/memory/frontend.ts'
import type { Failure, FailureKind, SeenNic } from '../../../plugins/cloud-core/model.ts'
import { CloudFailure } from '../../../plugins/cloud-core/provider.ts'
import type { Ec2 } from './ec2.ts'
import { Form } from './form.ts'
import { answerText, errorText } from './xml.ts'

/** What `GET /lab` answers. */
export interface Ec2State {
  readonly nics: readonly SeenNic[]
  /** Requests by action. */
  readonly asked: Readonly<Record<string, number>>
}

export function ec2Server(ec2: Ec2, cloud: MemoryAws): Server {
  return createServer((request, response) => {
    void handle(ec2, cloud, request, response).catch((error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      response.destroy()
    })
  })
}

async function handle(ec2: Ec2, cloud: MemoryAws, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request)
  if (request.url === '/lab/faults') {
    // Written by the lab's tests.
    ec2.faults = JSON.parse(body) as Partial<Faults>
    response.end('{}')
  } else if (request.url === '/lab') {
    const state: Ec2State = { nics: [...cloud.nics.values()], asked: ec2.asked }
    response.end(JSON.stringify(state))
  } else await answer(ec2, new Form(body), response)
}

async function answer(ec2: Ec2, form: Form, response: ServerResponse): Promise<void> {
  const content = await ec2.answer(form).catch((error: unknown) => {
    if (error instanceof CloudFailure) return error.failure
    throw error
  })
  if (!isFailure(content)) return send(response, 200, answerText(form.action, content))
  // Which nobody gets to hear.
  if (content.kind === 'unreachable') return void response.destroy()
  const { status, code } = wordsOf(content)
  send(response, status, errorText(code, content.message))
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/xml;charset=UTF-8' }).end(text)
}

function isFailure(content: object): content is Failure {
  return 'kind' in content && 'message' in content
}

/** As EC2 says it (EC2 API reference, "Error codes for the Amazon EC2 API"). */
const WORDS: Readonly<Record<Exclude<FailureKind, 'unreachable'>, { readonly status: number; readonly code: string }>> =
  {
    throttled: { status: 503, code: 'RequestLimitExceeded' },
    full: { status: 400, code: 'InsufficientFreeAddressesInSubnet' },
    fragmented: { status: 400, code: 'InsufficientCidrBlocks' },
    limit: { status: 400, code: 'PrivateIpAddressLimitExceeded' },
    gone: { status: 400, code: 'InvalidNetworkInterfaceID.NotFound' },
    conflict: { status: 400, code: 'IncorrectState' },
    ambiguous: { status: 500, code: 'InternalError' },
    denied: { status: 403, code: 'UnauthorizedOperation' },
    invalid: { status: 400, code: 'InvalidParameterValue' },
  }

/** The cloud in memory begins with the code where EC2 has a particular one. */
function wordsOf({ kind, message }: Failure): { readonly status: number; readonly code: string } {
  if (kind === 'unreachable') throw new Error('it has no words')
  const own = /^[A-Z]\w+(\.\w+)?(?=: )/.exec(message)?.[0]
  const particular = kind === 'limit' || kind === 'conflict' || kind === 'gone' || kind === 'invalid'
  return own !== undefined && particular ? { ...WORDS[kind], code: own } : WORDS[kind]
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const part of request.setEncoding('utf8')) body += part
  return body
}
