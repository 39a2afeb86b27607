/**
 * Every key of the configuration, its default and its meaning. The type `Settings`, the checks, the error messages and
 * docs/reference/config.md all come from here.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import * as z from 'zod/mini'
import { OBJECT_NAME } from '../cluster/object-name.ts'
import { isNetworkName, NETWORK_NAME_ALLOWED } from '../cluster/parse-node-place.ts'
import { cgroupMount } from '../kernel/cgroup-mount.ts'
import { canonicalPrefix } from '../kernel/ip.ts'
import type { Family } from '../kernel/kernel.ts'
import { DEFAULT_POOL } from '../plugin.ts'
import { DEFAULT_TABLE_SIZE } from '../service/maglev.ts'
import { TABLE_SIZES } from '../state/service-rows.ts'
import { conntrack } from './conntrack-section.ts'
import { autoOrWhole, field, flag, oneOf, path, section, text, type ValueOf, whole } from './field.ts'

const datapath = section('The eBPF programs and how they are attached.', {
  ingressBlock: whole(1, 0xfffffffe, {
    byDefault: 51_780,
    about: 'Number of the shared tc filter block for packets from pods; must be used by nothing else on the node.',
  }),
  egressBlock: whole(1, 0xfffffffe, {
    byDefault: 51_781,
    about: 'Number of the shared tc filter block for packets to pods.',
  }),
  tcx: oneOf(['auto', 'on', 'off'], {
    byDefault: 'auto',
    about: 'Attach to uplinks by tcx (Linux 6.6) or by clsact; auto uses tcx where the kernel has it.',
  }),
  conntrack,
  flowEvents: flag({
    byDefault: true,
    about: "Report each flow's first packet, reply and end, besides drops, to `causeway flows`.",
  }),
  ringBufferBytes: field(
    z.int().check(z.refine(n => n >= 65_536 && n <= 1 << 30 && Number.isInteger(Math.log2(n)))),
    'a power of two from 65536 to 1073741824',
    {
      byDefault: 1_048_576,
      about: 'Size of the buffer through which the programs report flows and drops; the daemon maps it twice.',
    },
  ),
})

const cni = section('The CNI network configuration that is written for the container runtime.', {
  addTimeoutMs: whole(5000, 600_000, {
    byDefault: 60_000,
    about: 'How long the CNI executable waits for an ADD; the daemon gives up 2 s earlier.',
  }),
  writeConf: flag({ byDefault: true, about: 'Write the configuration to `paths.cniConf` once the daemon is ready.' }),
  confName: text(/^[A-Za-z0-9][A-Za-z0-9._-]*\.conflist$/, 'a file name that ends in .conflist', {
    byDefault: '05-causeway.conflist',
    about: 'Name of the file; runtimes take the first in alphabetical order.',
  }),
  exclusive: flag({
    byDefault: true,
    about:
      'Set other network configurations in `paths.cniConf` aside once ours is written, as NAME.set-aside-by-causeway; `causeway uninstall` puts them back. Without it runtimes take whichever name comes first.',
  }),
  chained: field(
    z.array(z.looseObject({ type: z.string().check(z.minLength(1)) })),
    'a list of CNI plugin configurations, each with a type',
    {
      byDefault: [],
      about:
        'CNI plugins that run after Causeway, such as tuning, as they shall stand in the conflist. ' +
        'It offers the runtime those versions of CNI that their executables in `paths.cniBin` speak. ' +
        '`bandwidth` is refused: it cannot share a device with the clsact qdisc; `portmap` too: host ports are served already.',
    },
  ),
})

const uplinks = field(
  z.union([z.literal('auto'), z.array(z.string().check(z.regex(/^[^\s/]{1,64}$/))).check(z.minLength(1))]),
  'auto, or a list of device names, in which * stands for any characters and ? for one',
  {
    byDefault: 'auto',
    about:
      'Devices that lead to other nodes. auto takes those with an address of the Node object; as long as there are none, ' +
      'those of before, else those of the default routes.',
  },
)

const families = field(
  z.array(z.enum(['ipv4', 'ipv6'])).check(
    z.minLength(1),
    z.refine(families => new Set(families).size === families.length),
  ),
  'a list of ipv4, ipv6 or both',
  { byDefault: ['ipv4', 'ipv6'], about: 'Address families that pods get, the first one first in CNI results.' },
)

function listen(about: string) {
  return field(
    z.string().check(z.refine(value => value === 'off' || parseListen(value) !== undefined)),
    'off, or address:port with an IPv6 address in brackets',
    { byDefault: 'off', about },
  )
}

const operator = section('The operator, of which one leads and the others wait (`causeway operator`).', {
  listen: listen(
    'TCP address for `/metrics`, `/v1/health`, `/v1/alive` and `/v1/status` (`causeway operator status`).',
  ),
  namespace: text(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'the name of a namespace', {
    byDefault: 'kube-system',
    about: 'Where the lease is that says which operator leads.',
  }),
  taintWithoutAddresses: flag({
    byDefault: false,
    about:
      'Taint nodes that have no address of the cloud left for a pod, and get none, with `causeway.dev/no-addresses:NoSchedule`; it is taken off again.',
  }),
  lease: section('Leader election; the defaults are those of Kubernetes itself.', {
    name: text(OBJECT_NAME, 'the name of an object (RFC 1123, lower case)', {
      byDefault: 'causeway-operator',
      about: 'Name of the Lease.',
    }),
    durationSeconds: whole(3, 600, { byDefault: 15, about: 'Others take over after so long without a sign.' }),
    renewSeconds: whole(2, 599, {
      byDefault: 10,
      about: 'The leader stops when it could not renew the lease for so long; less than `durationSeconds`.',
    }),
    retrySeconds: whole(1, 300, { byDefault: 2, about: 'Between two attempts; less than `renewSeconds`.' }),
  }),
})

/** Empty where there is none. */
const optionalFile = (about: string) =>
  text(/^((\/[^/\0]+)+)?$/, 'an absolute path, or nothing', { byDefault: '', about })

