/**
 * The Grafana dashboard, printed as dashboards/causeway.json: each panel answers a question, its title. Series are of
 * daemons unless a panel says otherwise; the label `node` comes from the ServiceMonitor.
 */
import { CLOUD } from './dashboard-cloud.ts'
import { NODES, panel, RATE, type Row, stat } from './dashboard-panel.ts'

const WELL: Row = {
  title: 'Is it well?',
  panels: [
    stat(
      'Are all nodes ready?',
      'Daemons that answer, those of them that are not ready, and those that do not answer.',
      [`count(causeway_ready{${NODES}})`, 'daemons'],
      [`count(causeway_ready{${NODES}} == 0) or vector(0)`, 'not ready'],
      [`count(up{job="causeway-metrics",${NODES}} == 0) or vector(0)`, 'silent'],
    ),
    stat('Which versions run?', 'Daemons and operators by version.', [
      'count by (version) (causeway_build_info)',
      '{{version}}',
    ]),
    stat(
      'Does one operator lead?',
      'Exactly one does. Without one, new nodes get no pod ranges and do not become ready; nodes that are there go on.',
      ['sum(causeway_operator_leading)', 'leading'],
      ['sum(causeway_operator_problems)', 'problems'],
      ['sum(causeway_operator_network_policies_not_enforced)', 'NetworkPolicies not enforced'],
    ),
    panel(
      'Do nodes know the cluster?',
      'Daemons whose first sync is not complete, and input that they cannot use; `causeway status` says what.',
      'short',
      [`sum(1 - causeway_cluster_source_synced{${NODES}})`, 'not synced'],
      [`sum by (node) (causeway_cluster_source_problems{${NODES}})`, 'problems on {{node}}'],
    ),
    panel(
      'Does the API server answer?',
      'Requests to it that failed, and watches that had to be opened anew, by reason.',
      'reqps',
      [`sum by (status) (rate(causeway_cluster_api_requests_total{status!~"2.."}${RATE}))`, 'status {{status}}'],
      [`sum by (resource, reason) (rate(causeway_cluster_watch_restarts_total${RATE}))`, '{{resource}}: {{reason}}'],
    ),
  ],
}

const ADD = `{verb="add",${NODES}}`
const PODS: Row = {
  title: 'Do pods start?',
  panels: [
    panel(
      'How long does a pod wait for its network?',
      'Duration of ADD that succeeded, at the median and for the slowest hundredth.',
      's',
      ...['0.5', '0.99'].map(
        q =>
          [
            `histogram_quantile(${q}, sum by (le) (rate(causeway_cni_request_seconds_bucket{verb="add",result="ok",${NODES}}${RATE})))`,
            `quantile ${q}`,
          ] as const,
      ),
    ),
    panel('Which step is slow?', 'The slowest hundredth of each step of ADD and DEL.', 's', [
      `histogram_quantile(0.99, sum by (le, step) (rate(causeway_endpoint_step_seconds_bucket{${NODES}}${RATE})))`,
      '{{step}}',
    ]),
    panel(
      'Why do pods not start?',
      'Failed requests of the runtime by code, and requests that wait now.',
      'short',
      [`sum by (verb, code) (rate(causeway_cni_errors_total{${NODES}}${RATE}))`, '{{verb}}: {{code}}'],
      [`sum by (node) (causeway_cni_requests_in_flight${ADD})`, 'waiting on {{node}}'],
    ),
    panel(
      'What had to be mended?',
      'Things of pods that were found otherwise than they were left, and devices that the kernel does not let go.',
      'short',
      [`sum by (what) (rate(causeway_endpoint_repairs_total{${NODES}}${RATE}))`, '{{what}}'],
      [`sum by (node) (causeway_device_deletions_stuck{${NODES}})`, 'stuck on {{node}}'],
    ),
  ],
}

/** Addresses of pods by whichever plugin, in these states. */
const addresses = (states: string): string =>
  `sum by (node, pool, family) (causeway_cluster_pool_addresses{${states},${NODES}} or causeway_node_cidr_addresses{${states},${NODES}} or causeway_cloud_addresses{${states},${NODES}})`

