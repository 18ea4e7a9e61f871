/** JSON of others as it is: values whose order and unknown keys must survive. */

import { err, ok, type Result } from '../../core/result.js';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** @returns the object, or a sentence on why there is none */
export function parseJsonObject(text: string): Result<JsonObject, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return err(`is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return isJsonObject(value) ? ok(value) : err('is no JSON object');
}

/** The object with some keys set where they stand, or at the end; undefined takes a key out. */
export function withKeys(object: JsonObject, keys: Readonly<Record<string, Json | undefined>>): JsonObject {
  const entries = Object.entries({ ...object, ...keys });
  return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
}

/** With the indentation, and the end, of the text it came from; two spaces where there was none. */
export function formatJson(value: Json, like: string): string {
  const isOneLine = like !== '' && !like.trim().includes('\n');
  const indent = isOneLine ? '' : (/^([ \t]+)"/m.exec(like)?.[1] ?? '  ');
  return `${JSON.stringify(value, null, indent)}${like === '' || like.endsWith('\n') ? '\n' : ''}`;
}