const tls = section('TLS at `metrics.listen` and `operator.listen`. Files that change are taken over within seconds.', {
  certFile: optionalFile('PEM file with the certificate and those between it and its authority; empty: plain HTTP.'),
  keyFile: optionalFile('PEM file with the key of the certificate.'),
  clientCaFile: optionalFile(
    'PEM file with the authorities of clients. With it, only who shows a certificate of theirs is answered, but for ' +
      '`/v1/health` and `/v1/alive`, which kubelet asks without one.',
  ),
})

/** The configuration without the plugins' sections. */
export const schema = section('', {
  nodeName: text(OBJECT_NAME, 'the name of a Kubernetes node (RFC 1123, lower case)', {
    byDefault: () => hostname().toLowerCase(),
    shownDefault: 'the host name',
    about: 'Name of this node in the cluster source.',
  }),
  logLevel: oneOf(['debug', 'info', 'warn', 'error'], {
    byDefault: 'info',
    about: 'The least severe messages logged.',
  }),
  families,
  uplinks,
  mtu: autoOrWhole(1280, 65_535, {
    byDefault: 'auto',
    about: 'MTU of the way between nodes; auto follows the uplinks. Pods get it less what the overlay adds.',
  }),
  paths: section('Where things lie on the node.', {
    run: path({ byDefault: '/run/causeway', about: 'API socket, lock and queue of deletes; emptied by a reboot.' }),
    state: path({ byDefault: '/var/lib/causeway', about: 'Journal of attachments; survives a reboot.' }),
    bpf: path({ byDefault: '/sys/fs/bpf/causeway', about: 'Pinned maps and links; must lie on a bpffs.' }),
    cniConf: path({ byDefault: '/etc/cni/net.d', about: 'Where the runtime looks for network configurations.' }),
    cniBin: path({ byDefault: '/opt/cni/bin', about: 'Where the runtime looks for CNI executables.' }),
    sysctl: path({
      byDefault: '/proc/sys',
      about: 'Where kernel settings are changed; in a container, which sees its own read-only, a mount of the node’s.',
    }),
    networkd: path({
      byDefault: '/run/systemd/network',
      about:
        'Where systemd-networkd is told to leave network interfaces alone whose addresses pods have; used only where there are some.',
    }),
    networkManager: path({ byDefault: '/run/NetworkManager/conf.d', about: 'Where NetworkManager is told so.' }),
    cgroup: path({
      byDefault: () => cgroupMount() ?? '/sys/fs/cgroup',
      shownDefault: 'where the cgroup2 file system is mounted',
      about: 'The cgroup (version 2) that holds the pods and processes whose sockets services are translated for.',
    }),
  }),
  network: section('The network as the container runtime sees it.', {
    name: text(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'letters, digits, _, . and -', {
      byDefault: 'causeway',
      about: 'Name of the CNI network; part of every attachment key.',
    }),
    pool: text(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'the name of a pool that a plugin serves', {
      byDefault: DEFAULT_POOL,
      about: "Pool of this node's pods, unless one wishes for a particular address of another.",
    }),
  }),
  cluster: section('Where nodes and pods of the cluster are learnt from.', {
    name: text(/^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$/, 'a name of letters, digits, . _ and -, or nothing', {
      byDefault: '',
      about:
        'Name of the cluster, no other one’s in the same account of a cloud: what is made there bears it. Needed by `aws-eni`.',
    }),
    source: oneOf(['directory', 'kubernetes'], {
      byDefault: 'directory',
      about: 'Kind of source: a directory of manifests, or the API server of a cluster.',
    }),
    directory: path({
      byDefault: '/etc/causeway/cluster',
      about: 'Directory of Kubernetes YAML or JSON files that is watched.',
    }),
    kubernetes: section('How the API server is reached.', {
      servers: field(z.array(z.string().check(z.refine(isServer))), 'a list of URLs such as https://192.0.2.1:6443', {
        byDefault: [],
        about:
          'API servers, tried in this order when one cannot be reached. Empty: that of the kubeconfig, or the one ' +
          'that the kubelet tells its pods (KUBERNETES_SERVICE_HOST), which only another service proxy leads to at first.',
      }),
      kubeconfig: field(z.string().check(z.regex(/^((\/[^/\0]+)+)?$/)), 'an absolute path, or nothing', {
        byDefault: '',
        about: 'A kubeconfig file, whose current context is used; empty: the service account.',
      }),
      serviceAccount: path({
        byDefault: '/var/run/secrets/kubernetes.io/serviceaccount',
        about: 'Directory with the token and the authority of the service account.',
      }),
      idleSeconds: whole(10, 3600, {
        byDefault: 150,
        about: 'A watch that says nothing for so long is opened anew; API servers send a bookmark about every minute.',
      }),
    }),
  }),
  cloud: oneOf(['auto', 'aws', 'azure', 'gcp', 'none'], {
    byDefault: 'auto',
    about:
      'Whose network this node is on: links of a cloud carry only addresses that it gave. auto: by Node.spec.providerID, else ' +
      'by what the firmware says of the machine; none: links carry whatever nodes send, also in a cloud.',
  }),
  routing: section('How packets reach pods on other nodes.', {
    mode: oneOf(['auto', 'native', 'overlay'], {
      byDefault: 'auto',
      about:
        'native routes through the uplinks, overlay by VXLAN; auto chooses for each node: native where both are of one native ' +
        'network or, without one, on one link that is no cloud’s. docs/routing.md.',
    }),
    formerRanges: field(z.array(z.string().check(z.refine(isPrefix))), 'a list of prefixes such as 10.244.0.0/16', {
      byDefault: [],
      about:
        'Ranges of pods that another CNI attached, which is being replaced (docs/migration.md): they are reached through the host’s stack and the routes of that CNI.',
    }),
    nativeNetwork: field(
      z.string().check(z.refine(name => name === '' || isNetworkName(name))),
      `nothing, or ${NETWORK_NAME_ALLOWED}`,
      {
        byDefault: '',
        about:
          'Name of the network that routes this node’s pods, the same on all its nodes, which are told by the NodeNetwork. ' +
          'A label or annotation causeway.dev/native-network of the Node comes first. Empty: that of the cloud, if any.',
      },
    ),
    cloudEgress: oneOf(['ebpf', 'rules'], {
      byDefault: 'ebpf',
      about:
        'What chooses the network interface of the machine by which packets of pods leave whose addresses are of one: ' +
        'ebpf: the programs, by the source; rules: routing rules of the kernel, one a block, for where the programs shall not.',
    }),
    overlay: section('The VXLAN device.', {
      port: whole(1, 65_535, { byDefault: 8472, about: 'UDP port, the same on all nodes.' }),
      vni: whole(1, 0xffffff, { byDefault: 1, about: 'VXLAN network identifier, the same on all nodes.' }),
    }),
  }),
  services: section('Kubernetes Services.', {
    socket: flag({
      byDefault: true,
      about:
        'Translate services when a socket connects or sends, which costs nothing for the packets after it. Without it the packets of pods are translated one by one, and the processes of the node find no services.',
    }),
    withoutBackend: oneOf(['refuse', 'drop'], {
      byDefault: 'refuse',
      about:
        'What becomes of packets to a service that nobody serves: their sender is told so (a reset, or ICMP port unreachable), or hears nothing. What connects by a socket of the node is refused either way.',
    }),
    nodePorts: section('Where node ports are served. No process of the node can bind to one of a service meanwhile.', {
      addresses: field(z.array(z.string().check(z.refine(isPrefix))), 'a list of prefixes such as 192.0.2.0/24', {
        byDefault: [],
        about: 'At which of the node’s addresses; all when it is empty. The same for IPv4 and IPv6.',
      }),
      loopback: flag({
        byDefault: false,
        about: 'At 127.0.0.1 and ::1 too, for sockets of the node’s own processes (`services.socket`).',
      }),
    }),
    forwarding: oneOf(['snat', 'dsr'], {
      byDefault: 'snat',
      about:
        'How clients elsewhere reach backends on other nodes, unless the Service says so itself; docs/services.md. ' +
        'snat: by this node both ways, which the backend sees as its client; dsr: the backend sees the client and answers it directly.',
    }),
    dsr: section('How a flow is sent on to a pod of another node that answers the client directly.', {
      dispatch: oneOf(['auto', 'option', 'ipip', 'geneve', 'off'], {
        byDefault: 'auto',
        about:
          'option: as an IPv4 option or IPv6 destination option of the first packet; ipip and geneve: each packet within another. ' +
          'auto: geneve in a native network and where routing.mode is native, for the networks of clouds drop options and often IPIP, else option. ' +
          'A node takes what comes in any of these ways. off: every service is forwarded by snat.',
      }),
      port: whole(1, 65_535, { byDefault: 6081, about: 'UDP port of geneve, the same on all nodes.' }),
    }),
    xdp: oneOf(['auto', 'native', 'generic', 'off'], {
      byDefault: 'auto',
      about:
        'Packets between clients and backends that are both elsewhere turn around in front of the stack of this node. ' +
        'auto: in the drivers of uplinks that can, never on a veth; native: in the driver, or the status says why not; ' +
        'generic: behind the driver, which costs all other packets more than it saves these.',
    }),
    maglev: section('Tables by which a flow finds the same backend on every node; docs/services.md.', {
      tableSize: field(z.literal([...TABLE_SIZES]), `one of ${TABLE_SIZES.join(', ')}`, {
        byDefault: DEFAULT_TABLE_SIZE,
        about: 'Places of a table, 2 bytes each: a hundred times the backends of a service share evenly.',
      }),
      seed: text(/^[\x20-\x7e]{1,64}$/, '1 to 64 printable characters', {
        byDefault: 'causeway',
        about: 'Sets clusters apart whose backends have the same addresses. The same on every node.',
      }),
      inside: flag({
        byDefault: false,
        about:
          'For clients of the node as well, where their packets are translated; what connects by socket has no flow yet and goes by chance.',
      }),
    }),
  }),
  datapath,
  cni,
  metrics: section('Prometheus metrics.', {
    listen: listen('TCP address for `/metrics`, `/v1/health` and `/v1/alive`, besides the unix socket.'),
    tls,
  }),
  operator,
})

