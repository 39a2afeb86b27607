/**
 * `POST /v1/cni/VERB`: what the CNI executable asks for. Bodies are checked here and nowhere further in; errors become
 * the CNI error as the executable prints it, with the whole chain of causes in `details`.
 */
import { isIP } from 'node:net'
import * as z from 'zod/mini'
import type { Endpoints } from '../endpoint/endpoints.ts'
import { AttachmentDiffers, AttachmentError, codeOf } from '../endpoint/errors.ts'
import { canonicalAddress } from '../kernel/ip.ts'
import type { PortMapping } from '../state/service-rows.ts'
import { CNI_CODES, type CniCode, codeOfDifference, codeOfError } from './cni-codes.ts'
import type { ApiAnswer, ApiRequest, Router } from './router.ts'

export const CNI_VERBS = ['add', 'del', 'check', 'gc', 'status'] as const
export type CniVerb = (typeof CNI_VERBS)[number]

/** Milliseconds for a request that names no deadline; the executable always names one. */
const DEADLINE_MS = 58_000

/** CNI specification, section 2: what names and container ids are made of. */
const name = z.string().check(z.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/))
const ifName = z.string().check(z.minLength(1), z.maxLength(15), z.regex(/^[^/:\s]+$/))
const path = z.string().check(z.startsWith('/'), z.maxLength(4095))
const mac = z.string().check(z.regex(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i))
const deadline = z.int().check(z.positive(), z.maximum(3_600_000))
const text = z._default(z.string(), '')

const common = { network: name, deadlineMs: z._default(deadline, DEADLINE_MS) }
const attachment = { ...common, containerId: name, ifName }
const args = z.prefault(z.object({ K8S_POD_NAMESPACE: text, K8S_POD_NAME: text, K8S_POD_UID: text }), {})
const port = z.int().check(z.minimum(1), z.maximum(65_535))
const portMapping = z.object({
  hostPort: port,
  containerPort: port,
  protocol: z.enum(['TCP', 'UDP', 'SCTP']),
  hostIP: z.optional(z.string().check(z.refine(text => isIP(text) > 0, 'no address'))),
})
const runtimeConfig = z.prefault(
  z.object({
    ips: z._default(z.array(z.string()), []),
    mac: z._default(z.union([mac, z.literal('')]), ''),
    portMappings: z._default(z.array(portMapping), []),
  }),
  {},
)

const bodies = {
  add: z.object({ ...attachment, netns: path, args, runtimeConfig }),
  del: z.object(attachment),
  check: z.object({ ...attachment, netns: path, prevResult: z.optional(z.unknown()) }),
  gc: z.object({ ...common, validAttachments: z.array(z.object({ containerID: z.string(), ifname: z.string() })) }),
}

/** Adds the five routes. */
export function addCniRoutes(router: Router, endpoints: Endpoints): Router {
  for (const verb of CNI_VERBS) {
    router.add('POST', `/v1/cni/${verb}`, request => answerCni(endpoints, verb, request))
  }
  return router
}

/** One request; never rejects. */
export async function answerCni(
  endpoints: Endpoints,
  verb: CniVerb,
  request: Pick<ApiRequest, 'body' | 'signal'>,
): Promise<ApiAnswer> {
  try {
    return { json: (await serve(endpoints, verb, request)) ?? {} }
  } catch (error) {
    return cniErrorAnswer(error)
  }
}

async function serve(
  endpoints: Endpoints,
  verb: CniVerb,
  { body, signal }: Pick<ApiRequest, 'body' | 'signal'>,
): Promise<object | void> {
  switch (verb) {
    case 'add':
      return add(endpoints, parse(bodies.add, body), signal)
    case 'del': {
      const { deadlineMs, ...id } = parse(bodies.del, body)
      return endpoints.del(id, deadlineMs)
    }
    case 'check': {
      const { deadlineMs, ...rest } = parse(bodies.check, body)
      return endpoints.check(rest, deadlineMs, signal)
    }
    case 'gc': {
      const { network, deadlineMs, validAttachments } = parse(bodies.gc, body)
      const valid = validAttachments.map(each => ({ containerId: each.containerID, ifName: each.ifname }))
      return endpoints.gc({ network, validAttachments: valid }, deadlineMs, signal)
    }
    case 'status':
      return endpoints.status()
  }
}

function add(endpoints: Endpoints, body: z.infer<typeof bodies.add>, signal: AbortSignal): Promise<object> {
  const { network, containerId, netns, deadlineMs } = body
  const { K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID } = body.args
  const pod = { namespace: K8S_POD_NAMESPACE, name: K8S_POD_NAME, uid: K8S_POD_UID }
  const { ips, mac: wished, portMappings } = body.runtimeConfig
  const ports = portMappings.map(({ hostIP, ...mapping }): PortMapping => {
    return hostIP === undefined ? mapping : { ...mapping, hostIP: canonicalAddress(hostIP) }
  })
  const wish = {
    ips,
    ...(wished === '' ? {} : { mac: wished }),
    ...(ports.length === 0 ? {} : { portMappings: ports }),
  }
  return endpoints.add({ network, containerId, ifName: body.ifName, netns, pod, ...wish }, deadlineMs, signal)
}

/** Throws `AttachmentError` BAD_REQUEST naming every member that is wrong. */
function parse<T>(schema: z.ZodMiniType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const problems = result.error.issues.map(issue => `${issue.path.join('.') || 'body'}: ${issue.message}`)
  throw new AttachmentError('BAD_REQUEST', problems.join('; '))
}

/**
 * The answer that says what was thrown. A daemon that stops says nothing: without an answer the executable asks the next
 * daemon for its ADD again and keeps its DEL on disk, while an error would fail the pod.
 */
export function cniErrorAnswer(error: unknown): ApiAnswer {
  if (codeOf(error) === 'STOPPING') return { hangUp: true }
  const { code, msg, details } = cniError(error)
  return { status: statusOf(code), json: { code, msg, details } }
}

/** The CNI error for whatever was thrown. */
export function cniError(error: unknown): { readonly code: CniCode; readonly msg: string; readonly details: string } {
  const first = error instanceof AttachmentDiffers ? error.differences[0] : undefined
  const code = first ? codeOfDifference(first.what) : codeOfError(codeOf(error))
  const chain = causeChain(error)
  return { code, msg: chain[0] ?? 'unknown error', details: chain.slice(1).join('; caused by: ') }
}

/** Messages from the outermost error to the innermost; an aggregate contributes those of all its members. */
export function causeChain(error: unknown): string[] {
  const chain: string[] = []
  for (let at: unknown = error; at !== undefined && chain.length < 32; at = causeOf(at)) {
    chain.push(at instanceof Error ? at.message : JSON.stringify(at))
    if (at instanceof AggregateError) return [...chain, ...at.errors.map(each => causeChain(each).join(': '))]
  }
  return chain
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}

function statusOf(code: CniCode): number {
  if (code === CNI_CODES.tryAgainLater || code === CNI_CODES.notAvailable) return 503
  return code === CNI_CODES.invalidConfiguration || code === CNI_CODES.invalidEnvironment ? 400 : 500
}
