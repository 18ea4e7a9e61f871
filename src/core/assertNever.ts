/** Ends an exhaustive switch: compiles only while every case is named, and names the stranger if one slips through. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