/** The checked configuration, without the plugins' sections. */
export type Settings = ValueOf<typeof schema.fields>

/** The families as the kernel layer numbers them. */
export function familiesOf({ families }: Pick<Settings, 'families'>): readonly Family[] {
  return families.map(family => (family === 'ipv4' ? 4 : 6))
}

/** Where `metrics.tls` says that certificate and key are; undefined for plain HTTP. */
export function tlsFilesOf({
  certFile,
  keyFile,
  clientCaFile,
}: Settings['metrics']['tls']):
  | { readonly certFile: string; readonly keyFile: string; readonly clientCaFile: string | undefined }
  | undefined {
  return certFile === '' ? undefined : { certFile, keyFile, clientCaFile: clientCaFile || undefined }
}

/** Splits `address:port`, where no address stands for all of them; undefined when it is not of that form. */
export function parseListen(value: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[(?<six>[^\]]+)\]|(?<four>[^:]*)):(?<port>\d{1,5})$/.exec(value)
  const { six, four = '', port } = match?.groups ?? {}
  if (port === undefined || Number(port) > 65_535) return undefined
  const known = six === undefined ? four === '' || isIPv4(four) : isIPv6(six)
  return known ? { host: six ?? four, port: Number(port) } : undefined
}

/** Who we are is not said in a URL, which is shown and logged. */
function isServer(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, search, hash } = new URL(text)
  return protocol === 'https:' && username + password + search + hash === ''
}

function isPrefix(text: string): boolean {
  try {
    return canonicalPrefix(text) === text
  } catch {
    return false
  }
}