const ADDRESSES: Row = {
  title: 'Are there addresses left?',
  panels: [
    panel('How full are the pools of nodes?', 'Share of the addresses that pods hold.', 'percentunit', [
      `${addresses('state="used"')} / ${addresses('state!="excluded"')}`,
      '{{node}} {{pool}} {{family}}',
    ]),
    panel('Do pods wait for addresses?', 'Requests that wait until one is free.', 'short', [
      `sum by (node, pool) (causeway_cluster_pool_waiting_requests{${NODES}} or causeway_node_cidr_waiting_requests{${NODES}} or causeway_cloud_waiting_requests{${NODES}})`,
      '{{node}} {{pool}}',
    ]),
    panel(
      'How many nodes can still come?',
      'Pod ranges that IPPools can still give, and nodes that have one.',
      'short',
      ['max by (pool) (causeway_operator_pool_free_ranges)', 'free in {{pool}}'],
      ['max by (pool) (causeway_operator_pool_nodes)', 'nodes with {{pool}}'],
    ),
  ],
}

const PACKETS: Row = {
  title: 'What becomes of packets?',
  panels: [
    panel(
      'Why are packets dropped?',
      'The ten commonest reasons; docs/reference/drop-reasons.md says what to do.',
      'pps',
      [`topk(10, sum by (reason) (rate(causeway_dropped_packets_total{${NODES}}${RATE})))`, '{{reason}}'],
    ),
    panel('Where are packets dropped?', 'By node and program.', 'pps', [
      `sum by (node, hook) (rate(causeway_dropped_packets_total{${NODES}}${RATE}))`,
      '{{node}} {{hook}}',
    ]),
    panel('How much is forwarded?', 'Bytes by program.', 'Bps', [
      `sum by (hook) (rate(causeway_forwarded_bytes_total{${NODES}}${RATE}))`,
      '{{hook}}',
    ]),
    panel('How many packets are forwarded?', 'Packets by node.', 'pps', [
      `sum by (node) (rate(causeway_forwarded_packets_total{${NODES}}${RATE}))`,
      '{{node}}',
    ]),
    panel('Are flows told in full?', 'Events that `causeway flows` did not get.', 'short', [
      `sum by (node) (rate(causeway_flow_events_lost_total{${NODES}}${RATE}))`,
      '{{node}}',
    ]),
  ],
}

const FLOWS: Row = {
  title: 'Is there room for flows?',
  panels: [
    panel(
      'How full is conntrack?',
      'Flows of what the map holds; it grows up to `datapath.conntrack.maxEntries`.',
      'percentunit',
      [`causeway_conntrack_entries{${NODES}} / causeway_conntrack_capacity{${NODES}}`, '{{node}}'],
    ),
    panel(
      'Do flows find no room?',
      'Packets of flows that conntrack had no room for, and flows that it forgot in time.',
      'pps',
      [`sum by (node) (rate(causeway_conntrack_full_total{${NODES}}${RATE}))`, 'no room on {{node}}'],
      [`sum by (node) (rate(causeway_conntrack_expired_total{${NODES}}${RATE}))`, 'expired on {{node}}'],
    ),
    panel(
      'How many ports are left to leave the cluster?',
      'Towards the destination that has least, by address.',
      'short',
      [`min by (node, address) (causeway_nat_headroom_ports{${NODES}})`, '{{node}} {{address}}'],
    ),
    panel('Who takes the ports?', 'The ten largest users of ports towards one destination.', 'short', [
      `topk(10, causeway_nat_ports_used{${NODES}})`,
      '{{pod}} to {{destination}} {{protocol}}',
    ]),
    panel(
      'Were there no ports?',
      'Packets that no port was left for, and 1 while the file of ip-masq-agent is good.',
      'short',
      [
        `sum by (node) (rate(causeway_dropped_packets_total{reason="nat_ports",${NODES}}${RATE}))`,
        'no port on {{node}}',
      ],
      [`causeway_masquerade_agent_file_valid{${NODES}}`, 'file of {{node}}'],
    ),
  ],
}

const SERVICES: Row = {
  title: 'Are services served?',
  panels: [
    panel('Who is asked?', 'New flows of the ten busiest services.', 'short', [
      `topk(10, sum by (service, port) (rate(causeway_service_flows_total{${NODES}}${RATE})))`,
      '{{service}} {{port}}',
    ]),
    panel(
      'Is nobody there?',
      'Packets to services without a backend, and sockets that were ended because theirs is gone.',
      'short',
      [
        `sum by (node) (rate(causeway_dropped_packets_total{reason="no_backend",${NODES}}${RATE}))`,
        'no backend on {{node}}',
      ],
      [`sum by (node) (rate(causeway_service_sockets_ended_total{${NODES}}${RATE}))`, 'ended on {{node}}'],
    ),
    panel(
      'Do gateways carry pods out?',
      'Gateways that are not healthy, pods that have none, and pods that had to go by another one.',
      'short',
      [`1 - min by (gateway) (causeway_egress_gateway_up{${NODES}})`, '{{gateway}} down'],
      [`sum by (policy) (causeway_egress_gateway_pods{gateway="",${NODES}})`, 'without a gateway: {{policy}}'],
      [
        `sum by (gateway) (increase(causeway_egress_gateway_failovers_total{${NODES}}${RATE}))`,
        'away from {{gateway}}',
      ],
    ),
  ],
}

