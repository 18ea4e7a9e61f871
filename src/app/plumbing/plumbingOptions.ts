/** What can be said of a node's own plumbing: the pods' bridge, the CNI configuration, egress, kernel switches. */

import type { IpPrefix } from '../../core/ip.js';
import { DEFAULT_OVERLAY, type OverlayOptions } from '../../fib/overlay/overlayOptions.js';

/** Whether packets to and from pods are let through a firewall of somebody else that drops what it does not know. */
export type ForwardPolicy =
  /** Where such a firewall is found, accept rules are put into it, as kube-router does everywhere. */
  | 'accept'
  /** It is told as a problem, and nothing is done. */
  | 'report'
  | 'off';

export interface NodePlumbingOptions {
  /** Make the bridge, keep it up and at its MTU. */
  readonly bridge: { readonly enabled: boolean; readonly name: string };
  /** `--enable-cni` and KUBE_ROUTER_CNI_CONF_FILE. */
  readonly cni: { readonly enabled: boolean; readonly file: string };
  /** `--enable-pod-egress`: packets of pods to the world outside carry the node's address. */
  readonly egress: {
    readonly enabled: boolean;
    /** Destinations that see pods by their own addresses, besides pods and nodes. */
    readonly excluded: readonly IpPrefix[];
  };
  /**
   * `--auto-mtu`: what the link with the node's address can, less what the overlay adds; a number: that;
   * `keep`: whatever is there.
   */
  readonly mtu: 'auto' | 'keep' | number;
  /** Its overhead is taken off the MTU. */
  readonly overlay: OverlayOptions;
  /** Forwarding, rp_filter and the like. */
  readonly sysctls: boolean;
  /** Packets from one pod to another on the same bridge pass the firewall too, where the kernel has br_netfilter. */
  readonly bridgeNetfilter: boolean;
  readonly forward: ForwardPolicy;
  /** `--enable-ipv4`, `--enable-ipv6`. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** A command for sh(1), run once: for clouds that must be told to let a machine forward packets. */
  readonly sourceDestCheckHook: string | undefined;
  /** Where it is remembered what kernel switches said before; it should not outlive a boot. */
  readonly stateDirectory: string;
}

export const DEFAULT_PLUMBING: NodePlumbingOptions = {
  bridge: { enabled: true, name: 'kube-bridge' },
  cni: { enabled: true, file: '/etc/cni/net.d/10-kuberouter.conf' },
  egress: { enabled: true, excluded: [] },
  mtu: 'auto',
  overlay: DEFAULT_OVERLAY,
  sysctls: true,
  bridgeNetfilter: true,
  forward: 'accept',
  ipv4: true,
  ipv6: true,
  sourceDestCheckHook: undefined,
  stateDirectory: '/run/peerage',
};

/** Nothing on the node is touched. */
export const NO_PLUMBING: NodePlumbingOptions = {
  ...DEFAULT_PLUMBING,
  bridge: { ...DEFAULT_PLUMBING.bridge, enabled: false },
  cni: { ...DEFAULT_PLUMBING.cni, enabled: false },
  egress: { ...DEFAULT_PLUMBING.egress, enabled: false },
  sysctls: false,
  bridgeNetfilter: false,
  forward: 'off',
};
