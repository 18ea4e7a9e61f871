/**
 * The protocol buffers wire format, as far as reading goes (protobuf.dev/programming-guides/encoding): octets to the
 * object that JSON would give, of the fields a table names. What it does not name is passed over without being looked at.
 */

import { assertNever } from '../../core/assertNever.js';
import { createWords } from './words.js';

export type JsonValue = string | number | boolean | JsonRecord | JsonValue[];
/** An object as JSON.parse gives it; a string that is empty is left out, as Kubernetes leaves it out of its JSON. */
export interface JsonRecord {
  [name: string]: JsonValue;
}

export type FieldType =
  /** A string that hardly ever comes twice. */
  | 'text'
  /** A string that many objects share, such as the name of a node: kept in memory once. */
  | 'word'
  | 'number'
  | 'boolean'
  /** A map of strings. */
  | 'map'
  /** meta/v1 Time: RFC 3339 text in JSON. */
  | 'time'
  /** util/intstr IntOrString: a number or a string in JSON. */
  | 'intOrString'
  | Message;

interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly repeated: boolean;
}

export interface Message {
  /** By field number. */
  readonly fields: readonly (Field | undefined)[];
}

/** The octets are no message. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** A field that may come any number of times. */
interface Repeated {
  readonly each: FieldType;
}

export function each(type: FieldType): Repeated {
  return { each: type };
}

/** @param fields by name in JSON */
export function message(
  fields: Readonly<Record<string, readonly [number: number, type: FieldType | Repeated]>>,
): Message {
  const table: (Field | undefined)[] = [];
  for (const [name, [number, type]] of Object.entries(fields)) {
    const repeated = typeof type === 'object' && 'each' in type;
    table[number] = repeated ? { name, type: type.each, repeated } : { name, type, repeated };
  }
  // Without holes: a hole is looked for in the prototype too.
  return { fields: Array.from(table) };
}

const words = createWords();

/**
 * Reads one message.
 * @throws WireError when the octets end too early or hold what cannot be
 */
export function decode(octets: Buffer, type: Message, start = 0, end = octets.length): JsonRecord {
  return new Reader(octets, start, end).message(type, end);
}

/** The octets of one field of a message, the last that is there; undefined: there is none. */
export function fieldOctets(octets: Buffer, number: number): Buffer | undefined {
  return new Reader(octets, 0, octets.length).octetsOf(number);
}

/** Calls back with the place of each occurrence of a repeated field. */
export function eachField(octets: Buffer, number: number, take: (start: number, end: number) => void): void {
  new Reader(octets, 0, octets.length).each(number, take);
}

const WireType = { varint: 0, fixed64: 1, octets: 2, fixed32: 5 } as const;
const MAP_KEY = 1;
const MAP_VALUE = 2;

class Reader {
  constructor(
    private readonly octets: Buffer,
    private at: number,
    private readonly end: number,
  ) {}

  message({ fields }: Message, end: number): JsonRecord {
    const record: JsonRecord = {};
    while (this.at < end) {
      const tag = this.varint();
      const field = fields[tag >>> 3];
      if (field === undefined) this.skip(tag & 7);
      else this.field(record, field, tag & 7);
    }
    this.expectAt(end);
    return record;
  }

  octetsOf(number: number): Buffer | undefined {
    let found: Buffer | undefined;
    this.each(number, (start, end) => (found = this.octets.subarray(start, end)));
    return found;
  }

  each(number: number, take: (start: number, end: number) => void): void {
    while (this.at < this.end) {
      const tag = this.varint();
      if (tag >>> 3 !== number || (tag & 7) !== WireType.octets) {
        this.skip(tag & 7);
        continue;
      }
      const end = this.blockEnd();
      take(this.at, end);
      this.at = end;
    }
    this.expectAt(this.end);
  }

