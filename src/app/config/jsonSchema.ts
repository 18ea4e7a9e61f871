/** The published JSON Schema of the configuration file, made from the schema that checks it. */

import { z } from 'zod';
import { SpeakerConfig } from './schema.js';

/** The text of docs/config.schema.json. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(SpeakerConfig, { io: 'input', reused: 'inline' });
  return `${JSON.stringify({ title: 'Peerage configuration', ...schema }, undefined, 2)}\n`;
}
