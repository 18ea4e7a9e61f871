/** Label selectors (k8s.io/apimachinery, meta/v1 LabelSelector): whether they hold, and texts to share and to show them by. */

import type { LabelRequirement, LabelSelector } from '../kube/objectTypes.js';

export type Labels = Readonly<Record<string, string>>;

/** Everything listed must hold; a selector that lists nothing selects all. */
export function selects({ matchLabels, matchExpressions }: LabelSelector, labels: Labels): boolean {
  // Most differ in the first label: whether it is their own is asked of those that do not.
  for (const key of Object.keys(matchLabels))
    if (labels[key] !== matchLabels[key] || !Object.hasOwn(labels, key)) return false;
  return matchExpressions.every(requirement => holds(requirement, valueOf(labels, requirement.key)));
}

/** NotIn holds for what lacks the label altogether. */
function holds({ operator, values }: LabelRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** Labels are whatever somebody wrote: none of them may be mistaken for a property that every object has. */
function valueOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** Equal for selectors that are written alike but for order: what groups are shared by. */
export function selectorKey({ matchLabels, matchExpressions }: LabelSelector): string {
  const labels = Object.entries(matchLabels).sort(byText);
  const expressions = matchExpressions
    .map(({ key, operator, values }) => [key, operator, [...new Set(values)].sort()])
    .sort(byText);
  return JSON.stringify([labels, expressions]);
}

function byText(a: unknown, b: unknown): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** As kubectl writes selectors: `app=web,tier in (a,b),!canary`; empty for a selector that selects all. */
export function selectorText({ matchLabels, matchExpressions }: LabelSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  return [...labels, ...matchExpressions.map(requirementText)].join(',');
}

function requirementText({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'In':
      return `${key} in (${values.join(',')})`;
    case 'NotIn':
      return `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}
