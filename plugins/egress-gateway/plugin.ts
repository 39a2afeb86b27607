/** Pods reach destinations outside the cluster by chosen nodes, with chosen addresses. */
import type { Command, Host, Parts, Plugin } from '../../daemon/plugin.ts'
import { systemClock } from '../../daemon/state/clock.ts'
import { askByTcp } from './health.ts'
import { type GatewayOptions, parseOptions } from './options.ts'
import { Planner } from './planner.ts'
import { shownText } from './show.ts'

export const egressGateway: Plugin = {
  name: 'egress-gateway',
  after: ['masquerade'],
  configure(raw) {
    const options = parseOptions(raw)
    return host => setUp(options, host)
  },
}

function setUp(options: GatewayOptions, host: Host): Parts {
  const planner = new Planner({
    ...options,
    tables: host.tables,
    nodeName: host.nodeName,
    metrics: host.metrics,
    log: host.log,
    clock: systemClock,
    ask: (address, timeoutMs) => askByTcp(address, options.probePort, timeoutMs),
  })
  return {
    datapath: { overlay: true, config: { egress_gateway: 1 } },
    commands: [command(planner)],
    problems: () => planner.problems,
    admit: (pod, signal) => planner.admit(pod, signal),
    run: signal => planner.run(signal),
  }
}

function command(planner: Planner): Command {
  return {
    name: 'egress',
    summary: 'policies of gateways, which pods of this node go by which, and whether they are healthy; -o json',
    async run(args, out) {
      const format = args[0] === '-o' ? args[1] : undefined
      if (args.length > 0 && (args.length !== 2 || (format !== 'json' && format !== 'text'))) {
        out.write('egress takes -o json or -o text, and nothing else\n')
        return 2
      }
      const all = planner.shown()
      out.write(format === 'json' ? `${JSON.stringify(all, undefined, 2)}\n` : shownText(all))
      return 0
    },
  }
}
