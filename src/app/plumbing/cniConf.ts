/**
 * CNI network configurations (CNI specification 0.3 to 1.0; .conf and .conflist): a node's pod networks and MTU put into
 * one, and taken out again. What is not ours stays as it is, in its place.
 */

import { formatPrefix, type IpPrefix } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import { parseCidr } from '../../kube/schemaParts.js';
import {
  formatJson,
  isJsonArray,
  isJsonObject,
  parseJsonObject,
  withKeys,
  type Json,
  type JsonObject,
} from './json.js';

export interface CniWish {
  /** Of this node, as canonical text. */
  readonly podCidrs: readonly string[];
  /** Octets; null: the file's own business. */
  readonly mtu: number | null;
  /** The bridge that the plugin uses where it names none. */
  readonly bridge: string;
}

export interface MergedCniConf {
  /** The very text that was given where nothing has to change. */
  readonly text: string;
  /** Sentences that follow the file's name. */
  readonly complaints: readonly string[];
}

/**
 * Where it is noted, inside the plugin, what we changed: plugins ignore keys they do not know, and the note goes where
 * the file goes.
 */
const NOTE = 'peerage';

/** Puts pod networks and MTU into a configuration. @returns a sentence that follows the file's name on one that cannot be understood */
export function mergeCniConf(text: string, wish: CniWish): Result<MergedCniConf, string> {
  const complaints: string[] = [];
  const changed = changePlugin(text, plugin => mergePlugin(plugin, wish, complaints));
  return changed.ok ? ok({ text: changed.value, complaints }) : changed;
}

/** A configuration where there is none. @param isList whether the file's name ends in .conflist */
export function newCniConf(isList: boolean, wish: CniWish): string {
  const plugin: JsonObject = {
    type: 'bridge',
    bridge: wish.bridge,
    isDefaultGateway: true,
    hairpinMode: true,
    ...(wish.mtu === null ? {} : { mtu: wish.mtu }),
    ipam: { type: 'host-local', ranges: wish.podCidrs.map(subnet => [{ subnet }]) },
    [NOTE]: { created: true, ranges: wish.podCidrs },
  };
  const head = { cniVersion: '0.4.0', name: 'pods' };
  const portmap = { type: 'portmap', capabilities: { portMappings: true } };
  return formatJson(isList ? { ...head, plugins: [plugin, portmap] } : { ...head, ...plugin }, '');
}

export type RestoredCniConf =
  | { readonly kind: 'untouched' }
  | { readonly kind: 'restored'; readonly text: string }
  /** It was made by us. */
  | { readonly kind: 'delete' };

/** Takes out what {@link mergeCniConf} put in. */
export function restoreCniConf(text: string): Result<RestoredCniConf, string> {
  const notes: JsonObject[] = [];
  const changed = changePlugin(text, plugin => {
    notes.push(noteOf(plugin));
    return NOTE in plugin ? restorePlugin(plugin, noteOf(plugin)) : plugin;
  });
  if (!changed.ok) return changed;
  if (notes.some(note => note['created'] === true)) return ok({ kind: 'delete' });
  return ok(changed.value === text ? { kind: 'untouched' } : { kind: 'restored', text: changed.value });
}

/** Networks that the plugin hands out addresses of. @returns none for a configuration that cannot be understood */
export function rangesOfCniConf(text: string): readonly IpPrefix[] {
  const found: IpPrefix[] = [];
  changePlugin(text, plugin => {
    const { ipam } = plugin;
    if (!isJsonObject(ipam)) return plugin;
    const moved = movedRange(ipam);
    for (const range of [...(moved === undefined ? [] : [moved]), ...rangeSets(ipam['ranges']).flat()]) {
      const parsed = parseCidr(subnetOf(range));
      if (parsed.ok) found.push(parsed.value);
    }
    return plugin;
  });
  return found;
}

function changePlugin(text: string, change: (plugin: JsonObject) => JsonObject): Result<string, string> {
  const parsed = parseJsonObject(text);
  if (!parsed.ok) return parsed;
  const after = changeInside(parsed.value, change);
  if (!after.ok) return after;
  return ok(JSON.stringify(after.value) === JSON.stringify(parsed.value) ? text : formatJson(after.value, text));
}

/** The plugin that gives pods their addresses is the first bridge, or else the first with host-local IPAM. */
function changeInside(conf: JsonObject, change: (plugin: JsonObject) => JsonObject): Result<JsonObject, string> {
  const { plugins } = conf;
  if (plugins === undefined) return isAddressing(conf) ? ok(change(conf)) : err(NO_PLUGIN);
  if (!isJsonArray(plugins)) return err('has plugins that are no list');
  const bridge = plugins.findIndex(plugin => isJsonObject(plugin) && plugin['type'] === 'bridge');
  const at = bridge >= 0 ? bridge : plugins.findIndex(plugin => isJsonObject(plugin) && isAddressing(plugin));
  const plugin = plugins[at];
  if (!isJsonObject(plugin)) return err(NO_PLUGIN);
  return ok(withKeys(conf, { plugins: plugins.map((other, i) => (i === at ? change(plugin) : other)) }));
}

const NO_PLUGIN = 'has neither a bridge plugin nor one with host-local IPAM: pods get addresses without this router';

function isAddressing(plugin: JsonObject): boolean {
  const { type, ipam } = plugin;
  return type === 'bridge' || (isJsonObject(ipam) && ipam['type'] === 'host-local');
}

