import { expect, test } from '@jest/globals';
import { keyOf } from '../../../../src/kube/objects.js';
import { parseManifest } from '../../../../src/kube/client/manifestFile.js';

/** What was read, as `key@line`, then the complaints as `line: text`. */
function outcome(text: string): readonly string[] {
  const parsed = parseManifest(text);
  if (!parsed.ok) return [`${parsed.error.line}: ${parsed.error.text}`];
  const { objects, bad } = parsed.value;
  return [
    ...objects.map(({ object, line }) => `${keyOf(object)}@${line}`),
    ...bad.map(({ line, text }) => `${line}: ${text}`),
  ];
}

const node = (name: string): string => `apiVersion: v1\nkind: Node\nmetadata:\n  name: ${name}\n`;
const item = (name: string): string => `- apiVersion: v1\n  kind: Node\n  metadata:\n    name: ${name}\n`;

test.each([
  ['one object', node('a'), ['Node/a@1']],
  ['several documents', `${node('a')}---\n${node('b')}...\n---\n${node('c')}`, ['Node/a@1', 'Node/b@6', 'Node/c@12']],
  ['documents of nothing', `---\n---\n# nothing\n---\n${node('a')}---\n`, ['Node/a@5']],
  ['a List', `apiVersion: v1\nkind: List\nitems:\n${item('a')}${item('b')}`, ['Node/a@4', 'Node/b@8']],
  [
    'a typed list, whose items tell no kind',
    'apiVersion: v1\nkind: NodeList\nitems:\n- metadata: {name: a}\n',
    ['Node/a@4'],
  ],
  ['an empty List', 'apiVersion: v1\nkind: List\nitems: null\n', []],
  [
    'JSON',
    '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}]}',
    ['Node/a@1'],
  ],
  ['comments only', '# later\n', []],
  ['kinds of others', 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n', []],
  ['CRLF', node('a').replaceAll('\n', '\r\n'), ['Node/a@1']],
])('reads %s', (_name, text, expected) => {
  expect(outcome(text)).toEqual(expected);
});

test.each([
  ['nothing at all', ' \n', ['1: the file is empty']],
  ['bad YAML', `${node('a')}---\nkind: [Node\n`, [expect.stringMatching(/^\d+: .*Flow sequence/)]],
  ['bad YAML after good', `${node('a')}  x: y\n z: 1\n`, [expect.stringMatching(/^[56]: /)]],
  ['a cut JSON', '{"apiVersion":"v1",\n"kind":"Node",\n"metadata":{', [expect.stringMatching(/^\d: /)]],
  ['no kind in one document', `${node('a')}---\nfoo: bar\n`, ['Node/a@1', '6: has no kind']],
  [
    'a bad item of a List, with its line',
    `apiVersion: v1\nkind: List\nitems:\n${item('a')}${item('b')}  spec: {podCIDR: x}\n`,
    ['Node/a@4', '8: Node b: spec.podCIDR: "x" is not a prefix, such as 10.0.0.0/8'],
  ],
  [
    'a bad item of JSON, with its line',
    '{"kind":"List","apiVersion":"v1","items":[\n{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}},\n{"apiVersion":"v1","kind":"Node"}\n]}',
    ['Node/a@2', '3: Node: metadata.name is missing'],
  ],
])('complains about %s', (_name, text, expected) => {
  expect(outcome(text)).toEqual(expected);
});

test('a document that multiplies itself is refused', () => {
  const level = (n: number): string => `l${n}: &l${n} [${Array.from({ length: 10 }, () => `*l${n - 1}`).join(',')}]\n`;
  const text = `l0: &l0 [x]\n${[1, 2, 3, 4, 5, 6, 7].map(level).join('')}`;
  expect(outcome(text)).toEqual([expect.stringMatching(/alias/i)]);
});
