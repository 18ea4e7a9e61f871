/** Values of the configuration file before they are checked: whatever YAML gives. Pure. */

export type Settings = Readonly<Record<string, unknown>>;

export function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param path keys with dots between  @returns undefined where there is nothing */
export function valueAt(settings: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isSettings(value) ? value[key] : undefined), settings);
}

/** The same with another value at a path; undefined takes out what is there. What is on the way and no map gives place. */
export function withValue(settings: unknown, path: string, value: unknown): Settings {
  const [key = '', ...rest] = path.split('.');
  const { [key]: former, ...others } = isSettings(settings) ? settings : {};
  if (rest.length > 0 && value === undefined && !isSettings(former)) return isSettings(settings) ? settings : {};
  const next = rest.length === 0 ? value : withValue(former, rest.join('.'), value);
  return next === undefined ? others : { ...(isSettings(settings) ? settings : {}), [key]: next };
}