function mergePlugin(plugin: JsonObject, wish: CniWish, complaints: string[]): JsonObject {
  if (plugin['ipMasq'] === true)
    complaints.push('says ipMasq: pods of other nodes see the node’s address instead of the pod’s');
  const addressed = mergeIpam(plugin, wish, complaints);
  if (plugin['type'] !== 'bridge') return addressed;
  const named = plugin['bridge'];
  if (named !== undefined && named !== wish.bridge)
    complaints.push(`names the bridge ${JSON.stringify(named)}, where this router looks after ${wish.bridge}`);
  const wanted: Record<string, Json> = {};
  if (named === undefined) wanted['bridge'] = wish.bridge;
  // A pod that reaches itself through its service's address comes back through the port it came from.
  if (plugin['hairpinMode'] === undefined && plugin['promiscMode'] !== true) wanted['hairpinMode'] = true;
  if (wish.mtu !== null && plugin['mtu'] !== wish.mtu) wanted['mtu'] = wish.mtu;
  return noteBefore(addressed, wanted);
}

/** Sets keys and notes what they were: null where they were not there. What is noted already stands. */
function noteBefore(plugin: JsonObject, wanted: Readonly<Record<string, Json>>): JsonObject {
  if (Object.keys(wanted).length === 0) return plugin;
  const note = noteOf(plugin);
  if (note['created'] === true) return withKeys(plugin, wanted);
  const known = isJsonObject(note['before']) ? note['before'] : {};
  const news = Object.keys(wanted).filter(key => !(key in known));
  const before = { ...known, ...Object.fromEntries(news.map(key => [key, plugin[key] ?? null])) };
  return withKeys(plugin, { ...wanted, [NOTE]: withKeys(note, { before }) });
}

function mergeIpam(plugin: JsonObject, { podCidrs }: CniWish, complaints: string[]): JsonObject {
  const ipam = isJsonObject(plugin['ipam']) ? plugin['ipam'] : { type: 'host-local' };
  if (ipam['type'] !== 'host-local') {
    complaints.push(`has IPAM of type ${JSON.stringify(ipam['type'] ?? null)}: pods get addresses without this router`);
    return plugin;
  }
  if (podCidrs.length === 0) return plugin;
  const note = noteOf(plugin);
  const moved = movedRange(ipam);
  const found = [...(moved === undefined ? [] : [[moved]]), ...rangeSets(ipam['ranges'])];
  const inserted = textsOf(note['ranges']);
  const kept = keepRanges(found, subnet => !inserted.includes(subnet) || podCidrs.includes(subnet));
  const present = kept.flatMap(set => set.map(subnetOf));
  const missing = podCidrs.filter(cidr => !present.includes(cidr));
  for (const stranger of present.filter(subnet => !podCidrs.includes(subnet)))
    complaints.push(`hands out addresses of ${stranger}, which is no pod network of this node`);
  const ranges = [...kept, ...missing.map(subnet => [{ subnet }])];
  const own = [...inserted.filter(subnet => podCidrs.includes(subnet)), ...missing];
  const isSame = moved === undefined && JSON.stringify(ranges) === JSON.stringify(ipam['ranges'] ?? []);
  if (isSame && own.join() === inserted.join()) return plugin;
  const origin = moved === undefined || 'moved' in note ? {} : { moved };
  const bare = withKeys(ipam, Object.fromEntries(RANGE_KEYS.map(key => [key, undefined])));
  return withKeys(plugin, {
    ipam: withKeys(bare, { ranges }),
    [NOTE]: withKeys(note, { ranges: own, ...origin }),
  });
}

/** What may stand beside `subnet` in an IPAM section of the old form, and in a range. */
const RANGE_KEYS = ['subnet', 'rangeStart', 'rangeEnd', 'gateway'] as const;

function movedRange(ipam: JsonObject): JsonObject | undefined {
  if (ipam['subnet'] === undefined) return undefined;
  const entries = RANGE_KEYS.flatMap(key => (ipam[key] === undefined ? [] : [[key, ipam[key]] as const]));
  return Object.fromEntries(entries);
}

function rangeSets(ranges: Json | undefined): readonly (readonly Json[])[] {
  return isJsonArray(ranges) ? ranges.map(set => (isJsonArray(set) ? set : [set])) : [];
}

function keepRanges(
  sets: readonly (readonly Json[])[],
  isKept: (subnet: string) => boolean,
): readonly (readonly Json[])[] {
  return sets.map(set => set.filter(range => isKept(subnetOf(range)))).filter(set => set.length > 0);
}

/** Canonical where it can be read, so that 10.1.0.0/16 is found however it is written. */
function subnetOf(range: Json): string {
  const text = isJsonObject(range) && typeof range['subnet'] === 'string' ? range['subnet'] : JSON.stringify(range);
  const parsed = parseCidr(text);
  return parsed.ok ? formatPrefix(parsed.value) : text;
}

function restorePlugin(plugin: JsonObject, note: JsonObject): JsonObject {
  const before = isJsonObject(note['before']) ? note['before'] : {};
  const scalars = Object.fromEntries(Object.entries(before).map(([key, value]) => [key, value ?? undefined]));
  const bare = withKeys(plugin, { ...scalars, [NOTE]: undefined });
  if (!isJsonObject(plugin['ipam'])) return bare;
  const moved = isJsonObject(note['moved']) ? note['moved'] : undefined;
  const taken = [...textsOf(note['ranges']), ...(moved === undefined ? [] : [subnetOf(moved)])];
  const ranges = keepRanges(rangeSets(plugin['ipam']['ranges']), subnet => !taken.includes(subnet));
  const ipam = withKeys(plugin['ipam'], { ranges: ranges.length === 0 ? undefined : ranges, ...moved });
  return withKeys(bare, { ipam });
}

function noteOf(plugin: JsonObject): JsonObject {
  return isJsonObject(plugin[NOTE]) ? plugin[NOTE] : {};
}

function textsOf(value: Json | undefined): readonly string[] {
  return isJsonArray(value) ? value.filter(text => typeof text === 'string') : [];
}
