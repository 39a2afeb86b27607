/** Rules of iptables as kube-proxy writes them, on a node of a lab. */
import { inNamespace, mustRun } from '../../deploy/lab/command.ts'
import { iptablesRules } from '../bench/support/service-rules.ts'
import type { ClusterNode } from './cluster-node.ts'
import type { MigrationService } from './migration-service.ts'

/** Each service by its cluster IP and at its node port. Disposing takes them away. */
export class KubeProxyRules implements AsyncDisposable {
  readonly #node: ClusterNode

  static async lay(node: ClusterNode, services: readonly MigrationService[]): Promise<KubeProxyRules> {
    const address = node.addresses.find(each => !each.includes(':')) ?? ''
    for (const { name, backend, targetPort, ...service } of services) {
      const frontends = [
        { address: service.address, port: service.port, targetPort },
        { address, port: service.nodePort, targetPort },
      ]
      // Chains of their own for each service, for each has another endpoint.
      const text = iptablesRules(frontends, backend).replaceAll(/KUBE-(SVC|SEP)-/g, `KUBE-$1-${name}-`)
      const rules = name === services[0]?.name ? text : withoutCommon(text)
      await mustRun(inNamespace(node.layout.netns, ['iptables-restore', '--noflush']), { input: rules })
    }
    return new KubeProxyRules(node)
  }

  private constructor(node: ClusterNode) {
    this.#node = node
  }

  /** Packets that the rules of a service have seen. */
  async packets({ name }: MigrationService): Promise<number> {
    const text = await this.#node.run(['iptables-save', '-c', '-t', 'nat'])
    const counted = text.matchAll(/^\[(\d+):\d+\] -A KUBE-SERVICES .*-j KUBE-SVC-(\w+)-\d+$/gm)
    return [...counted].reduce((sum, [, packets, of]) => sum + (of === name ? Number(packets) : 0), 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const clear = 'iptables-save -t nat | grep -v KUBE- | iptables-restore -T nat'
    await this.#node.run(['sh', '-c', clear])
  }
}

/** The chains that all services share are laid once. */
function withoutCommon(text: string): string {
  return text
    .split('\n')
    .filter(line => !/^-A (PREROUTING|OUTPUT|POSTROUTING|KUBE-MARK-MASQ|KUBE-POSTROUTING) /.test(line))
    .join('\n')
}
