/**
 * Namespaces by their labels: a selector that asks for the value of a label meets only the namespaces that have it, of
 * thousands. Pure.
 */

import type { LabelSelector } from '../kube/objectTypes.js';
import type { Labels } from './labelSelector.js';
import { NAMESPACE_NAME, namespaceLabels } from './membership.js';

export interface NamespaceIndex {
  /** @param labels undefined: no Namespace object is known */
  set(name: string, labels: Labels | undefined): void;
  /** With the one that every namespace has; also of a namespace without an object. */
  labelsOf(name: string): Labels;
  /** All that the selector may select, and maybe others; undefined: any may be. */
  candidates(selector: LabelSelector): ReadonlySet<string> | undefined;
}

export function createNamespaceIndex(): NamespaceIndex {
  const known = new Map<string, Labels>();
  const byLabel = new Map<string, Set<string>>();
  const forget = (name: string): void => {
    for (const label of Object.entries(known.get(name) ?? {})) {
      const names = byLabel.get(labelKey(label));
      names?.delete(name);
      if (names?.size === 0) byLabel.delete(labelKey(label));
    }
    known.delete(name);
  };
  return {
    set: (name, labels) => {
      forget(name);
      if (labels === undefined) return;
      known.set(name, namespaceLabels(name, labels));
      for (const label of Object.entries(labels))
        byLabel.set(labelKey(label), (byLabel.get(labelKey(label)) ?? new Set<string>()).add(name));
    },
    labelsOf: name => known.get(name) ?? namespaceLabels(name, undefined),
    candidates: ({ matchLabels }) => {
      let fewest: ReadonlySet<string> | undefined;
      for (const label of Object.entries(matchLabels)) {
        // All have that one, also those of which nothing is known.
        const names = label[0] === NAMESPACE_NAME ? new Set([label[1]]) : (byLabel.get(labelKey(label)) ?? NONE);
        if (fewest === undefined || names.size < fewest.size) fewest = names;
      }
      return fewest;
    },
  };
}

const NONE: ReadonlySet<string> = new Set();

function labelKey([key, value]: readonly [string, string]): string {
  return `${key}=${value}`;
}
