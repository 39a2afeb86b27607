/** The configuration of containerd on a node. */
import { join } from 'node:path'

export interface ContainerdPaths {
  /** Holds root, state and socket; the same path in the node and on the machine. */
  readonly folder: string
  readonly cniConf: string
  readonly cniBin: string
}

/** Names of containerd's own files in its folder. */
export const CONTAINERD_FILES = {
  config: 'containerd.toml',
  log: 'containerd.log',
  socket: 'containerd.sock',
  /** Where sandboxes' network namespaces are mounted, by `netns_mounts_under_state_dir`. */
  netns: 'state/io.containerd.grpc.v1.cri/netns',
} as const

export const PAUSE_IMAGE = 'localhost/causeway/pause:1'

/** Of `containerd`: 1.x reads version 2, 2.x version 3 (containerd, docs/cri/config.md). */
export type ConfigVersion = 2 | 3

/**
 * `restrict_oom_score_adj`: without CAP_SYS_RESOURCE runc dies of the negative score that a sandbox gets.
 * `disable_cgroup`, which 2.x has no more: a sandbox's CPU share cannot be set where the machine passes the controller cpu
 * to no cgroup. The paths of network namespaces must be the node's own, because the daemon outside knows them by the same
 * path.
 */
export function containerdConfig(version: ConfigVersion, paths: ContainerdPaths): string {
  const { folder, cniConf, cniBin } = paths
  const top = [
    `version = ${version}`,
    `root = "${join(folder, 'root')}"`,
    `state = "${join(folder, 'state')}"`,
    '[grpc]',
    `address = "${join(folder, CONTAINERD_FILES.socket)}"`,
  ]
  const common = ['restrict_oom_score_adj = true', 'netns_mounts_under_state_dir = true']
  const v2 = [
    '[plugins."io.containerd.grpc.v1.cri"]',
    `sandbox_image = "${PAUSE_IMAGE}"`,
    ...common,
    'disable_cgroup = true',
    '[plugins."io.containerd.grpc.v1.cri".cni]',
    `bin_dir = "${cniBin}"`,
    `conf_dir = "${cniConf}"`,
  ]
  const v3 = [
    '[plugins."io.containerd.cri.v1.images".pinned_images]',
    `sandbox = "${PAUSE_IMAGE}"`,
    '[plugins."io.containerd.cri.v1.runtime"]',
    ...common,
    '[plugins."io.containerd.cri.v1.runtime".cni]',
    `bin_dirs = ["${cniBin}"]`,
    `conf_dir = "${cniConf}"`,
  ]
  return [...top, ...(version === 2 ? v2 : v3), ''].join('\n')
}