  private field(record: JsonRecord, { name, type, repeated }: Field, wire: number): void {
    const isScalar = type === 'number' || type === 'boolean';
    if (wire !== (isScalar ? WireType.varint : WireType.octets))
      throw new WireError(`field ${name} has wire type ${wire}`);
    if (type === 'map') {
      const entries = record[name];
      this.mapEntry(isObject(entries) ? entries : (record[name] = {}));
      return;
    }
    const value = this.value(type);
    const list = record[name];
    if (!repeated) {
      if (value !== '') record[name] = value;
    } else if (Array.isArray(list)) list.push(value);
    else record[name] = [value];
  }

  private value(type: Exclude<FieldType, 'map'>): JsonValue {
    if (type === 'number') return this.varint();
    if (type === 'boolean') return this.varint() !== 0;
    const end = this.blockEnd();
    if (typeof type === 'object') return this.message(type, end);
    switch (type) {
      case 'text':
        return this.text(end);
      case 'word':
        return this.word(end);
      case 'time':
        return timeText(this.message(TIME, end));
      case 'intOrString':
        return intOrString(this.message(INT_OR_STRING, end));
      default:
        return assertNever(type);
    }
  }

  private mapEntry(into: JsonRecord): void {
    const end = this.blockEnd();
    let [key, value] = ['', ''];
    while (this.at < end) {
      const tag = this.varint();
      const number = tag >>> 3;
      if ((tag & 7) !== WireType.octets) this.skip(tag & 7);
      else if (number === MAP_KEY) key = this.word(this.blockEnd());
      else if (number === MAP_VALUE) value = this.word(this.blockEnd());
      else this.skip(WireType.octets);
    }
    this.expectAt(end);
    into[key] = value;
  }

  private text(end: number): string {
    const text = this.octets.toString('utf8', this.at, end);
    this.at = end;
    return text;
  }

  private word(end: number): string {
    const word = words.read(this.octets, this.at, end);
    this.at = end;
    return word;
  }

  /** Where the block of a given length that begins here ends. */
  private blockEnd(): number {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.end) throw new WireError(`a field of ${length} octets in a message that ends before`);
    return end;
  }

  /** Up to 2^53; larger ones, which no field of ours has, lose precision. */
  private varint(): number {
    const { octets, end } = this;
    let value = 0;
    for (let factor = 1; this.at < end; factor *= 128) {
      const octet = octets[this.at++] ?? 0;
      value += (octet & 127) * factor;
      if (octet < 128) return value;
      if (factor >= 2 ** 63) throw new WireError('a number of more than ten octets');
    }
    throw new WireError('the message ends within a number');
  }

  private expectAt(end: number): void {
    if (this.at !== end) throw new WireError('a field reaches beyond the message it is in');
  }

  private skip(wire: number): void {
    switch (wire) {
      case WireType.varint: {
        this.varint();
        return;
      }
      case WireType.octets:
        this.at = this.blockEnd();
        return;
      case WireType.fixed64:
        this.at += 8;
        return;
      case WireType.fixed32:
        this.at += 4;
        return;
      default:
        throw new WireError(`wire type ${wire} is none that is in use`);
    }
  }
}

function isObject(value: JsonValue | undefined): value is JsonRecord {
  return typeof value === 'object' && !Array.isArray(value);
}

const TIME = message({ seconds: [1, 'number'] });
const INT_OR_STRING = message({ type: [1, 'number'], intVal: [2, 'number'], strVal: [3, 'word'] });

/** Seconds since 1970, less or more than which no calendar of JavaScript's has. */
const LAST_TIME = 8_640_000_000_000;

/** As Go writes it: without fractions. Empty for the zero time, which JSON has as null, and for times that cannot be. */
function timeText({ seconds }: JsonRecord): string {
  return typeof seconds === 'number' && seconds <= LAST_TIME
    ? new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
    : '';
}

function intOrString({ type, intVal = 0, strVal = '' }: JsonRecord): JsonValue {
  return type === 1 ? strVal : intVal;
}
