/** Every query of the dashboard finds what it asks for, and alerts say what they mean, by Prometheus itself. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { type Prometheus, startPrometheus } from '../../test/support/prometheus.ts'
import { sampleDaemonMetrics, sampleOperatorMetrics } from '../../test/support/sample-metrics.ts'
import { dashboard, ROWS } from './dashboard.ts'
import { CHART } from './render.ts'

const RULES = join(CHART, 'files/rules.yaml')

test('the dashboard in the chart is what the code prints', () => {
  const path = join(CHART, 'dashboards/causeway.json')
  if (process.env.UPDATE_GOLDENS === '1') writeFileSync(path, dashboard())
  else assert.equal(readFileSync(path, 'utf8'), dashboard())
})

/** As Grafana sends it. */
function filled(expr: string): string {
  return expr.replaceAll('$node', '.*').replaceAll('$__rate_interval', '1m')
}

interface Rule {
  readonly alert: string
  readonly expr: string
}

const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  group => group.rules,
)
const panels = ROWS.flatMap(row => row.panels)
const exprs = [...panels.flatMap(panel => panel.queries.map(query => query.expr)), ...rules.map(rule => rule.expr)]

suite('with a daemon and an operator', () => {
  const stopping = new AbortController()
  let prometheus: Prometheus
  const declared = new Set<string>()

  before(async () => {
    const daemon = await sampleDaemonMetrics(stopping.signal)
    const operator = sampleOperatorMetrics()
    for (const { name, kind } of [...daemon.declared, ...operator.declared])
      for (const suffix of kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) declared.add(name + suffix)
    prometheus = await startPrometheus([
      { labels: { job: 'causeway-metrics', node: 'node1' }, expose: () => daemon.expose() },
      { labels: { job: 'causeway-operator-metrics', node: 'node2' }, expose: () => operator.expose() },
    ])
  })
  after(async () => {
    stopping.abort()
    await prometheus[Symbol.asyncDispose]()
  })

  for (const { title, queries } of panels)
    test(title, async () => {
      for (const { expr, legend } of queries) {
        const samples = await prometheus.query(filled(expr))
        assert.ok(samples.length > 0, `${expr} finds nothing`)
        for (const [, label = ''] of legend.matchAll(/\{\{(\w+)\}\}/g))
          for (const { metric } of samples)
            assert.ok(label in metric || label === 'gateway', `${expr} has no label ${label}`)
      }
    })

  test('alerts are queries that Prometheus takes', async () => {
    for (const { alert, expr } of rules) await assert.doesNotReject(prometheus.query(expr), alert)
  })

  test('every metric that is asked for is declared, and every one that is declared is on the dashboard', () => {
    const asked = new Set(exprs.flatMap(expr => expr.match(/\bcauseway_\w+/g) ?? []))
    const unknown = [...asked].filter(name => !declared.has(name))
    assert.deepEqual(unknown, [])
    const shown = new Set([...asked].map(name => name.replace(/_bucket$/, '')))
    const unseen = [...declared].filter(name => !/_(sum|count|bucket)$/.test(name) && !shown.has(name))
    assert.deepEqual(unseen, [])
  })
})

test('promtool finds nothing wrong with the alerts', async () => {
  const { stdout } = await promisify(execFile)('promtool', ['check', 'rules', '--lint-fatal', RULES])
  assert.match(stdout, new RegExp(`SUCCESS: ${rules.length} rules found`))
})

