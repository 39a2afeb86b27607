/** The dashboard's row of addresses from a cloud: what the operator does, and how long pods wait. */
import { NODES, panel, RATE, type Row } from './dashboard-panel.ts'

export const CLOUD: Row = {
  title: 'Does the cloud give addresses?',
  panels: [
    panel(
      'How long does a pod wait for an address of the cloud?',
      'Time from a request to its address, at the median and for the slowest hundredth.',
      's',
      ...['0.5', '0.99'].map(
        q =>
          [
            `histogram_quantile(${q}, sum by (le) (rate(causeway_cloud_address_wait_seconds_bucket{${NODES}}${RATE})))`,
            `quantile ${q}`,
          ] as const,
      ),
    ),
    panel(
      'Which nodes get no more?',
      'Nodes by the reason of their condition AddressesAvailable, and pods of all nodes that wait.',
      'short',
      ['max by (reason) (causeway_operator_cloud_short_nodes)', '{{reason}}'],
      ['max(causeway_operator_cloud_demand{state="waiting"})', 'pods that wait'],
    ),
    panel(
      'What do subnets have left?',
      'Addresses, and whole prefixes of 16 that nothing is known to be in.',
      'short',
      ['max by (subnet, zone) (causeway_operator_cloud_subnet_free_addresses)', '{{subnet}} {{zone}}'],
      ['max by (subnet, zone) (causeway_operator_cloud_subnet_free_prefixes)', 'prefixes of {{subnet}} {{zone}}'],
    ),
    panel(
      'How are addresses used?',
      'Addresses of all nodes by the phase of their blocks, those of pods, and blocks by node and phase.',
      'short',
      ['max by (phase) (causeway_operator_cloud_addresses)', '{{phase}}'],
      ['max by (state) (causeway_operator_cloud_demand)', '{{state}}'],
      [`sum by (node, phase) (causeway_cloud_blocks{${NODES}})`, 'blocks of {{node}}: {{phase}}'],
    ),
    panel('How scattered are pods?', 'Share of the addresses of blocks in use that no pod has.', 'percentunit', [
      'max(causeway_operator_cloud_fragmentation_ratio)',
      'unused',
    ]),
    panel(
      'What do calls bring?',
      'Calls to the cloud by API and outcome, and those that it refused as too many.',
      'reqps',
      [`sum by (api, outcome) (rate(causeway_operator_cloud_call_seconds_count${RATE}))`, '{{api}}: {{outcome}}'],
      [`sum by (api) (rate(causeway_operator_cloud_throttled_total${RATE}))`, '{{api}} throttled'],
    ),
    panel('How long do calls take?', 'The slowest hundredth by API.', 's', [
      `histogram_quantile(0.99, sum by (le, api) (rate(causeway_operator_cloud_call_seconds_bucket${RATE})))`,
      '{{api}}',
    ]),
    panel(
      'Do calls wait for their turn?',
      'The slowest hundredth by API, and nodes that wait.',
      'short',
      [
        `histogram_quantile(0.99, sum by (le, api) (rate(causeway_operator_cloud_queue_seconds_bucket${RATE})))`,
        '{{api}} seconds',
      ],
      ['max by (api) (causeway_operator_cloud_queued_nodes)', '{{api}} nodes'],
    ),
    panel(
      'What do budgets allow?',
      'Calls at once, and a second; throttling halves the rate.',
      'short',
      ['max by (api) (causeway_operator_cloud_budget_calls)', '{{api}} at once'],
      ['max by (api) (causeway_operator_cloud_budget_rate)', '{{api}} a second'],
    ),
    panel(
      'Is anything left behind?',
      'Interfaces that nobody uses, those that were deleted, and those that would outlive their machine.',
      'short',
      ['max(causeway_operator_cloud_leftovers)', 'left'],
      [`sum(increase(causeway_operator_cloud_leftovers_deleted_total${RATE}))`, 'deleted'],
      ['max(causeway_operator_cloud_unprotected_interfaces)', 'not deleted with their machine'],
    ),
    panel(
      'Does the operator see the cloud?',
      'Age of the oldest look at a node, and what is not done while the cloud answers with errors.',
      'short',
      ['max(causeway_operator_cloud_observation_age_seconds)', 'seconds since a look'],
      ['max by (what) (causeway_operator_cloud_degraded)', 'no {{what}}'],
    ),
  ],
}
