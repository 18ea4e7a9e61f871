/** What is shown of egress addresses: what namespaces ask for, and which nodes hold it. */

/** One address that a namespace asks for. */
export interface EgressAddressView {
  readonly namespace: string;
  /** Null: what the namespace says cannot be read. */
  readonly address: string | null;
  /** The node that holds it; null: none, and pods of the namespace reach nothing outside in its family. */
  readonly node: string | null;
  /** It is the node that was asked. */
  readonly isHere: boolean;
  /** Pods of the node that was asked that may carry it. */
  readonly localPods: number;
  /** Why nobody carries it. */
  readonly problem: string | null;
}

/** Answered by the running agent. */
export interface EgressView {
  addresses(): readonly EgressAddressView[];
}
