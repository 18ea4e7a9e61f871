/** Flags over the configuration file: what a flag says goes before what the file says. Pure. */

import { err, ok, type Result } from '../../core/result.js';
import type { ConfigError } from '../config/configError.js';
import type { GivenFlags } from './flag.js';
import { FLAGS } from './flagTable.js';
import { peersOfFlags, withPeers, type ReadText } from './peerFlags.js';
import { isSettings, valueAt, withValue, type Settings } from './settings.js';

const PEERS = 'kubernetes.externalPeers';
const RESTART = 'router.gracefulRestart';
const BFD = 'kubernetes.bfd';

/**
 * @param ofFile the file's values, unchecked
 * @returns file and flags together, still to be checked; or every mistake between flags
 */
export function applyFlags(
  ofFile: unknown,
  given: GivenFlags,
  readText: ReadText,
): Result<unknown, readonly ConfigError[]> {
  if (given.size === 0) return ok(ofFile);
  const peers = peersOfFlags(given, readText);
  if (!peers.ok) return err(peers.error);
  let settings: unknown = ofFile;
  for (const { name, target } of FLAGS) {
    const own = given.get(name);
    if (own === undefined || target === undefined || target === PEERS) continue;
    settings = withValue(settings, target, own.setting);
  }
  if (peers.value.length > 0) settings = withValue(settings, PEERS, withPeers(valueAt(settings, PEERS), peers.value));
  settings = withRouterId(settings, given);
  settings = withGracefulRestart(settings, given);
  return ok(withBfd(settings, given));
}

function withRouterId(settings: unknown, given: GivenFlags): unknown {
  const id = given.get('router-id')?.value;
  if (id === undefined || id === '') return settings;
  const isGenerated = id === 'generate';
  const named = withValue(settings, 'router.id', isGenerated ? undefined : id);
  return withValue(named, 'kubernetes.generateRouterId', isGenerated ? true : undefined);
}

/** The times alone switch nothing on, as in kube-router. */
function withGracefulRestart(settings: unknown, given: GivenFlags): unknown {
  const isOn = given.get('bgp-graceful-restart')?.value;
  const ofFile = valueAt(settings, RESTART);
  if (isOn === false) return withValue(settings, RESTART, false);
  if (isOn === undefined && ofFile === false) return settings;
  const times = said({
    restartTime: given.get('bgp-graceful-restart-time')?.setting,
    deferralTime: given.get('bgp-graceful-restart-deferral-time')?.setting,
  });
  if (Object.keys(times).length > 0)
    return withValue(settings, RESTART, { ...(isSettings(ofFile) ? ofFile : {}), ...times });
  return isOn === true && !isSettings(ofFile) ? withValue(settings, RESTART, true) : settings;
}

/** The values alone switch nothing on, as in kube-router. */
function withBfd(settings: unknown, given: GivenFlags): unknown {
  const isOn = given.get('enable-bfd')?.value;
  const ofFile = valueAt(settings, BFD);
  if (isOn === false) return withValue(settings, BFD, undefined);
  if (isOn !== true && ofFile === undefined) return settings;
  const values = said({
    port: given.get('bfd-port')?.setting,
    detectionMultiplier: given.get('bfd-detection-multiplier')?.setting,
    desiredMinTx: given.get('bfd-desired-min-tx-interval')?.setting,
    requiredMinRx: given.get('bfd-required-min-rx-interval')?.setting,
  });
  if (isOn === undefined && Object.keys(values).length === 0) return settings;
  return withValue(settings, BFD, { ...(isSettings(ofFile) ? ofFile : {}), ...values });
}

function said(values: Settings): Settings {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Targets of flags that are put together from several. */
const COMPOSED: Readonly<Record<string, string>> = {
  'router-id': 'router.id',
  'bgp-graceful-restart-time': `${RESTART}.restartTime`,
  'bgp-graceful-restart-deferral-time': `${RESTART}.deferralTime`,
};

/** The flag that said what stands at a path of the checked configuration. @returns undefined: the file did */
export function flagBehind(path: string, given: GivenFlags): string | undefined {
  return FLAGS.map(({ name, target }) => ({ name, target: target ?? COMPOSED[name] })).find(
    ({ name, target }) => target !== undefined && given.has(name) && (path === target || path.startsWith(`${target}[`)),
  )?.name;
}
