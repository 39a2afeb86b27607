import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TraceQuestion, TraceRefused } from '../trace/question.ts'
import type { Tracer } from '../trace/tracer.ts'
import { ApiError, Router } from './router.ts'
import { addTraceRoute } from './trace-route.ts'

async function get(query: string, tracer?: Pick<Tracer, 'trace'>): Promise<unknown> {
  const { handler, params } = addTraceRoute(new Router(), () => tracer).match('GET', '/v1/trace')
  const { signal } = new AbortController()
  const request = {
    method: 'GET',
    path: '/v1/trace',
    params,
    query: new URLSearchParams(query),
    body: undefined,
    signal,
  }
  return await handler(request)
}

test('a question is read from the query', async () => {
  let asked: TraceQuestion | undefined
  const trace: Tracer['trace'] = question => {
    asked = question
    return Promise.reject(new TraceRefused('NO_POD', 'there is no pod', 404))
  }
  const query = 'from=a&to=web:80&protocol=UDP&source-port=53&flags=sa&size=99&device=eth0&in=1'
  await assert.rejects(
    get(query, { trace }),
    (e: unknown) => e instanceof ApiError && e.status === 404 && e.code === 'NO_POD',
  )
  assert.deepEqual(asked, {
    from: 'a',
    to: 'web:80',
    protocol: 'udp',
    sourcePort: 53,
    flags: 'SA',
    size: 99,
    device: 'eth0',
    arrives: true,
  })
})

const bad = {
  'to=b': /from= is not/,
  'from=a&to=b&protocol=gre': /tcp, udp, sctp, icmp/,
  'from=a&to=b&size=-1': /size=-1/,
}
for (const [query, message] of Object.entries(bad))
  test(`${query} is refused`, async () => {
    const trace = () => Promise.reject(new Error('not asked'))
    await assert.rejects(get(query, { trace }), { name: 'ApiError', status: 400, message })
  })

test('nothing is traced before the datapath is up', async () => {
  await assert.rejects(get('from=a&to=b'), { name: 'ApiError', status: 503 })
})