const INSIDE: Row = {
  title: 'How are the daemons?',
  panels: [
    panel(
      'Does everything reach the kernel?',
      'Rows that wait, and attempts that failed.',
      'short',
      [`sum by (reconciler) (causeway_reconciler_pending_rows{${NODES}})`, 'waiting: {{reconciler}}'],
      [`sum by (reconciler) (rate(causeway_reconciler_errors_total{${NODES}}${RATE}))`, 'failed: {{reconciler}}'],
    ),
    panel(
      'Does somebody else change what is ours?',
      'Rows that a refresh found changed, missing or left over, and rows that were carried.',
      'short',
      [
        `sum by (reconciler) (rate(causeway_reconciler_found_wrong_total{${NODES}}${RATE}))`,
        'found wrong: {{reconciler}}',
      ],
      [`sum by (reconciler) (rate(causeway_reconciler_operations_total{${NODES}}${RATE}))`, 'carried: {{reconciler}}'],
    ),
    panel('How much memory do they take?', 'Resident; the maps are the kernel’s.', 'bytes', [
      `process_resident_memory_bytes{job="causeway-metrics",${NODES}}`,
      '{{node}}',
    ]),
    panel(
      'How busy are they?',
      'Processor time, and how late the event loop is for the slowest hundredth.',
      'short',
      [`rate(process_cpu_seconds_total{job="causeway-metrics",${NODES}}${RATE})`, 'processors on {{node}}'],
      [`nodejs_eventloop_lag_p99_seconds{job="causeway-metrics",${NODES}}`, 'late on {{node}}'],
    ),
    panel('What do they hear from the API server?', 'Bytes of watches by resource.', 'Bps', [
      `sum by (resource) (rate(causeway_cluster_watch_received_bytes_total{${NODES}}${RATE}))`,
      '{{resource}}',
    ]),
  ],
}

export const ROWS: readonly Row[] = [WELL, PODS, ADDRESSES, CLOUD, PACKETS, FLOWS, SERVICES, INSIDE]

/** Grafana's grid has 24 columns. */
const WIDTH = 8
const HEIGHT = 8

/** dashboards/causeway.json. */
export function dashboard(): string {
  const datasource = { type: 'prometheus', uid: '$datasource' }
  const panels: object[] = []
  let y = 0
  for (const row of ROWS) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      collapsed: false,
      panels: [],
      gridPos: { h: 1, w: 24, x: 0, y },
    })
    row.panels.forEach(({ kind, title, about, unit, queries }, index) => {
      const gridPos = { h: HEIGHT, w: WIDTH, x: (index % 3) * WIDTH, y: y + 1 + Math.floor(index / 3) * HEIGHT }
      const targets = queries.map(({ expr, legend }, n) => ({
        refId: 'ABCDEF'[n],
        expr,
        legendFormat: legend,
        datasource,
      }))
      const fieldConfig = { defaults: { unit, ...(unit === 'percentunit' && { min: 0, max: 1 }) }, overrides: [] }
      panels.push({
        id: panels.length + 1,
        type: kind,
        title,
        description: about,
        gridPos,
        datasource,
        fieldConfig,
        targets,
      })
    })
    y += 1 + Math.ceil(row.panels.length / 3) * HEIGHT
  }
  const variables = [
    { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' },
    {
      name: 'node',
      type: 'query',
      label: 'Node',
      datasource,
      query: 'label_values(causeway_ready, node)',
      includeAll: true,
      multi: true,
      allValue: '.*',
      refresh: 2,
    },
  ]
  const board = {
    uid: 'causeway',
    title: 'Causeway',
    tags: ['causeway', 'network'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: variables },
    panels,
  }
  return `${JSON.stringify(board, undefined, 2)}\n`
}

if (import.meta.main) process.stdout.write(dashboard())
