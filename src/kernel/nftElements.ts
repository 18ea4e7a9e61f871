/** Elements of sets and maps as nft(8) takes them and as its JSON lists them (libnftables-json(5)). Pure. */

/** Types of fields by nft's names. `integer`: octets of a packet that have no type of their own, as a hexadecimal number. */
export type NftType = 'ipv4_addr' | 'ipv6_addr' | 'ether_addr' | 'ifname' | 'mark' | 'integer';

export interface NftElementShape {
  /** Of more than one field: a concatenation. */
  readonly type: NftType | readonly NftType[];
  /** It holds prefixes, none of them inside another; otherwise single values. */
  readonly interval: boolean;
  /** Of a map: the type of what its elements stand for. */
  readonly data?: NftType;
}

/** `"veth1" . 10.244.1.5`: the fields of a concatenation as they are written and read back. */
export function concatenation(...fields: readonly string[]): string {
  return fields.join(' . ');
}

/** A link's name as an element of type ifname. */
export function linkName(name: string): string {
  return `"${name}"`;
}

/** The number of an element of type mark. */
export function markText(mark: number): string {
  return `0x${mark.toString(16).padStart(8, '0')}`;
}

/** @returns element and what it stands for (nothing in a set); undefined: a form that we never write */
export function listedElement(
  listed: unknown,
  { type, interval, data }: NftElementShape,
): { readonly key: string; readonly value: string } | undefined {
  if (data === undefined) {
    const key = keyText(listed, type, interval);
    return key === undefined ? undefined : { key, value: '' };
  }
  if (!Array.isArray(listed) || listed.length !== 2) return undefined;
  const [key, value] = [keyText(listed[0], type, interval), fieldText(listed[1], data)];
  return key === undefined || value === undefined ? undefined : { key, value };
}

function keyText(listed: unknown, type: NftType | readonly NftType[], interval: boolean): string | undefined {
  if (typeof type !== 'string') return concatenationText(listed, type);
  return interval ? prefixText(listed, type === 'ipv4_addr' ? 32 : 128) : fieldText(listed, type);
}

function concatenationText(listed: unknown, types: readonly NftType[]): string | undefined {
  if (typeof listed !== 'object' || listed === null || !('concat' in listed)) return undefined;
  const { concat } = listed;
  if (!Array.isArray(concat) || concat.length !== types.length) return undefined;
  const fields = types.map((type, i) => fieldText(concat[i], type));
  return fields.includes(undefined) ? undefined : fields.join(' . ');
}

function fieldText(listed: unknown, type: NftType): string | undefined {
  if (type === 'mark') return typeof listed === 'number' ? markText(listed) : undefined;
  if (typeof listed !== 'string') return undefined;
  return type === 'ifname' ? linkName(listed) : listed;
}

/** nft lists a prefix of full length as a bare address. */
function prefixText(listed: unknown, bits: 32 | 128): string | undefined {
  if (typeof listed === 'string') return `${listed}/${bits}`;
  if (typeof listed !== 'object' || listed === null || !('prefix' in listed)) return undefined;
  const { prefix } = listed;
  if (typeof prefix !== 'object' || prefix === null || !('addr' in prefix) || !('len' in prefix)) return undefined;
  return typeof prefix.addr === 'string' && typeof prefix.len === 'number' ? `${prefix.addr}/${prefix.len}` : undefined;
}
