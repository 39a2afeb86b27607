/** Which flow records somebody wants to see. */
import type { FlowFilter } from '../flow/flows.ts'
import { canonicalAddress } from '../kernel/ip.ts'
import { ApiError } from './router.ts'

/**
 * Reads a filter from a query: `pod=NAMESPACE/NAME` (or `NAMESPACE/`), which also fits what a pod's device saw,
 * `ip=ADDRESS`, `verdict`, `reason`, `protocol`. Values of one key are alternatives, keys must all hold. Throws ApiError BAD_FILTER.
 */
export function parseFilter(query: URLSearchParams): FlowFilter {
  const tests = [
    either(
      query,
      'pod',
      pod => r => [r.source.pod, r.destination.pod, r.interface.pod].some(name => matchesPod(name, pod)),
    ),
    either(query, 'ip', text => {
      const address = checkedAddress(text)
      return r => r.source.address === address || r.destination.address === address
    }),
    either(query, 'verdict', verdict => {
      if (verdict !== 'dropped' && verdict !== 'forwarded') bad(`verdict=${verdict}`, 'dropped or forwarded')
      return r => r.verdict === verdict
    }),
    either(query, 'reason', reason => r => r.reason?.name === reason),
    either(query, 'protocol', protocol => r => r.protocol.toLowerCase() === protocol.toLowerCase()),
  ]
  return record => tests.every(test => test(record))
}

function either(query: URLSearchParams, key: string, make: (value: string) => FlowFilter): FlowFilter {
  const tests = query.getAll(key).map(make)
  return record => tests.length === 0 || tests.some(test => test(record))
}

function matchesPod(pod: string | undefined, wanted: string): boolean {
  return pod !== undefined && (wanted.endsWith('/') ? pod.startsWith(wanted) : pod === wanted)
}

function checkedAddress(text: string): string {
  try {
    return canonicalAddress(text)
  } catch {
    return bad(`ip=${text}`, 'an IPv4 or IPv6 address')
  }
}

function bad(what: string, allowed: string): never {
  throw new ApiError(400, 'BAD_FILTER', `${what} is no filter; allowed: ${allowed}`)
}
