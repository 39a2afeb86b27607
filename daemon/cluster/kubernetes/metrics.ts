/** What is counted of the talk with an API server. */
import type { Metrics } from '../../plugin.ts'

export interface ApiMetrics {
  requested(method: string, status: number): void
  /** A watch was opened anew. */
  restarted(resource: string, reason: string): void
  /** By watches and streamed lists. */
  received(resource: string, bytes: number): void
}

export function apiMetrics(metrics: Pick<Metrics, 'counter'>): ApiMetrics {
  const requests = metrics.counter('cluster_api_requests_total', 'Requests to the API server.', ['method', 'status'])
  const restarts = metrics.counter('cluster_watch_restarts_total', 'Watches of the API server that were opened anew.', [
    'resource',
    'reason',
  ])
  const received = metrics.counter(
    'cluster_watch_received_bytes_total',
    'Bytes that watches of the API server and streamed lists brought.',
    ['resource'],
  )
  return {
    requested: (method, status) => requests.inc({ method, status: String(status) }),
    restarted: (resource, reason) => restarts.inc({ resource, reason }),
    received: (resource, bytes) => received.inc({ resource }, bytes),
  }
}
