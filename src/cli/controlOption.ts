/** `--control`, the same for every command that talks to a router. */

import { Option } from 'commander';
import { DEFAULT_CONTROL_PATH } from '../api/controlPath.js';

export function controlOption(): Option {
  return new Option('--control <path>', "the router's control socket")
    .env('PEERAGE_CONTROL')
    .default(DEFAULT_CONTROL_PATH);
}