/** Series that raise an alert, with the labels that it then has. `1x20` is 1 for twenty minutes, `0+9x20` a rising count. */
const raised: readonly (readonly [alert: string, labels: object, series: Readonly<Record<string, string>>])[] = [
  ['CausewayDaemonSilent', { job: 'causeway-metrics', node: 'a' }, { 'up{job="causeway-metrics",node="a"}': '0x20' }],
  [
    'CausewayNotReady',
    { job: 'causeway-metrics', node: 'a' },
    {
      'causeway_ready{job="causeway-metrics",node="a"}': '0x20',
      'causeway_ready{job="causeway-metrics",node="b"}': '1x20',
    },
  ],
  [
    'CausewaySourceNotSynced',
    { node: 'a', source: 's' },
    { 'causeway_cluster_source_synced{node="a",source="s"}': '0x20' },
  ],
  [
    'CausewaySourceProblems',
    { node: 'a', source: 's' },
    { 'causeway_cluster_source_problems{node="a",source="s"}': '2x20' },
  ],
  [
    'CausewayPodsDoNotStart',
    { node: 'a', code: 'X' },
    { 'causeway_cni_errors_total{node="a",verb="add",code="X"}': '0+9x20' },
  ],
  [
    'CausewayAddressesRunOut',
    { node: 'a', pool: 'p', family: 'ipv4' },
    {
      'causeway_cluster_pool_addresses{node="a",pool="p",family="ipv4",state="used"}': '97x20',
      'causeway_cluster_pool_addresses{node="a",pool="p",family="ipv4",state="cooling"}': '0x20',
      'causeway_cluster_pool_addresses{node="a",pool="p",family="ipv4",state="free"}': '3x20',
      'causeway_cluster_pool_addresses{node="a",pool="p",family="ipv4",state="excluded"}': '900x20',
      'causeway_cluster_pool_addresses{node="b",pool="p",family="ipv4",state="used"}': '90x20',
      'causeway_cluster_pool_addresses{node="b",pool="p",family="ipv4",state="free"}': '10x20',
    },
  ],
  [
    'CausewayPodsWaitForAddresses',
    { node: 'a', pool: 'p', family: 'ipv4' },
    { 'causeway_cluster_pool_waiting_requests{node="a",pool="p",family="ipv4"}': '1x20' },
  ],
  ['CausewayPodRangesRunOut', { pool: 'p' }, { 'causeway_operator_pool_free_ranges{pool="p"}': '4x20' }],
  [
    'CausewayCloudGivesNoAddresses',
    { reason: 'Denied' },
    { 'causeway_operator_cloud_short_nodes{reason="Denied"}': '2x20' },
  ],
  ['CausewayCloudFails', { what: 'releases' }, { 'causeway_operator_cloud_degraded{what="releases"}': '1x20' }],
  ['CausewayCloudThrottles', { api: 'A' }, { 'causeway_operator_cloud_throttled_total{api="A"}': '0+9x20' }],
  ['CausewayCloudNotSeen', {}, { causeway_operator_cloud_observation_age_seconds: '901x20' }],
  [
    'CausewayCloudSubnetRunsOut',
    { subnet: 's', zone: 'z' },
    {
      'causeway_operator_cloud_subnet_free_addresses{subnet="s",zone="z"}': '15x20',
      'causeway_operator_cloud_subnet_free_addresses{subnet="t",zone="z"}': '16x20',
    },
  ],
  ['CausewayCloudInterfacesOutlive', {}, { causeway_operator_cloud_unprotected_interfaces: '1x20' }],
  ['CausewayCloudInterfacesLeft', {}, { causeway_operator_cloud_leftovers: '1x20' }],
  [
    'CausewayPortsRunOut',
    { node: 'a', address: 'x' },
    { 'causeway_nat_headroom_ports{node="a",address="x"}': '2000x20' },
  ],
  ['CausewayConntrackFull', { node: 'a' }, { 'causeway_conntrack_full_total{node="a"}': '0+9x20' }],
  [
    'CausewayDoesNotReachTheKernel',
    { node: 'a', reconciler: 'r' },
    {
      'causeway_reconciler_pending_rows{node="a",reconciler="r"}': '3x20',
      'causeway_reconciler_errors_total{node="a",reconciler="r",operation="update"}': '0+9x20',
      'causeway_reconciler_pending_rows{node="a",reconciler="busy"}': '3x20',
      'causeway_reconciler_errors_total{node="a",reconciler="busy",operation="update"}': '9x20',
    },
  ],
  ['CausewayGatewayDown', { gateway: 'g' }, { 'causeway_egress_gateway_up{node="a",gateway="g"}': '0x20' }],
  [
    'CausewayNoLeader',
    {},
    { 'causeway_operator_leading{node="a"}': '0x20', 'causeway_operator_leading{node="b"}': '0x20' },
  ],
  [
    'CausewayNetworkPoliciesNotEnforced',
    {},
    {
      causeway_operator_network_policies_not_enforced: '2x20',
      'causeway_operator_leading{node="a"}': '1x20',
    },
  ],
]

test('each alert is raised by what it is for, after its time, and by nothing else', async () => {
  assert.deepEqual(
    raised.map(([alert]) => alert),
    rules.map(rule => rule.alert),
  )
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-alerts-'))
  const leader = { 'causeway_operator_leading{node="z"}': '1x20' }
  const tests = raised.map(([alert, labels, series]) => {
    const all = alert === 'CausewayNoLeader' ? series : { ...leader, ...series }
    return {
      name: alert,
      interval: '1m',
      input_series: Object.entries(all).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [
        {
          expr: 'ALERTS{alertstate="firing"}',
          eval_time: '18m',
          exp_samples: [
            {
              labels: labelText({ alertname: alert, alertstate: 'firing', severity: severityOf(alert), ...labels }),
              value: 1,
            },
          ],
        },
        { expr: 'ALERTS{alertstate="firing"}', eval_time: '0m', exp_samples: atOnce(alert, labels) },
      ],
    }
  })
  const file = join(folder.path, 'test.yml')
  writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '1m', tests }))
  await promisify(execFile)('promtool', ['test', 'rules', file])
})

/** Only what has no time to wait is raised at once. */
function atOnce(alert: string, labels: object): object[] {
  if (alert !== 'CausewayNetworkPoliciesNotEnforced') return []
  return [
    { labels: labelText({ alertname: alert, alertstate: 'firing', severity: severityOf(alert), ...labels }), value: 1 },
  ]
}

function severityOf(alert: string): string {
  const [rule] = rules.filter(r => r.alert === alert) as (Rule & { labels: { severity: string } })[]
  return rule?.labels.severity ?? ''
}

function labelText(labels: object): string {
  return `ALERTS{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ')}}`
}
