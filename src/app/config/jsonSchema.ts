/** The published JSON Schema of the configuration file, made from the schema that checks it. */

import { z } from 'zod';
import { AgentConfig } from '../kubeConfig.js';

/** The text of docs/config.schema.json. The agent's schema: whatever a speaker takes, an agent takes. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(AgentConfig, { io: 'input', reused: 'inline' });
  return `${JSON.stringify({ title: 'Peerage configuration', ...schema }, undefined, 2)}\n`;
}
